//! The receivers of docs/receiving.md, driven by what hookctl really sends and by what others might.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::fault::scale;
use crate::support::{Child, TestEnv, TestReceiver, closed_port, installed, wait_until};

const PATIENCE: Duration = Duration::from_secs(60);
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const OTHER_SECRET: &str = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcnM=";

/// A receiver that runs, and where it listens.
struct Running {
    address: SocketAddr,
    path: &'static str,
    _program: Child,
}

/// How to start one from its folder: the command, which gets its settings by the environment, and the path it serves.
type Start = fn(&TestEnv, SocketAddr, &Path) -> Option<(Command, &'static str)>;

#[test]
fn flask_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(flask, "python");
}

#[test]
fn express_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(express, "node");
}

#[test]
fn go_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(go, "go");
}

#[test]
fn rust_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(rust, "rust");
}

#[test]
fn the_shell_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(shell, "shell");
}

#[test]
fn flask_broken_fails_exactly_the_check_of_its_fault() {
    fails_exactly(flask, "python", ("abs(now - int(timestamp))", "now - int(timestamp)"), "from-future");
}

#[test]
fn express_broken_fails_exactly_the_check_of_its_fault() {
    fails_exactly(express, "node", ("limit: \"1mb\"", "limit: \"64kb\""), "large-body");
}

#[test]
fn go_broken_fails_exactly_the_check_of_its_fault() {
    let whole = "strings.SplitN(header.Get(\"webhook-signature\"), \" \", 1)";
    fails_exactly(go, "go", ("strings.Split(header.Get(\"webhook-signature\"), \" \")", whole), "rotation");
}

#[test]
fn rust_broken_fails_exactly_the_check_of_its_fault() {
    // Its crates are compiled once more for it, which takes longer than all other receivers together.
    if scale() == 1 {
        return;
    }
    fails_exactly(rust, "rust", ("b\".\", body])", "b\".\", body.trim_ascii()])"), "raw-bytes");
}

#[test]
fn the_shell_broken_fails_exactly_the_check_of_its_fault() {
    let change = ("answer '401 Unauthorized' \"$reason\"", "answer '500 Internal Server Error' \"$reason\"");
    fails_exactly(shell, "shell", change, "wrong-is-4xx");
}

fn flask(_: &TestEnv, address: SocketAddr, folder: &Path) -> Option<(Command, &'static str)> {
    let python = has("python3", &["-c", "import flask"], "python3-flask")?;
    let mut command = program(python, folder);
    command.args(["-m", "flask", "--app", "app", "run", "--port", &address.port().to_string()]);
    Some((command, "/"))
}

fn express(_: &TestEnv, _: SocketAddr, folder: &Path) -> Option<(Command, &'static str)> {
    let node = has("node", &["-e", "require('express')"], "node-express")?;
    let mut command = program(node, folder);
    command.arg("app.js");
    Some((command, "/"))
}

fn go(env: &TestEnv, _: SocketAddr, folder: &Path) -> Option<(Command, &'static str)> {
    let go = has("go", &["version"], "golang-go")?;
    let binary = env.path().join("go-receiver");
    let mut build = program(go, folder);
    build.env("GOCACHE", Path::new(ROOT).join("target/receivers/go")).env("GOPROXY", "off");
    let built = build.args(["build", "-o"]).arg(&binary).arg("main.go").output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some((program(binary.to_str().unwrap(), "."), "/"))
}

fn rust(_: &TestEnv, _: SocketAddr, folder: &Path) -> Option<(Command, &'static str)> {
    let cargo = installed(&[env!("CARGO")], "cargo")?;
    let (mut build, binary) = if folder.starts_with(ROOT) {
        let binary = binaries().join("examples/receiver");
        if is_up_to_date(&binary, &folder.join("main.rs")) {
            return Some((program(binary.to_str().unwrap(), "."), "/"));
        }
        let mut build = cargo_build(cargo, Path::new(ROOT));
        build.args(["--locked", "--example", "receiver"]);
        (build, binary)
    } else {
        // A copy, as a package of its own whose dependencies are built once for all such copies.
        fs::write(folder.join("Cargo.toml"), RUST_PACKAGE).unwrap();
        fs::copy(Path::new(ROOT).join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        let target = Path::new(ROOT).join("target/receivers/rust");
        let mut build = cargo_build(cargo, folder);
        build.env("CARGO_TARGET_DIR", &target);
        (build, target.join("debug/receiver"))
    };
    let built = build.output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some((program(binary.to_str().unwrap(), "."), "/"))
}

/// `cargo test` builds the example with the tests; `cargo test --test it` does not.
fn is_up_to_date(binary: &Path, source: &Path) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|found| found.modified()).ok();
    changed(binary) > changed(source)
}

const RUST_PACKAGE: &str = r#"
[package]
name = "receiver"
edition = "2024"

[[bin]]
name = "receiver"
path = "main.rs"

[dependencies]
base64 = "0.23"
hex = "0.4"
hmac = "0.13"
serde_json = "1.0"
sha2 = "0.11"
tempfile = "3.27"
tiny_http = "0.12"

[profile.dev]
debug = false

[workspace]
"#;

fn cargo_build(cargo: &str, folder: &Path) -> Command {
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--offline"]).current_dir(folder);
    // Cargo tells a test which package it is of; build scripts that look at that would all run again.
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            build.env_remove(name);
        }
    }
    build
}

fn shell(env: &TestEnv, address: SocketAddr, folder: &Path) -> Option<(Command, &'static str)> {
    // Not every program here knows --version; jq does, and stands for the others of its kind.
    installed(&["jq"], "jq")?;
    let busybox = has("busybox", &["httpd", "--help"], "busybox")?;
    let programs = env.path().join("www/cgi-bin");
    fs::create_dir_all(&programs).unwrap();
    fs::copy(folder.join("receive.cgi"), programs.join("receive.cgi")).unwrap();
    let mut command = program(busybox, ".");
    command.args(["httpd", "-f", "-p", &address.to_string(), "-h"]).arg(env.path().join("www"));
    Some((command, "/cgi-bin/receive.cgi"))
}

#[test]
fn pythons_module_takes_what_is_sent_and_refuses_the_rest() {
    const DRIVER: &str = "
import base64, json, sys, verify
for case in json.load(sys.stdin):
    body = base64.b64decode(case['body'])
    try:
        check = getattr(verify, case['scheme'])
        print('valid', check(verify.secrets_of(case['secrets']), case['headers'], body, case['now']))
    except verify.Invalid as reason:
        print('refused', reason)
";
    drive_module("python3", &["-c", DRIVER], "examples/receivers/python");
}

#[test]
fn nodes_module_takes_what_is_sent_and_refuses_the_rest() {
    const DRIVER: &str = "
const verify = require('./verify.js');
for (const { scheme, secrets, headers, body, now } of JSON.parse(require('node:fs').readFileSync(0))) {
  try {
    console.log('valid', verify[scheme](verify.secretsOf(secrets), headers, Buffer.from(body, 'base64'), now));
  } catch (reason) {
    if (!(reason instanceof verify.Invalid)) throw reason;
    console.log('refused', reason.message);
  }
}
";
    drive_module("node", &["-e", DRIVER], "examples/receivers/node");
}

/// Starts the receiver for each scheme, sends it events, then what it must refuse, and probes it.
fn drive(start: Start, language: &str) {
    for scheme in ["standard", "timetracker"] {
        let env = TestEnv::new();
        let address = closed_port();
        let Some((mut command, path)) = start(&env, address, &source(language)) else { return };
        let create = ["webhook", "create", "crm", "-e", "*", "--signature", scheme, "-o", "json", "--url"];
        let created = env.hookctl(create).arg(format!("http://{address}{path}")).run().ok().json();
        let secret = created["secret"].as_str().unwrap();
        let inbox = env.path().join("inbox");
        command.env("WEBHOOK_SECRET", secret).env("WEBHOOK_SECRET_FILE", env.file("secret", secret));
        command.env("WEBHOOK_SCHEME", scheme).env("WEBHOOK_INBOX", &inbox).env("PORT", address.port().to_string());
        let receiver = Running { address, path, _program: Child::start(command, Vec::new()) };
        receiver.wait_until_it_listens();
        takes_what_is_sent_once(&env, &inbox);
        refuses_the_rest(&env, &receiver, scheme, &inbox);
        let report = probe(&env, &receiver, scheme, &inbox);
        assert_eq!(failed(&report), [""; 0], "{report}");
    }
}

/// Starts a copy of the receiver in which one text is replaced, and probes it.
fn fails_exactly(start: Start, language: &str, (right, broken): (&str, &str), check: &str) {
    let env = TestEnv::new();
    let folder = env.path().join("broken");
    fs::create_dir(&folder).unwrap();
    let mut replaced = 0;
    for file in fs::read_dir(source(language)).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let text = fs::read_to_string(&file).unwrap();
        replaced += text.matches(right).count();
        let copy = folder.join(file.file_name().unwrap());
        fs::copy(&file, &copy).unwrap();
        fs::write(&copy, text.replace(right, broken)).unwrap();
    }
    assert_eq!(replaced, 1, "{right}");
    let address = closed_port();
    let Some((mut command, path)) = start(&env, address, &folder) else { return };
    let inbox = env.path().join("inbox");
    command.env("WEBHOOK_SECRET", OTHER_SECRET).env("WEBHOOK_SECRET_FILE", env.file("secret", OTHER_SECRET));
    command.env("WEBHOOK_SCHEME", "standard").env("WEBHOOK_INBOX", &inbox).env("PORT", address.port().to_string());
    let receiver = Running { address, path, _program: Child::start(command, Vec::new()) };
    receiver.wait_until_it_listens();
    let report = probe(&env, &receiver, "standard", &inbox);
    assert_eq!(failed(&report), [check], "{report}");
}

/// Every check, with the receiver's own files asked whether an event was kept.
fn probe(env: &TestEnv, receiver: &Running, scheme: &str, inbox: &Path) -> Value {
    let url = format!("http://{}{}", receiver.address, receiver.path);
    let name = "$(printf %s \"$HOOKCTL_EVENT_ID\" | sha256sum | cut -d ' ' -f 1).event";
    let is_kept = format!("test -s '{}'/\"{name}\"", inbox.display());
    // The time is not theirs: many tests run at once.
    let probe = ["probe", &url, "--scheme", scheme, "--secret-file", "secret", "--answer-within", "50s", "-o", "json"];
    let run = env.hookctl(probe).args(["--duplicate-check", &is_kept]).time_limit(PATIENCE * 2).run();
    let report = run.json();
    assert_eq!(run.code, Some(if failed(&report).is_empty() { 0 } else { 4 }), "{run:?}");
    let judged = report["checks"].as_array().unwrap().iter().filter(|check| check["result"] != "not_judged").count();
    assert_eq!(judged, if scheme == "standard" { 17 } else { 12 }, "{report}");
    report
}

fn failed(report: &Value) -> Vec<&str> {
    let failed = report["checks"].as_array().unwrap().iter().filter(|check| check["result"] == "fail");
    failed.map(|check| check["name"].as_str().unwrap()).collect()
}

/// Where the receivers of a language stand.
fn source(language: &str) -> PathBuf {
    Path::new(ROOT).join("examples/receivers").join(language)
}

fn takes_what_is_sent_once(env: &TestEnv, inbox: &Path) {
    let data = r#"{"amount":12345678901234567890.10,"text":"é\n\u0000"}"#;
    let emit =
        |id: &str| env.hookctl(["emit", "invoice.paid", "--event-id", id, "--data", data, "--strict"]).run().ok();
    let payload = |id: &str| env.hookctl(["event", "show", id, "--payload"]).run().ok().stdout;
    emit("first:1");
    assert_eq!(kept(inbox), [payload("first:1")]);
    env.hookctl(["delivery", "retry", "1"]).run().ok();
    let delivery = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    let answers =
        [0, 1].map(|number| delivery["attempts"][number]["response_body"].as_str().unwrap().trim().to_owned());
    assert_eq!(answers, ["received", "a duplicate"], "it is sent twice");
    assert_eq!(kept(inbox), [payload("first:1")], "and kept once");
    emit("second");
    assert_eq!(kept(inbox).len(), 2);
    assert_eq!(env.sql_value("SELECT count(*) FROM attempts WHERE response_status_code = 200"), "3");
}

fn refuses_the_rest(env: &TestEnv, receiver: &Running, scheme: &str, inbox: &Path) {
    let body = br#"{"event_id":"third","text":"good"}"#;
    let changed = br#"{"event_id":"third","text":"evil"}"#;
    let signed = |secret: &[&str], at: i64| {
        let sign = ["sign", "--scheme", scheme, "--id", "third", "--timestamp", &at.to_string()];
        let sign = env.hookctl(sign).args(secret.iter().copied()).env("OTHER", OTHER_SECRET);
        sign.stdin(body.to_vec()).run().ok().text()
    };
    let now = unix_now();
    let good = signed(&["-w", "crm"], now);
    let wrong_secret = signed(&["--secret-env", "OTHER"], now);
    let mut refused = vec![
        ("a changed body", good.clone(), &changed[..]),
        ("no body", good.clone(), b""),
        ("a wrong secret", wrong_secret, body),
        ("no signature", String::new(), body),
        ("an empty signature", "webhook-signature: v1,\nX-Webhook-Signature: sha256=\n".to_owned(), body),
    ];
    if scheme == "standard" {
        refused.push(("an old timestamp", signed(&["-w", "crm"], now - 600), body));
        refused.push(("a timestamp of the future", signed(&["-w", "crm"], now + 600), body));
        refused.push(("another id", good.replace("third", "fourth"), body));
        refused.push(("another timestamp", good.replace(&now.to_string(), &(now + 1).to_string()), body));
    }
    for (what, headers, body) in refused {
        let answer = receiver.post(&headers, body);
        assert!(answer.starts_with("HTTP/1.1 401 ") || answer.starts_with("HTTP/1.0 401 "), "{what}: {answer}");
        assert_eq!(kept(inbox).len(), 2, "{what} is kept");
    }
    let answer = receiver.post(&good, body);
    assert!(answer.contains(" 200 OK"), "what was refused was refused for its fault: {answer}");
    assert_eq!(kept(inbox).len(), 3);
    assert_eq!(fs::read_dir(inbox).unwrap().count(), 3, "nothing half stored is left");
}

/// Gives the module what hookctl sent, as it is and spoilt in each way, and compares what it makes of it.
fn drive_module(program_name: &'static str, arguments: &[&str], folder: &str) {
    const OFF: &str = "refused the timestamp is too old, or of the future";
    let Some(interpreter) = installed(&[program_name], program_name) else { return };
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let create = ["webhook", "create", "crm", "-e", "*", "--url", &receiver.url(), "-o", "json"];
    let secret = env.hookctl(create).run().ok().json()["secret"].as_str().unwrap().to_owned();
    env.hookctl(["emit", "invoice.paid", "--event-id", "e-1", "--data", "{}"]).run().ok();
    let request = receiver.requests().remove(0);
    let header = |name: &str| request.header(name).unwrap().to_owned();
    let sent_at: i64 = header("webhook-timestamp").parse().unwrap();
    let headers = ["webhook-id", "webhook-timestamp", "webhook-signature", "x-webhook-signature"];
    let headers: Value = headers.iter().map(|name| ((*name).to_owned(), json!(header(name)))).collect();
    let both = format!("{OTHER_SECRET} {secret}");
    let mut spoilt = request.body.clone();
    spoilt.push(b'\n');
    let mut cases = Vec::new();
    let mut expected = Vec::new();
    let mut case = |scheme: &str, secrets: &str, headers: &Value, body: &[u8], now: i64, says: &'static str| {
        let body = BASE64_STANDARD.encode(body);
        cases.push(json!({"scheme": scheme, "secrets": secrets, "headers": headers, "body": body, "now": now}));
        expected.push(says);
    };
    for scheme in ["standard", "timetracker"] {
        case(scheme, &secret, &headers, &request.body, sent_at, "valid e-1");
        case(scheme, &both, &headers, &request.body, sent_at, "valid e-1");
        case(scheme, &secret, &headers, &spoilt, sent_at, "refused no signature matches");
        case(scheme, OTHER_SECRET, &headers, &request.body, sent_at, "refused no signature matches");
    }
    case("standard", &secret, &headers, &request.body, sent_at + 299, "valid e-1");
    case("standard", &secret, &headers, &request.body, sent_at + 301, OFF);
    case("standard", &secret, &headers, &request.body, sent_at - 301, OFF);
    case("timetracker", &secret, &json!({}), &request.body, sent_at, "refused no signature matches");
    for malformed in ["", "x", "-1", "1e9", "٣", "99999999999999999999"] {
        let headers = json!({"webhook-id": "e-1", "webhook-timestamp": malformed, "webhook-signature": "v1,é"});
        case("standard", &secret, &headers, &request.body, sent_at, "refused");
    }
    let mut command = program(interpreter, folder);
    command.args(arguments);
    let run = Child::start(command, serde_json::to_vec(&cases).unwrap()).wait_timeout(PATIENCE).ok();
    let text = run.text();
    let said: Vec<_> = text.lines().collect();
    assert_eq!(said.len(), expected.len(), "{run:?}");
    for ((said, expected), case) in said.iter().zip(expected).zip(cases) {
        assert!(said.starts_with(expected), "{expected:?} expected, {said:?} said of {case}");
    }
}

impl Running {
    fn wait_until_it_listens(&self) {
        wait_until("the receiver listens", || TcpStream::connect(self.address).is_ok());
    }

    /// Sends a request with these headers, a line each, and returns the whole answer.
    fn post(&self, headers: &str, body: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let head = format!(
            "POST {} HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}Connection: close\r\n\r\n",
            self.path,
            body.len(),
            headers.replace('\n', "\r\n")
        );
        stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let _ = stream.shutdown(Shutdown::Both);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// A program in a folder of the project, with little more than PATH, on which hookctl is the binary under test.
fn program(name: &str, folder: impl AsRef<Path>) -> Command {
    let mut command = Command::new(name);
    command.env_clear().current_dir(Path::new(ROOT).join(folder)).stdout(Stdio::piped());
    let path = format!("{}:{}", binaries().display(), std::env::var("PATH").unwrap());
    command.env("PATH", path).env("HOME", std::env::temp_dir()).env("PYTHONDONTWRITEBYTECODE", "1");
    // Debian's packages of Node lie where only Debian's Node looks.
    command.env("NODE_PATH", std::env::var("NODE_PATH").unwrap_or("/usr/share/nodejs".to_owned()));
    for name in ["PYTHONPATH", "PYENV_ROOT"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The program, if it does that; else a note says what the test that asks is skipped for.
#[expect(clippy::print_stderr, reason = "a skipped test that says nothing looks like one that passed")]
fn has(name: &'static str, arguments: &[&str], package: &str) -> Option<&'static str> {
    let run = program(name, ".").args(arguments).output();
    if run.is_ok_and(|output| output.status.success()) {
        return Some(name);
    }
    eprintln!("skipped: `{name} {}` does not work; Debian's package {package} has it", arguments.join(" "));
    None
}

/// Where cargo put what it built.
fn binaries() -> PathBuf {
    Path::new(env!("CARGO_BIN_EXE_hookctl")).parent().unwrap().to_owned()
}

/// What the receiver stored, by name.
fn kept(inbox: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(inbox).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|kind| kind == "event"));
    paths.sort();
    paths.into_iter().map(|path| fs::read(path).unwrap()).collect()
}

fn unix_now() -> i64 {
    chrono::Utc::now().timestamp()
}

//! The receivers of docs/receiving.md, driven by what hookctl really sends and by what others might.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::support::{Child, TestEnv, TestReceiver, closed_port, installed};

const PATIENCE: Duration = Duration::from_secs(60);
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const OTHER_SECRET: &str = "whsec_b3RoZXItc2VjcmV0LW90aGVyLXNlY3JldC1vdGhlcnM=";

/// A receiver that runs, and where it listens.
struct Running {
    address: SocketAddr,
    path: &'static str,
    _program: Child,
}

/// How to start one: the command, which gets its settings by the environment, and the path it serves.
type Start = fn(&TestEnv, SocketAddr) -> Option<(Command, &'static str)>;

#[test]
fn flask_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(|_, address| {
        let python = has("python3", &["-c", "import flask"], "python3-flask")?;
        let mut command = program(python, "examples/receivers/python");
        command.args(["-m", "flask", "--app", "app", "run", "--port", &address.port().to_string()]);
        Some((command, "/"))
    });
}

#[test]
fn express_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(|_, _| {
        let node = has("node", &["-e", "require('express')"], "node-express")?;
        let mut command = program(node, "examples/receivers/node");
        command.arg("app.js");
        Some((command, "/"))
    });
}

#[test]
fn go_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(|env, _| {
        let go = has("go", &["version"], "golang-go")?;
        let binary = env.path().join("go-receiver");
        let mut build = program(go, "examples/receivers/go");
        build.env("GOCACHE", Path::new(ROOT).join("target/receivers/go")).env("GOPROXY", "off");
        let built = build.args(["build", "-o"]).arg(&binary).arg("main.go").output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some((program(binary.to_str().unwrap(), "."), "/"))
    });
}

#[test]
fn rust_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(|_, _| {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--locked", "--offline", "--example", "receiver"]).current_dir(ROOT);
        // Cargo tells a test which package it is of; build scripts that look at that would all run again.
        for (name, _) in std::env::vars_os() {
            if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
                build.env_remove(name);
            }
        }
        let built = build.output().unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        Some((program(binaries().join("examples/receiver").to_str().unwrap(), "."), "/"))
    });
}

#[test]
fn the_shell_takes_what_is_sent_once_and_refuses_the_rest() {
    drive(|env, address| {
        // Not every program here knows --version; jq does, and stands for the others of its kind.
        installed(&["jq"], "jq")?;
        let busybox = has("busybox", &["httpd", "--help"], "busybox")?;
        let folder = env.path().join("www/cgi-bin");
        fs::create_dir_all(&folder).unwrap();
        fs::copy(Path::new(ROOT).join("examples/receivers/shell/receive.cgi"), folder.join("receive.cgi")).unwrap();
        let mut command = program(busybox, ".");
        command.args(["httpd", "-f", "-p", &address.to_string(), "-h"]).arg(env.path().join("www"));
        Some((command, "/cgi-bin/receive.cgi"))
    });
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

/// Starts the receiver for each scheme, sends it events, and then what it must refuse.
fn drive(start: Start) {
    for scheme in ["standard", "timetracker"] {
        let env = TestEnv::new();
        let address = closed_port();
        let Some((mut command, path)) = start(&env, address) else { return };
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
    }
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
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(self.address).is_err() {
            assert!(Instant::now() < deadline, "the receiver does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
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
fn program(name: &str, folder: &str) -> Command {
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

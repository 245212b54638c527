//! Secrets: rotated, revealed, expired, and seen nowhere else.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Hookctl, Recorded, Reply, Run, TestEnv, TestReceiver, holds};

const SECRET: &str = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5LTAx";
const KEY_PAIR: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
const T0: &str = "2026-03-01T12:00:00Z";

fn create(env: &TestEnv, url: &str, schemes: &str) -> String {
    let args = ["webhook", "create", "crm", "--url", url, "-e", "*", "--signature", schemes, "-o", "json"];
    text_of(&env.hookctl(args).now(T0).run().ok().json(), "secret")
}

fn text_of(json: &Value, key: &str) -> String {
    json[key].as_str().unwrap_or_else(|| panic!("no {key} in {json}")).to_owned()
}

fn rotate(env: &TestEnv, args: &[&str]) -> Hookctl {
    env.hookctl(["webhook", "secret", "rotate", "crm", "-o", "json"]).args(args.iter().copied()).now(T0)
}

fn reveal(env: &TestEnv, now: &str) -> Value {
    env.hookctl(["webhook", "secret", "reveal", "crm", "-o", "json"]).now(now).run().ok().json()
}

/// The headers of a request as a file that `verify` reads.
fn head(env: &TestEnv, request: &Recorded) -> PathBuf {
    let line = |(name, value): &(String, Vec<u8>)| format!("{name}: {}\n", str::from_utf8(value).unwrap());
    env.file("head", request.headers.iter().map(line).collect::<String>())
}

fn verify(env: &TestEnv, request: &Recorded, url: &str, args: &[&str]) -> Hookctl {
    let body = env.file("body", &request.body);
    let command = env.hookctl(["verify", "--url", url, "--method", &request.method, "--headers-file"]);
    command.arg(head(env, request)).arg(body).args(args.iter().copied())
}

#[test]
fn a_rotation_shows_the_new_secret_and_when_the_old_one_ends() {
    let env = TestEnv::new();
    let old = create(&env, "http://127.0.0.1:9/", "timetracker,standard");
    let json = rotate(&env, &[]).run().ok().json();
    let new = text_of(&json, "secret");
    assert!(new.starts_with("whsec_") && new != old);
    assert_eq!(json["webhook"], "crm");
    assert_eq!(json["previous_expires_at"], "2026-03-02T12:00:00.000Z");
    let shown = reveal(&env, T0);
    assert_eq!(shown["secret"], new);
    assert_eq!(shown["previous"][0]["secret"], old);
    assert_eq!(shown["previous"][0]["expires_at"], "2026-03-02T12:00:00.000Z");
    let table = env.hookctl(["webhook", "secret", "reveal", "crm"]).now(T0).run().ok().text();
    assert_eq!(table.lines().next(), Some(new.as_str()), "the first line is the secret alone");
    assert_eq!(table.lines().count(), 2);
    assert_eq!(reveal(&env, "2026-03-02T12:00:00Z")["previous"], Value::Array(vec![]), "the overlap is over");
}

#[test]
fn receivers_get_both_signatures_where_a_list_holds_them_and_else_the_new_one() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let old = create(&env, &receiver.url(), "timetracker,standard,stripe,slack");
    let new = text_of(&rotate(&env, &[]).run().ok().json(), "secret");
    env.hookctl(["emit", "invoice.paid", "--data", "{}"]).now(T0).run().ok();
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("webhook-signature").unwrap().matches("v1,").count(), 2);
    let accepts = |scheme: &str, secret: &str| {
        let args = ["--scheme", scheme, "--secret-env", "S"];
        verify(&env, &request, &receiver.url(), &args).env("S", secret).now(T0).run().code
    };
    for scheme in ["standard", "stripe"] {
        assert_eq!((accepts(scheme, &new), accepts(scheme, &old)), (Some(0), Some(0)), "{scheme}");
    }
    for scheme in ["timetracker", "slack"] {
        assert_eq!((accepts(scheme, &new), accepts(scheme, &old)), (Some(0), Some(4)), "{scheme}");
    }
}

#[test]
fn an_expired_secret_signs_no_longer() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    create(&env, &receiver.url(), "standard");
    rotate(&env, &[]).run().ok();
    let json = env.hookctl(["webhook", "secret", "expire", "crm", "-o", "json"]).now(T0).run().ok().json();
    assert_eq!(json["expired"], 1);
    env.hookctl(["emit", "invoice.paid", "--data", "{}"]).now(T0).run().ok();
    assert_eq!(receiver.requests()[0].header("webhook-signature").unwrap().matches("v1,").count(), 1);
    assert_eq!(reveal(&env, T0)["previous"], Value::Array(vec![]));
    let again = env.hookctl(["webhook", "secret", "expire", "crm", "-o", "json"]).now(T0).run().ok().json();
    assert_eq!(again["expired"], 0);
}

#[test]
fn verify_says_which_secret_matched_and_tells_a_retired_one() {
    let env = TestEnv::new();
    let old = create(&env, "http://127.0.0.1:9/", "timetracker");
    let sign = |secret: &str| {
        env.hookctl(["sign", "--secret-env", "S"]).env("S", secret).stdin("{}").run().ok().text().trim_end().to_owned()
    };
    let new = text_of(&rotate(&env, &["--overlap", "1h"]).run().ok().json(), "secret");
    let ask = |header: &str, now: &str| {
        env.hookctl(["verify", "-w", "crm", "-H", header, "-o", "json"]).now(now).stdin("{}").run()
    };
    assert_eq!(ask(&sign(&new), T0).ok().json()["matched"], "current");
    let previous = ask(&sign(&old), T0).ok();
    assert_eq!(previous.json()["matched"], "previous");
    assert_eq!(previous.json()["secret_expires_at"], "2026-03-01T13:00:00.000Z");
    let late = ask(&sign(&old), "2026-03-01T13:00:00Z").fails(4);
    assert_eq!(late.json()["reason"], "no-match");
    assert!(late.json()["hints"][0].as_str().unwrap().contains("matches the retired secret"), "{late:?}");
}

#[test]
fn a_webhooks_own_schemes_are_all_judged_where_their_headers_are() {
    let env = TestEnv::new();
    create(&env, "http://127.0.0.1:9/", "timetracker,standard");
    let signed = env.hookctl(["sign", "-w", "crm"]).now(T0).stdin("{}").run().ok().text();
    assert_eq!(signed.lines().count(), 4, "{signed}");
    let ask = |head: &str, args: &[&str]| {
        let command = env.hookctl(["verify", "-w", "crm", "-o", "json", "--headers-file"]).arg(env.file("head", head));
        command.args(args.iter().copied()).now(T0).stdin("{}").run()
    };
    assert_eq!(ask(&signed, &[]).ok().json()["schemes"], serde_json::json!(["timetracker", "standard"]));
    let first = signed.lines().next().unwrap();
    let alone = ask(first, &[]).ok();
    assert_eq!(alone.json()["schemes"], serde_json::json!(["timetracker"]));
    assert!(alone.err().contains("no header of standard"), "{alone:?}");
    let demanded = ask(first, &["--scheme", "standard"]).fails(4).json();
    assert_eq!(demanded["reason"], "missing-header");
    let broken = signed.replace("webhook-id: ", "webhook-id: x");
    let broken = ask(&broken, &[]).fails(4).json();
    assert_eq!((&broken["scheme"], &broken["reason"]), (&"standard".into(), &"no-match".into()));
    assert_eq!(ask("Host: a", &[]).fails(4).json()["reason"], "missing-header");
}

#[test]
fn an_overlap_of_0_ends_the_old_secret_at_once() {
    let env = TestEnv::new();
    let old = create(&env, "http://127.0.0.1:9/", "standard");
    let json = rotate(&env, &["--overlap", "0"]).run().ok().json();
    assert_eq!(json["previous_expires_at"], Value::Null);
    assert_eq!(reveal(&env, T0)["previous"], Value::Array(vec![]));
    assert!(!env.holds_any(&[&old]), "secure_delete overwrites it");
}

#[test]
fn the_next_write_deletes_expired_secrets_from_the_file() {
    let env = TestEnv::new();
    let old = create(&env, "http://127.0.0.1:9/", "standard");
    rotate(&env, &["--overlap", "1h"]).run().ok();
    let write = |now: &str| {
        env.hookctl(["webhook", "update", "crm", "--description", now]).now(now).run().ok();
    };
    write("2026-03-01T12:59:59Z");
    assert!(env.holds_any(&[&old]), "it still counts");
    write("2026-03-01T13:00:00Z");
    assert_eq!(env.sql_value("SELECT count(*) FROM secrets"), "1");
    assert!(!env.holds_any(&[&old]), "secure_delete overwrites it");
}

#[test]
fn a_rotation_that_cannot_be_is_refused_and_changes_nothing() {
    let env = TestEnv::new();
    let secret = create(&env, "http://127.0.0.1:9/", "standard");
    for text in ["hush", "whsec_not base64", "whsec_c2hvcnQ=", ""] {
        let run = rotate(&env, &["--secret-env", "S"]).env("S", text).run().fails(2);
        assert!(run.err().contains("--secret-env"), "{run:?}");
        assert!(text.is_empty() || !run.err().contains(text), "{run:?}");
    }
    rotate(&env, &["--secret-env", "S"]).env("S", &secret).run().fails(2);
    rotate(&env, &["--overlap", "soon"]).run().fails(2);
    rotate(&env, &["--overlap", "9999d"]).run().fails(2);
    rotate(&env, &["--read-only"]).run().fails(1);
    env.hookctl(["webhook", "secret", "rotate", "other"]).run().fails(3);
    env.hookctl(["webhook", "secret", "reveal", "other"]).run().fails(3);
    env.hookctl(["webhook", "secret", "expire", "other"]).run().fails(3);
    assert_eq!(reveal(&env, T0)["secret"], secret);
    assert_eq!(reveal(&env, T0)["previous"], Value::Array(vec![]));
}

#[test]
fn a_given_secret_is_taken_from_file_and_stdin_without_one_newline() {
    let env = TestEnv::new();
    create(&env, "http://127.0.0.1:9/", "github");
    rotate(&env, &["--secret-stdin"]).stdin("from stdin\n").run().ok();
    assert_eq!(reveal(&env, T0)["secret"], "from stdin");
    env.file("new", "from file\r\n");
    rotate(&env, &["--secret-file", "new"]).run().ok();
    assert_eq!(reveal(&env, T0)["secret"], "from file");
}

#[test]
fn every_scheme_sends_what_verify_accepts() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let payload = env.file("payload", "{\"webhookTimestamp\":1772366400000,\"x\":\"\u{e9}\"}\r\n");
    for scheme in env.hookctl(["schemes", "-o", "jsonl"]).run().ok().jsonl() {
        let name = scheme["name"].as_str().unwrap();
        let secret = if name == "standard-v1a" { KEY_PAIR } else { SECRET };
        let url = receiver.url_at(&format!("/{name}?a=1"));
        let args = ["webhook", "create", name, "--url", &url, "-e", name, "--signature", name, "--secret-env", "S"];
        env.hookctl(args).args(["--method", "PUT"]).env("S", secret).now(T0).run().ok();
        env.hookctl(["emit", name, "--strict", "--payload"]).arg(&payload).now(T0).run().ok();
        let request = receiver.requests_at(&format!("/{name}")).remove(0);
        for header in scheme["headers"].as_array().unwrap() {
            assert!(request.header(header.as_str().unwrap()).is_some(), "{name}: {header} is missing");
        }
        let bare = verify(&env, &request, &url, &["--scheme", name, "--secret-env", "S"]).env("S", secret);
        assert_eq!(bare.now(T0).run().ok().text(), "valid\n", "{name}");
        let by_webhook = env.hookctl(["verify", "-w", name, "--headers-file"]).arg(head(&env, &request)).arg(&payload);
        assert_eq!(by_webhook.now(T0).run().ok().text(), "valid\n", "{name}");
    }
}

#[test]
fn several_schemes_go_out_at_once_unless_they_share_a_header() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let schemes = ["stripe", "github", "standard", "svix", "slack", "paddle", "square", "hubspot-v3"];
    create(&env, &receiver.url(), &schemes.join(","));
    env.hookctl(["emit", "invoice.paid", "--data", "{}", "--strict"]).now(T0).run().ok();
    let request = receiver.requests().remove(0);
    let json = verify(&env, &request, &receiver.url(), &["-w", "crm", "-o", "json"]).now(T0).run().ok().json();
    assert_eq!(json["schemes"], serde_json::json!(schemes));
    let args = ["webhook", "create", "two", "--url", "http://127.0.0.1:9/", "-e", "*", "--signature", "github,meta"];
    let run = env.hookctl(args).run().fails(2);
    assert!(run.err().contains("X-Hub-Signature-256"), "{run:?}");
}

/// Runs a command and keeps what it said.
fn heard(said: &mut Vec<Run>, command: Hookctl) {
    said.push(command.env("APP_SECRET", SECRET).env("NEW_SECRET", KEY_PAIR).run());
}

#[test]
fn no_command_but_create_rotate_and_reveal_shows_a_secret() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start([500, 200]);
    let url = receiver.url();
    let create = ["webhook", "create", "crm", "--url", &url, "-e", "*", "--secret-env", "APP_SECRET"];
    env.hookctl(create).env("APP_SECRET", SECRET).run().ok();
    let generated = text_of(&rotate(&env, &[]).run().ok().json(), "secret");
    env.file("secret", SECRET);
    let mut said = Vec::new();
    let commands: &[&[&str]] = &[
        &create,
        &["emit", "invoice.paid", "--data", "{}", "-vvv"],
        &["drain", "-vvv"],
        &["drain", "--all", "-vvv"],
        &["webhook", "test", "crm", "-vv"],
        &["webhook", "list"],
        &["webhook", "show", "crm", "-vv"],
        &["webhook", "update", "crm", "--description", "d", "-vv"],
        &["webhook", "update", "crm", "--signature", "standard,standard-v1a", "-vv"],
        &["webhook", "update", "crm", "--secret-env", "APP_SECRET", "--signature", "standard-v1a"],
        &["webhook", "update", "crm", "--secret-file", "secret", "--no-secret"],
        &["webhook", "secret", "rotate", "crm", "--secret-env", "NEW_SECRET"],
        &["webhook", "secret", "rotate", "crm", "--secret-file", "secret", "--overlap", "x"],
        &["webhook", "secret", "expire", "nobody"],
        &["delivery", "list", "-vv"],
        &["delivery", "show", "1", "-vv"],
        &["event", "list"],
        &["sign", "-w", "crm", "secret", "-vvv"],
        &["sign", "--secret-env", "APP_SECRET", "--scheme", "standard-v1a"],
        &["sign", "--secret-env", "NEW_SECRET", "--scheme", "standard"],
        &["sign", "--secret-env", "NEW_SECRET", "--scheme", "standard-v1a", "-vv"],
        &["verify", "--secret-env", "APP_SECRET", "--signature", "x", "-vvv"],
        &["verify", "-w", "crm", "--signature", "x", "-vvv"],
        &["verify", "--secret-file", "secret", "--scheme", "hubspot-v3"],
        // A secret in the place of its name is a mistake that people make.
        &["verify", "--secret-env", SECRET],
        &["verify", "--secret-file", SECRET],
        &["webhook", "delete", "crm"],
    ];
    for format in ["table", "json", "jsonl", "csv"] {
        for command in commands {
            heard(&mut said, env.hookctl(command.iter().copied()).args(["-o", format]));
        }
    }
    helps(&env, &mut said);
    assert!(said.len() > 120, "{}", said.len());
    let secrets = [SECRET, &generated, KEY_PAIR].map(|secret| secret.split_once('_').unwrap().1);
    for run in &said {
        for secret in secrets {
            assert!(!holds(&run.stdout, secret) && !holds(&run.stderr, secret), "{run:?}");
        }
    }
    for request in receiver.requests() {
        let told = format!("{:?} {}", request.headers, String::from_utf8_lossy(&request.body));
        assert!(secrets.iter().all(|secret| !told.contains(secret)), "{told}");
    }
}

/// The help of every command there is, short and long, found by following the lists of commands.
fn helps(env: &TestEnv, said: &mut Vec<Run>) {
    let mut waiting = vec![Vec::<String>::new()];
    let mut seen = BTreeSet::new();
    while let Some(path) = waiting.pop() {
        for option in ["-h", "--help"] {
            let secret = |command: Hookctl| command.env("HOOKCTL_SECRET", SECRET);
            heard(said, secret(env.hookctl(path.iter().map(String::as_str)).arg(option)));
        }
        let help = said.last().unwrap().text();
        let listed = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        for line in listed.lines().take_while(|line| line.starts_with("  ")) {
            let Some(name) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) else { continue };
            let name = name.split([' ', ',']).next().unwrap_or_default();
            let deeper: Vec<String> = path.iter().cloned().chain([name.to_owned()]).collect();
            if name != "help" && seen.insert(deeper.clone()) {
                waiting.push(deeper);
            }
        }
    }
    assert!(seen.iter().any(|path| *path == ["webhook", "secret", "rotate"]), "{seen:?}");
}

#[test]
#[cfg(target_os = "linux")]
fn the_process_list_shows_no_secret_during_a_slow_send() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::WhenReleased(200));
    let secret = create(&env, &receiver.url(), "timetracker,standard");
    let secret = secret.split_once('_').unwrap().1;
    let mut child = env.hookctl(["emit", "invoice.paid", "--data", "{}"]).spawn();
    receiver.wait_for(1, Duration::from_secs(20));
    let shown = |file: &str| fs::read(format!("/proc/{}/{file}", child.id())).unwrap();
    let (cmdline, environ, comm) = (shown("cmdline"), shown("environ"), shown("comm"));
    assert!(child.is_running(), "the request is under way");
    assert!(holds(&cmdline, "invoice.paid"));
    for bytes in [cmdline, environ, comm] {
        assert!(!holds(&bytes, secret), "{}", String::from_utf8_lossy(&bytes));
    }
    receiver.release();
    child.wait_timeout(Duration::from_secs(20)).ok();
}

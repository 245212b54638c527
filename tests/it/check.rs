//! `check`: one line for a monitor.

use crate::support::{TestEnv, TestReceiver, closed_port};

const START: &str = "2026-01-01T00:00:00Z";

fn with_webhook(url: &str, more: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    let create = ["webhook", "create", "crm", "--url", url, "-e", "*"];
    env.hookctl([&create, more].concat()).now(START).run().ok();
    env
}

fn emit(env: &TestEnv, time: &str, more: &[&str]) {
    env.hookctl([&["emit", "invoice.paid", "--data", "{}"], more].concat()).now(time).run().ok();
}

/// The exit code and the line.
fn check(env: &TestEnv, time: &str, more: &[&str]) -> (i32, String) {
    let run = env.hookctl([&["check"], more].concat()).now(time).run();
    let text = run.text();
    assert_eq!(text.lines().count(), 1, "{run:?}");
    (run.code.unwrap(), text.trim_end().to_owned())
}

#[test]
fn nothing_due_and_nothing_failed_is_ok() {
    let receiver = TestReceiver::start(200);
    let env = with_webhook(&receiver.url(), &[]);
    emit(&env, START, &[]);
    let (code, line) = check(&env, START, &["--max-failed", "3"]);
    assert_eq!(
        (code, line.as_str()),
        (0, "OK - nothing due, 0 failed in 1h | backlog=0;;;0 oldest_due=0s;600;;0 failed=0;3;6;0 waiting=0;;;0")
    );
}

#[test]
fn a_delivery_that_is_due_too_long_is_a_warning_and_then_critical() {
    let env = with_webhook("http://127.0.0.1:9/", &[]);
    emit(&env, START, &["--enqueue"]);
    let cases = [
        ("2026-01-01T00:10:00Z", 0, "OK - 1 due, the oldest for 10m, "),
        ("2026-01-01T00:10:01Z", 1, "WARNING - 1 due, the oldest for 10m, "),
        ("2026-01-01T00:20:00Z", 1, "WARNING - "),
        ("2026-01-01T00:20:01Z", 2, "CRITICAL - 1 due, the oldest for 20m, "),
    ];
    assert_eq!(check(&env, "2026-01-01T00:10:00Z", &[]).0, 0);
    assert_eq!(check(&env, "2026-01-01T09:00:00Z", &[]).0, 1, "without a limit that was given nothing is critical");
    for (time, expected, beginning) in cases {
        let (code, line) = check(&env, time, &["--max-lag", "10m"]);
        assert_eq!(code, expected, "{line}");
        assert!(line.starts_with(beginning), "{line}");
    }
    assert_eq!(check(&env, "2026-01-01T00:20:01Z", &["--max-lag", "1h"]).0, 0);
    // A disabled webhook's deliveries wait, and that is as it should be.
    env.hookctl(["webhook", "disable", "crm"]).run().ok();
    let (code, line) = check(&env, "2026-01-02T00:00:00Z", &[]);
    assert_eq!(code, 0, "{line}");
    assert!(line.contains("backlog=0;") && line.contains("waiting=1;"), "{line}");
}

#[test]
fn failed_deliveries_are_a_warning_and_critical_by_a_limit() {
    // The last one is a success: the webhook is not failing any more.
    let receiver = TestReceiver::start([500, 500, 500, 500, 200]);
    let env = with_webhook(&receiver.url(), &["--max-retries", "0"]);
    for _ in 0..3 {
        emit(&env, START, &[]);
    }
    env.hookctl(["webhook", "test", "crm"]).now(START).run().fails(5);
    emit(&env, START, &[]);
    let now = "2026-01-01T00:30:00Z";
    let judged = |more: &[&str]| check(&env, now, more);
    assert_eq!(judged(&[]).0, 1);
    assert!(judged(&[]).1.contains("3 failed in 1h") && judged(&[]).1.contains("failed=3;0;;0"), "{:?}", judged(&[]));
    assert_eq!(["3", "2", "1", "0"].map(|limit| judged(&["--max-failed", limit]).0), [0, 1, 2, 2]);
    assert_eq!(judged(&["--max-failed", "0", "--since", "10m"]).0, 0);
}

#[test]
fn a_webhook_that_hookctl_disabled_and_one_that_cannot_be_reached_are_warnings() {
    let receiver = TestReceiver::start(410);
    let env = with_webhook(&receiver.url(), &[]);
    emit(&env, START, &[]);
    let (code, line) = check(&env, START, &[]);
    assert_eq!(code, 1);
    assert!(line.starts_with("WARNING - disabled: crm, "), "{line}");

    let env = with_webhook(&format!("http://{}/", closed_port()), &["--retry-delay", "1h"]);
    for _ in 0..5 {
        emit(&env, START, &[]);
    }
    let (code, line) = check(&env, START, &[]);
    assert_eq!(code, 1);
    assert!(line.starts_with("WARNING - unreachable: crm, "), "{line}");
}

#[test]
fn what_cannot_be_known_is_unknown_and_told_on_stdout() {
    let env = TestEnv::new();
    let (code, line) = check(&env, START, &[]);
    assert_eq!(code, 3);
    assert!(line.starts_with("UNKNOWN - there is no database at "), "{line}");
    assert!(!env.is_made());
    env.hookctl(["check", "--max-failed", "-1"]).run().fails(3);
}

#[test]
fn a_file_that_is_no_database_is_unknown_too() {
    only_on_files!();
    let env = TestEnv::new();
    env.file("hookctl.db", "this is no database, and it is long enough to be told from one".repeat(20));
    let (code, line) = check(&env, START, &["-q"]);
    assert_eq!(code, 3);
    assert!(line.starts_with("UNKNOWN - ") && line.contains("is not a hookctl database"), "{line}");
}

#[test]
fn programs_read_json() {
    let env = with_webhook("http://127.0.0.1:9/", &[]);
    emit(&env, START, &["--enqueue"]);
    let run = env.hookctl(["check", "-o", "json"]).now("2026-01-01T00:15:00Z").run().fails(1);
    let json = run.json();
    assert_eq!((json["status"].as_str(), json["exit_code"].as_i64()), (Some("warning"), Some(1)));
    assert_eq!((json["backlog"].as_i64(), json["oldest_due_seconds"].as_i64()), (Some(1), Some(900)));
    assert_eq!((json["failed"].as_i64(), json["waiting"].as_i64()), (Some(0), Some(1)));
    let json = TestEnv::new().hookctl(["check", "-o", "json"]).run().fails(3).json();
    assert_eq!(json["status"], "unknown");
}

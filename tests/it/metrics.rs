//! `metrics`: the Prometheus text format, as Prometheus's own tool reads it.

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use crate::support::{TestEnv, TestReceiver, installed};

const START: &str = "2026-01-01T00:00:00Z";

/// Deliveries of every kind, of a webhook whose name needs escaping and of a disabled one.
fn filled() -> TestEnv {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([200, 500, 200]));
    let run = |arguments: &[&str]| env.hookctl(arguments).now(START).run();
    run(&["webhook", "create", "a \"b\" \\ c", "--url", &receiver.url(), "-e", "*", "--max-retries", "0"]).ok();
    run(&["webhook", "create", "off", "--url", "http://127.0.0.1:9/", "-e", "*", "--inactive"]).ok();
    for _ in 0..3 {
        run(&["emit", "invoice.paid", "--data", "{}"]).ok();
    }
    run(&["webhook", "test", "a \"b\" \\ c"]).ok();
    run(&["emit", "invoice.paid", "--data", "{}", "--enqueue"]).ok();
    env
}

fn metrics(env: &TestEnv) -> String {
    env.hookctl(["metrics"]).now("2026-01-01T00:01:30Z").run().ok().text()
}

/// Every sample by its name and labels.
fn samples(text: &str) -> BTreeMap<&str, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| (name, value.parse().unwrap())).collect()
}

#[test]
fn counts_and_states_are_told_by_webhook() {
    let env = filled();
    let text = metrics(&env);
    let samples = samples(&text);
    let name = r#"webhook="a \"b\" \\ c""#;
    let expected = [
        (r#"hookctl_build_info{version="0.1.0"}"#.to_owned(), 1.0),
        (format!("hookctl_backlog_deliveries{{{name}}}"), 1.0),
        (format!("hookctl_oldest_due_age_seconds{{{name}}}"), 90.0),
        (format!("hookctl_deliveries_created_total{{{name}}}"), 4.0),
        (format!("hookctl_deliveries{{{name},status=\"success\"}}"), 2.0),
        (format!("hookctl_deliveries{{{name},status=\"failed\"}}"), 1.0),
        (format!("hookctl_deliveries{{{name},status=\"pending\"}}"), 1.0),
        (format!("hookctl_attempts_total{{{name},outcome=\"success\"}}"), 2.0),
        (format!("hookctl_attempts_total{{{name},outcome=\"http_error\"}}"), 1.0),
        (format!("hookctl_attempt_duration_seconds_bucket{{{name},le=\"+Inf\"}}"), 3.0),
        (format!("hookctl_attempt_duration_seconds_count{{{name}}}"), 3.0),
        (format!("hookctl_webhook_active{{{name}}}"), 1.0),
        (r#"hookctl_webhook_active{webhook="off"}"#.to_owned(), 0.0),
        (r#"hookctl_webhook_breaker_open{webhook="off"}"#.to_owned(), 0.0),
        (r#"hookctl_attempts_total{webhook="off",outcome="success"}"#.to_owned(), 0.0),
        (r#"hookctl_backlog_deliveries{webhook="off"}"#.to_owned(), 0.0),
    ];
    for (sample, value) in expected {
        assert_eq!(samples.get(sample.as_str()), Some(&value), "{sample}\n{text}");
    }
}

#[test]
fn pruning_the_log_takes_nothing_from_a_counter() {
    let env = filled();
    let counters = |text: &str| -> BTreeMap<String, f64> {
        let is_counter = |name: &str| name.contains("_total{") || name.contains("_duration_seconds_");
        samples(text)
            .into_iter()
            .filter(|(name, _)| is_counter(name))
            .map(|(name, value)| (name.to_owned(), value))
            .collect()
    };
    let before = metrics(&env);
    env.hookctl(["delivery", "prune", "--older-than", "1d", "--yes"]).now("2026-02-01T00:00:00Z").run().ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM attempts"), "0");
    let after = metrics(&env);
    assert_eq!(counters(&after), counters(&before));
    let of_status = |text: &str, status: &str| -> f64 {
        let named = format!("status=\"{status}\"");
        samples(text).iter().filter(|(name, _)| name.contains(&named)).map(|(_, value)| value).sum()
    };
    for status in ["success", "failed", "cancelled"] {
        assert_eq!(of_status(&after, status).to_bits(), of_status(&before, status).to_bits(), "{status}");
    }
}

#[test]
fn a_file_is_replaced_and_everybody_may_read_it() {
    let env = filled();
    let path = env.file("hookctl.prom", "old");
    for umask in ["077", "022"] {
        let script = format!("umask {umask}; exec \"$0\" metrics --file hookctl.prom");
        let status = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_hookctl")])
            .current_dir(env.path())
            .env("HOOKCTL_DB", env.address())
            .status()
            .unwrap();
        assert!(status.success());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert!(std::fs::read_to_string(&path).unwrap().contains("hookctl_build_info"));
    }
    let left: Vec<_> = std::fs::read_dir(env.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("tmp")), "{left:?}");
    env.hookctl(["metrics", "--file", "no/such/folder.prom"]).run().fails(1);
}

#[test]
fn without_a_database_there_is_the_build_alone() {
    let env = TestEnv::new();
    let text = metrics(&env);
    assert_eq!(samples(&text).len(), 1, "{text}");
    assert!(!env.is_made());
}

#[test]
fn promtool_finds_nothing_to_say() {
    let Some(promtool) = installed(&["promtool"], "prometheus") else { return };
    for text in [metrics(&filled()), metrics(&TestEnv::new())] {
        let mut promtool = Command::new(promtool)
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = promtool.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && told.is_empty(), "{told}\n{text}");
    }
}

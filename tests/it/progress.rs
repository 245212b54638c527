//! Long tasks tell a person at a terminal how far they are, and nobody else.

use std::time::Duration;

use crate::support::{Hookctl, Reply, Script, TestEnv, TestReceiver};

const ENTRIES: usize = 1_200;

/// A database with a webhook, and a batch of events for it.
fn filled(url: &str) -> TestEnv {
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "crm", "--url", url, "-e", "*", "--max-retries", "1"]).run().ok();
    env.file("events.jsonl", "{\"type\":\"invoice.paid\",\"data\":{}}\n".repeat(ENTRIES));
    env
}

/// Asserts that a terminal shows these parts of a progress line, one after the other, and clears it at the end.
#[track_caller]
fn shows(run: Hookctl, parts: &[&str], code: i32) {
    let mut terminal = run.watched(80);
    for part in parts {
        terminal.shows(part);
    }
    let shown = terminal.ends().ended_with(code);
    let last = shown.raw.rfind(" left").unwrap();
    assert!(shown.raw[last..].contains("\u{1b}[2K"), "it is left there\n{}", shown.raw);
}

#[test]
fn each_long_task_tells_done_rate_failures_and_time_left() {
    // A success now and then keeps the breaker closed.
    let turn = std::sync::atomic::AtomicUsize::new(0);
    let receiver = TestReceiver::start(Script::each(move |_| {
        let is_success = turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % 4 == 3;
        Reply::StatusAfter(Duration::from_millis(8), if is_success { 200 } else { 500 })
    }));
    let env = filled(&receiver.url());
    shows(env.hookctl(["emit", "--batch", "events.jsonl", "--enqueue"]), &["Reading [", "/1,200", "/s", " left"], 0);
    shows(
        env.hookctl(["drain", "--limit", "1000", "--strict"]),
        &["Draining [", "/1,200", "/s", " failed", " left"],
        5,
    );
    shows(
        env.hookctl(["delivery", "retry", "--status", "retrying", "--limit", "600"]),
        &["Retrying [", "/600", "/s", " failed", " left"],
        5,
    );
    if !env.is_on_server() {
        shows(env.hookctl(["db", "backup", "copy.db"]), &["Backing up [", "/s", " left"], 0);
    }
    env.hookctl(["delivery", "cancel", "-w", "crm", "--yes"]).run().ok();
    let prune = ["delivery", "prune", "--older-than", "0", "--yes"];
    shows(env.hookctl(prune), &["Pruning [", "/1,200", "/s", " left"], 0);
    shows(env.hookctl(["emit", "--batch", "events.jsonl"]), &["Delivering [", "/1,200", "/s", " failed", " left"], 0);
}

#[test]
fn nobody_is_told_without_a_terminal_or_with_quiet() {
    let receiver = TestReceiver::start(200);
    let env = filled(&receiver.url());
    let quiet = env.hookctl(["emit", "--batch", "events.jsonl", "-q", "-o", "json"]).watched(80).ends().ended_with(0);
    assert!(quiet.text().starts_with('{'), "{}", quiet.raw);
    let piped = env.hookctl(["emit", "--batch", "events.jsonl"]).time_limit(Duration::from_secs(60)).run().ok();
    assert_eq!(piped.err(), "");
    let drained = env.hookctl(["drain"]).run().ok();
    assert_eq!(drained.err().lines().count(), 1, "{drained:?}");
}

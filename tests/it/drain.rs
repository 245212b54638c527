//! `drain`: what is due is attempted, within the limits it is given.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Reply, TestEnv, TestReceiver};

const SOON: Duration = Duration::from_secs(20);

fn create(env: &TestEnv, name: &str, url: &str, more: &[&str]) {
    env.hookctl(["webhook", "create", name, "--url", url, "-e", "*"]).args(more.iter().copied()).run().ok();
}

fn enqueue(env: &TestEnv, count: usize) {
    let lines = "{\"type\":\"task.created\"}\n".repeat(count);
    env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(lines).run().ok();
}

#[track_caller]
fn drain(env: &TestEnv, arguments: &[&str]) -> Value {
    env.hookctl([&["drain", "-o", "json"], arguments].concat()).run().ok().json()
}

#[test]
fn a_limit_leaves_the_rest_due() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &[]);
    enqueue(&env, 10);
    let drained = drain(&env, &["--limit", "4"]);
    assert_eq!((&drained["claimed"], &drained["remaining_due"]), (&4.into(), &6.into()));
    assert_eq!(receiver.count(), 4);
    assert_eq!(drain(&env, &[])["claimed"], 6);
}

#[test]
fn the_time_it_may_take_is_kept() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::StatusAfter(Duration::from_millis(100), 200)));
    create(&env, "crm", &receiver.url(), &[]);
    enqueue(&env, 200);
    // A process that is held up for so long claims nothing; the next one may.
    let run = || drain(&env, &["--concurrency", "1", "--max-time", "300ms"]);
    let drained = (0..20).map(|_| run()).find(|drained| drained["claimed"] != 0).unwrap();
    let (claimed, left) = (drained["claimed"].as_u64().unwrap(), drained["remaining_due"].as_u64().unwrap());
    assert!(left > 0 && claimed + left == 200, "{drained}");
    assert_eq!(receiver.count() as u64, claimed);
}

#[test]
fn named_webhooks_alone_are_drained() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for name in ["a", "b", "c"] {
        create(&env, name, &receiver.url_at(&format!("/{name}")), &[]);
    }
    enqueue(&env, 2);
    assert_eq!(drain(&env, &["-w", "a", "-w", "3"])["claimed"], 4);
    assert_eq!(["/a", "/b", "/c"].map(|path| receiver.requests_at(path).len()), [2, 0, 2]);
    env.hookctl(["drain", "-w", "nobody"]).run().fails(3);
}

#[test]
fn retries_wait_for_their_time_unless_all_are_asked_for() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([500, 200]));
    create(&env, "crm", &receiver.url(), &[]);
    env.hookctl(["emit", "task.created"]).run().ok();
    assert_eq!(drain(&env, &[])["claimed"], 0);
    assert_eq!(drain(&env, &["--all"])["succeeded"], 1);
}

#[test]
fn a_retry_after_lengthens_the_delay() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::with_header(503, "Retry-After", "600")));
    create(&env, "crm", &receiver.url(), &[]);
    let emitted = env.hookctl(["emit", "task.created", "-o", "json"]).now("2026-01-31T12:00:00Z").run().ok().json();
    let next = emitted["deliveries"][0]["next_retry_at"].as_str().unwrap().to_owned();
    assert!(next.as_str() >= "2026-01-31T12:10:00.000Z", "{next}");
}

#[test]
fn a_dry_run_counts_by_webhook_and_sends_nothing() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "a", &receiver.url(), &[]);
    create(&env, "b", &receiver.url(), &["--inactive"]);
    enqueue(&env, 3);
    let told = env.hookctl(["drain", "--dry-run", "-o", "json"]).run().ok().json();
    assert_eq!(told, serde_json::json!([{"webhook": "a", "due": 3}]));
    for (limit, is_told) in [("2", true), ("3", false)] {
        let told = env.hookctl(["drain", "--dry-run", "--limit", limit]).run().ok().err();
        assert_eq!(told.contains(&format!("no more than {limit} would be sent")), is_told, "{told}");
    }
    assert_eq!(receiver.count(), 0);
}

#[test]
fn the_summary_is_one_line_on_stderr() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([200, 500]));
    create(&env, "crm", &receiver.url(), &[]);
    enqueue(&env, 2);
    let run = env.hookctl(["drain"]).run().ok();
    assert_eq!(run.text(), "");
    let line = run.err();
    assert!(
        line.starts_with("2 attempted in ") && line.ends_with("s: 1 delivered, 1 to be retried, 0 failed\n"),
        "{line}"
    );
}

#[test]
fn a_watch_takes_what_comes_and_ends_well_on_sigterm() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &[]);
    let watch = env.hookctl(["drain", "--watch", "50ms", "-o", "json"]).spawn();
    for count in 1..=2 {
        enqueue(&env, 1);
        receiver.wait_for(count, SOON);
    }
    watch.signal("TERM");
    let told = watch.wait_timeout(SOON).fails(143).json();
    assert_eq!(told["succeeded"], 2);
}

#[test]
fn invalid_limits_are_refused() {
    let env = TestEnv::new();
    for arguments in [["--limit", "0"], ["--limit", "-1"], ["--max-time", "x"], ["--concurrency", "513"]] {
        let run = env.hookctl(["drain"]).args(arguments).run().fails(2);
        assert!(run.err().contains(arguments[0]) || run.err().contains(arguments[1]), "{run:?}");
    }
}

//! Events of the past, delivered after all: which ones, to whom, in which order.

use std::time::Duration;

use crate::support::{TestEnv, TestReceiver, second};

fn ids(receiver: &TestReceiver) -> Vec<String> {
    let id = |request: &crate::support::Recorded| request.json()["event_id"].as_str().unwrap().to_owned();
    receiver.requests().iter().map(id).collect()
}

/// Events that nobody wanted when they were emitted: `old-task`, `old-invoice`, `new-task`, at seconds 0, 10 and 20.
fn history() -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for (seconds, event_type, id) in
        [(0, "task.created", "old-task"), (10, "invoice.paid", "old-invoice"), (20, "task.updated", "new-task")]
    {
        env.at(seconds, &["emit", event_type, "--event-id", id]).ok();
    }
    (env, receiver)
}

#[test]
fn a_fresh_webhook_gets_history_oldest_first_as_far_as_it_wants_it() {
    let (env, receiver) = history();
    env.create("fresh", &receiver.url(), &["-e", "task.*"]);
    let previewed = env.json_at(30, &["event", "resend", "--missing", "-w", "fresh", "--dry-run"]);
    assert_eq!(
        previewed,
        serde_json::json!({"events": 2, "deliveries": 2, "by_webhook": [{"webhook": "fresh", "deliveries": 2}]})
    );
    assert_eq!((receiver.count(), env.statuses()), (0, String::new()), "a preview stores nothing");
    let resent = env.json_at(30, &["event", "resend", "--missing", "-w", "fresh", "--concurrency", "1"]);
    assert_eq!((&resent["deliveries"], &resent["succeeded"]), (&2.into(), &2.into()), "{resent}");
    assert_eq!(ids(&receiver), ["old-task", "new-task"]);
    let again = env.at(31, &["event", "resend", "--missing", "-w", "fresh"]).ok();
    assert!(again.err().contains("nothing to resend"), "{again:?}");
    assert_eq!(receiver.count(), 2);
}

#[test]
fn to_backfill_a_webhook_that_is_active_names_the_command_that_delivers_what_it_misses() {
    let (env, receiver) = history();
    env.create("late one", &receiver.url(), &[]);
    let told = env.at(30, &["webhook", "enable", "late one", "--backfill"]).ok();
    let command = "hookctl event resend --missing -w 'late one'";
    assert!(told.err().contains("was not disabled") && told.err().contains(command), "{told:?}");
    assert_eq!(env.statuses(), "");
    env.at(31, &["event", "resend", "--missing", "-w", "late one"]).ok();
    assert_eq!(receiver.count(), 3);
}

#[test]
fn filters_and_a_limit_choose_the_events() {
    let (env, receiver) = history();
    env.create("all", &receiver.url(), &[]);
    let previewed = |flags: &[&str]| {
        let shown = env.json_at(30, &[&["event", "resend", "--dry-run"], flags].concat());
        (shown["events"].as_u64().unwrap(), shown["deliveries"].as_u64().unwrap())
    };
    for (flags, events) in [
        (&["--missing"][..], 3),
        (&["--type", "task.*"], 2),
        (&["--type", "invoice.paid"], 1),
        (&["--since", "2026-01-01T00:00:10Z"], 2),
        (&["--until", "2026-01-01T00:00:10Z"], 1),
        (&["--since", "21s", "--until", "15s"], 1),
        (&["--missing", "--limit", "2"], 2),
        (&["--type", "none.such"], 0),
        (&["--owner", "none"], 3),
        (&["--owner", "acme"], 0),
    ] {
        assert_eq!(previewed(flags), (events, events), "{flags:?}");
    }
    for flags in [&["--limit", "0"][..], &[], &["-w", "all"], &["--type", "a b"], &["old-task", "--since", "1h"]] {
        env.at(30, &[&["event", "resend"], flags].concat()).fails(2);
    }
    for (second, expected) in [(30, "old-task"), (31, "old-invoice"), (32, "new-task")] {
        env.at(second, &["event", "resend", "--missing", "--limit", "1"]).ok();
        assert_eq!(ids(&receiver).last().map(String::as_str), Some(expected), "it goes on where it was");
    }
}

#[test]
fn named_webhooks_get_events_whatever_they_subscribe_to_unless_the_missing_are_meant() {
    let (env, receiver) = history();
    env.create("tasks", &receiver.url(), &["-e", "task.*"]);
    env.at(30, &["event", "resend", "--missing", "-w", "tasks", "--type", "invoice.*"]).ok();
    assert_eq!(receiver.count(), 0);
    env.at(30, &["event", "resend", "-w", "tasks", "--type", "invoice.*"]).ok();
    assert_eq!(ids(&receiver), ["old-invoice"]);
    env.at(31, &["event", "resend", "-w", "tasks", "--type", "*"]).ok();
    let mut sent = ids(&receiver).split_off(1);
    sent.sort_unstable();
    assert_eq!(sent, ["new-task", "old-invoice", "old-task"], "what it had is delivered again");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries"), "3", "by the same delivery");
    let several = env.json_at(32, &["event", "resend", "old-task", "new-task", "-w", "tasks", "--dry-run"]);
    assert_eq!((&several["events"], &several["deliveries"]), (&2.into(), &2.into()));
}

#[test]
fn history_stays_with_its_owner_and_a_webhook_is_not_told_of_itself() {
    let (env, receiver, failing) = (TestEnv::new(), TestReceiver::start(200), TestReceiver::start(500));
    let create = |name: &str, url: &str, owner: &str| {
        env.hookctl([
            "webhook",
            "create",
            name,
            "--url",
            url,
            "-e",
            "*,delivery.*",
            "--owner",
            owner,
            "--max-retries",
            "0",
        ])
        .run()
        .ok();
    };
    create("acme", &failing.url(), "acme");
    for (id, owner) in [("for-acme", "acme"), ("for-globex", "globex"), ("for-all", "none")] {
        env.at(0, &["emit", "task.created", "--event-id", id, "--owner", owner]);
    }
    create("globex", &receiver.url(), "globex");
    create("operator", &receiver.url(), "none");
    let by_webhook = |flags: &[&str]| {
        let shown = env.json_at(10, &[&["event", "resend", "--missing", "--dry-run"], flags].concat());
        shown["by_webhook"].clone()
    };
    assert_eq!(
        by_webhook(&[]),
        serde_json::json!([{"webhook": "globex", "deliveries": 2}, {"webhook": "operator", "deliveries": 3}]),
        "the operator's is for-all and what is about acme's failures"
    );
    let crossed = env.at(10, &["event", "resend", "for-acme", "-w", "globex"]).fails(2);
    assert!(crossed.err().contains("event for-acme has owner 'acme', 'globex' has owner 'globex'"), "{crossed:?}");
    env.at(10, &["event", "resend", "--type", "*", "-w", "globex", "--enqueue"]).ok();
    let sent = env.sql(
        "SELECT e.event_id FROM deliveries d JOIN events e ON e.id = d.event_id JOIN webhooks w ON w.id = d.webhook_id
         WHERE w.name = 'globex' ORDER BY 1",
    );
    assert_eq!(sent, [["for-all"], ["for-globex"]]);
}

#[test]
fn a_hundred_thousand_missed_events_are_caught_up_and_a_kill_in_between_loses_and_repeats_none() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.at(0, &["webhook", "disable", "crm"]).ok();
    let is_long = crate::fault::scale() > 1;
    let count = if is_long { 100_000 } else { 25_000 };
    let mut lines = String::new();
    for number in 1..=count {
        lines += &format!("{{\"type\":\"task.created\",\"event_id\":\"e-{number:06}\"}}\n");
    }
    env.hookctl(["emit", "--batch", "-", "--enqueue", "-q"]).stdin(lines).now(&second(1)).run().ok();
    let enable = env.hookctl(["webhook", "enable", "crm", "--backfill"]).now(&second(2)).spawn();
    std::thread::sleep(Duration::from_millis(300));
    enable.kill();
    let enabled = env.json_at(3, &["webhook", "enable", "crm", "--backfill"]);
    assert_eq!(enabled[0]["waiting"], count, "{enabled}");
    let order = "SELECT count(*) FROM (SELECT id, lag(id) OVER (ORDER BY event_id) AS one_before FROM deliveries) o
                 WHERE one_before > id";
    assert_eq!(env.sql_value(order), "0", "in the order of the events");
    assert_eq!(env.webhook_at(3, "crm")["total_deliveries"], count);
    env.hookctl(["db", "check"]).run().ok();
    if is_long {
        env.hookctl(["drain", "-q"]).now(&second(4)).time_limit(Duration::from_secs(600)).run().ok();
        assert_eq!(receiver.count(), count);
    }
}

//! The dead letter desk: retry, cancel, resend, and what disable and enable say of what waits.

use serde_json::Value;

use crate::fault::PATIENCE;
use crate::support::{Reply, TestEnv, TestReceiver};

/// A webhook with so many deliveries that failed for good at second 0.
fn failed(count: usize) -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(500));
    env.create("crm", &receiver.url(), &["--retry-schedule", "10s"]);
    env.enqueue(0, count);
    env.at(0, &["drain"]).ok();
    env.at(20, &["drain"]).ok();
    assert_eq!(env.statuses(), format!("failed {count}"));
    receiver.now_answers(200);
    (env, receiver)
}

fn numbers(value: &Value, keys: &[&str]) -> Vec<i64> {
    keys.iter().map(|key| value[key].as_i64().unwrap_or_else(|| panic!("no {key} in {value}"))).collect()
}

#[test]
fn a_retried_delivery_keeps_its_event_and_attempts_and_gets_a_fresh_budget() {
    let (env, receiver) = failed(1);
    receiver.now_answers([500, 500, 200]);
    let retried = env.at(100, &["delivery", "retry", "1", "-o", "json"]).fails(5).json();
    assert_eq!(numbers(&retried, &["retried", "claimed", "retrying"]), [1, 1, 1]);
    assert_eq!(env.json_at(120, &["drain"])["failed"], 1, "one retry, as its schedule has");
    env.at(200, &["delivery", "retry", "1"]).ok();
    let shown = env.json_at(200, &["delivery", "show", "1"]);
    let attempts = shown["attempts"].as_array().unwrap();
    let triggers: Vec<_> = attempts.iter().map(|attempt| attempt["trigger"].as_str().unwrap()).collect();
    assert_eq!(triggers, ["scheduled", "scheduled", "manual", "scheduled", "manual"]);
    assert!(receiver.requests().iter().all(|request| request.header("webhook-id") == Some("e-0001")));
    let webhook = env.webhook_at(200, "crm");
    let counters = numbers(&webhook, &["total_deliveries", "successful_deliveries", "failed_deliveries"]);
    assert_eq!(counters, [1, 1, 0], "counted by where it is now");
}

#[test]
fn a_preview_counts_by_webhook_and_changes_nothing() {
    let (env, receiver) = failed(3);
    let before = receiver.count();
    for verb in ["retry", "cancel"] {
        let status = if verb == "retry" { "failed" } else { "pending,retrying" };
        let preview = env.json_at(100, &["delivery", verb, "--status", status, "--dry-run"]);
        let expected = if verb == "retry" { "[{\"webhook\":\"crm\",\"deliveries\":3}]" } else { "[]" };
        assert_eq!(preview, serde_json::from_str::<Value>(expected).unwrap());
    }
    assert_eq!((env.statuses().as_str(), receiver.count()), ("failed 3", before));
}

#[test]
fn each_filter_finds_what_it_names() {
    let (env, receiver) = failed(2);
    env.create("other", &receiver.url(), &["-e", "invoice.*", "--max-retries", "0", "--timeout", "100ms"]);
    receiver.now_answers([Reply::Stall]);
    env.at(30, &["emit", "invoice.paid", "--data", "{}", "-w", "other"]).ok();
    let count = |filters: &[&str]| -> i64 {
        let preview = env.json_at(100, &[&["delivery", "retry", "--dry-run"], filters].concat());
        preview.as_array().unwrap().iter().map(|row| row["deliveries"].as_i64().unwrap()).sum()
    };
    // Also the two delivery.failed events that no webhook but `crm` itself would want: none.
    for (filters, found) in [
        (&["--status", "failed"][..], 3),
        (&["-w", "other"], 1),
        (&["--type", "invoice.*"], 1),
        (&["--type", "task.created"], 2),
        (&["--event-id", "e-0002"], 1),
        (&["--error-type", "timeout"], 1),
        (&["--error-type", "http_error"], 2),
        (&["--status-code", "5xx"], 2),
        (&["--status-code", "404"], 0),
        (&["--since", "80s"], 1),
        (&["--until", "2026-01-01T00:00:30Z"], 2),
        (&["--status", "success"], 0),
    ] {
        assert_eq!(count(filters), found, "{filters:?}");
    }
}

#[test]
fn a_limit_says_how_many_were_left_out() {
    let (env, _receiver) = failed(5);
    let run = env.at(100, &["delivery", "retry", "--status", "failed", "--limit", "2", "--enqueue", "-o", "json"]).ok();
    assert_eq!(numbers(&run.json(), &["retried", "left_out", "claimed"]), [2, 3, 0]);
    assert!(run.err().contains("3 more match and were left out by --limit"), "{run:?}");
    assert_eq!(env.statuses(), "failed 3, retrying 2");
    let run = env.at(100, &["delivery", "retry", "--status", "failed", "--limit", "2", "--dry-run", "-o", "json"]).ok();
    assert_eq!(run.json()[0]["deliveries"], 2, "the preview keeps to the limit");
    assert!(run.err().contains("1 more match"), "{run:?}");
}

#[test]
fn enqueue_makes_due_and_sends_nothing() {
    let (env, receiver) = failed(2);
    let before = receiver.count();
    env.at(100, &["delivery", "retry", "1", "2", "--enqueue"]).ok();
    assert_eq!(receiver.count(), before);
    assert_eq!(env.json_at(100, &["drain"])["succeeded"], 2);
}

#[test]
fn what_waits_can_be_cancelled_by_id_and_by_filter() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(500));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 4);
    env.at(0, &["drain", "--limit", "1"]).ok();
    let cancelled = env.json_at(1, &["delivery", "cancel", "1"]);
    assert_eq!(numbers(&cancelled, &["cancelled", "finished"]), [1, 0]);
    env.at(1, &["delivery", "cancel", "-w", "crm"]).fails(2);
    assert_eq!(env.statuses(), "cancelled 1, pending 3", "without --yes and a terminal nothing happens");
    let cancelled = env.json_at(1, &["delivery", "cancel", "-w", "crm", "--limit", "2", "--yes"]);
    assert_eq!(numbers(&cancelled, &["cancelled", "left_out"]), [2, 1]);
    assert_eq!(env.json_at(1, &["delivery", "cancel", "1"])["finished"], 1);
    env.at(1, &["delivery", "cancel", "99"]).fails(3);
    assert_eq!(env.json_at(1_000, &["drain"])["claimed"], 1);
}

#[test]
fn a_cancelled_delivery_that_is_under_way_is_recorded_and_not_retried() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::WhenReleased(500)));
    env.create("crm", &receiver.url(), &["--retry-delay", "0s"]);
    env.enqueue(0, 1);
    let drain = env.hookctl(["drain"]).spawn();
    receiver.wait_for(1, PATIENCE);
    env.hookctl(["delivery", "cancel", "1"]).run().ok();
    receiver.release();
    drain.wait_timeout(PATIENCE).ok();
    assert_eq!((env.statuses().as_str(), receiver.count()), ("cancelled 1", 1));
    assert_eq!(env.sql_value("SELECT count(*) FROM attempts"), "1");
}

#[test]
fn a_retry_leaves_alone_what_is_being_attempted() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::WhenReleased(200)));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 1);
    let drain = env.hookctl(["drain"]).spawn();
    receiver.wait_for(1, PATIENCE);
    for meant in [&["1"][..], &["--status", "pending"]] {
        let run = env.hookctl([&["delivery", "retry", "-o", "json"], meant].concat()).run().ok();
        assert_eq!(numbers(&run.json(), &["retried", "busy", "claimed"]), [0, 1, 0]);
        assert!(run.err().contains("1 are in flight"), "{run:?}");
    }
    receiver.release();
    drain.wait_timeout(PATIENCE).ok();
    assert_eq!((env.statuses().as_str(), receiver.count()), ("success 1", 1));
}

#[test]
fn an_old_event_goes_to_webhooks_that_did_not_have_it() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("first", &receiver.url_at("/first"), &[]);
    env.emit_at(0, "old");
    env.create("second", &receiver.url_at("/second"), &[]);
    env.at(10, &["event", "resend", "old"]).ok();
    env.at(11, &["event", "resend", "old"]).ok();
    assert_eq!((receiver.requests_at("/first").len(), receiver.requests_at("/second").len()), (1, 1));
    env.at(12, &["event", "resend", "old", "-w", "first"]).ok();
    assert_eq!(receiver.requests_at("/first").len(), 2, "a named webhook gets it again");
    assert!(receiver.requests().iter().all(|request| request.header("webhook-id") == Some("old")));
}

#[test]
fn disable_says_how_many_wait_and_enable_how_many_resume() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 3);
    let disabled = env.at(0, &["webhook", "disable", "crm", "-o", "json"]).ok();
    assert_eq!(disabled.json()[0]["waiting"], 3);
    assert!(disabled.err().contains("3 deliveries wait"), "{disabled:?}");
    assert_eq!(env.json_at(0, &["drain"])["claimed"], 0);
    let enabled = env.at(0, &["webhook", "enable", "crm", "-o", "json"]).ok();
    assert!(enabled.err().contains("3 deliveries go out"), "{enabled:?}");
    let cancelled = env.json_at(0, &["webhook", "disable", "crm", "--cancel"]);
    assert_eq!(numbers(&cancelled[0], &["waiting", "cancelled_deliveries"]), [0, 3]);
    env.at(0, &["webhook", "enable", "crm"]).ok();
    assert_eq!((env.json_at(0, &["drain"])["claimed"].as_i64(), receiver.count()), (Some(0), 0));
}

#[test]
fn ten_thousand_failed_deliveries_are_previewed_enqueued_and_drained() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 10_000);
    env.sql_write(
        "UPDATE deliveries SET status = 'failed', due_at = NULL, attempt_count = 1, error_type = 'timeout',
            completed_at = created_at; UPDATE webhook_state SET failed_deliveries = 10000",
    );
    let filter = ["delivery", "retry", "--status", "failed", "--error-type", "timeout"];
    let preview = env.json_at(100, &[&filter[..], &["--dry-run"]].concat());
    assert_eq!(preview[0]["deliveries"], 10_000);
    let enqueued = env.at(100, &[&filter[..], &["--enqueue", "-o", "json"]].concat()).ok();
    assert_eq!(enqueued.json()["retried"], 10_000);
    assert_eq!(env.webhook_at(100, "crm")["failed_deliveries"], 0);
    assert_eq!(env.json_at(100, &["drain"])["succeeded"], 10_000);
    assert_eq!(receiver.count(), 10_000);
}

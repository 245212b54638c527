//! Pruning the log.

use std::time::Duration;

use serde_json::Value;

use crate::support::{TestEnv, TestReceiver};

const DAY: i64 = 86_400;

/// One delivery each: success, failed and cancelled on day 0, one that retries, one success on day 20; and an event of
/// day 0 that nobody wanted.
fn log() -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([200, 410, 200]));
    env.at(0, &["emit", "task.created", "--event-id", "unwanted", "--data", "{}"]).ok();
    env.create("crm", &receiver.url(), &["-e", "task.*"]);
    env.emit_at(0, "success");
    env.emit_at(0, "failed");
    env.at(0, &["webhook", "enable", "crm"]).ok();
    env.json_at(0, &["emit", "task.created", "--event-id", "cancelled", "--data", "{}", "--enqueue"]);
    env.at(0, &["delivery", "cancel", "3"]).ok();
    env.at(0, &["emit", "task.created", "--event-id", "waiting", "--data", "{}", "--enqueue"]).ok();
    receiver.now_answers([500, 200]);
    env.at(0, &["drain"]).ok();
    env.emit_at(20 * DAY, "young");
    (env, receiver)
}

fn event_ids(env: &TestEnv) -> Vec<String> {
    let rows = env.sql("SELECT event_id FROM events WHERE event_type = 'task.created' ORDER BY id");
    rows.into_iter().map(|row| row[0].clone()).collect()
}

fn prune(env: &TestEnv, flags: &[&str]) -> Value {
    env.json_at(31 * DAY, &[&["delivery", "prune", "--older-than", "30d", "--yes"], flags].concat())
}

#[test]
fn old_finished_deliveries_go_with_their_attempts_and_events() {
    let (env, _receiver) = log();
    let before = env.webhook_at(31 * DAY, "crm");
    let pruned = prune(&env, &[]);
    assert_eq!(pruned["deleted_deliveries"], 3, "{pruned}");
    assert_eq!(event_ids(&env), ["waiting", "young"]);
    assert_eq!(env.statuses(), "retrying 1, success 1");
    assert_eq!(
        env.sql_value("SELECT count(*) FROM attempts WHERE delivery_id NOT IN (SELECT id FROM deliveries)"),
        "0"
    );
    let after = env.webhook_at(31 * DAY, "crm");
    for counter in ["total_deliveries", "successful_deliveries", "failed_deliveries"] {
        assert_eq!(before[counter], after[counter], "{counter}");
    }
    assert_eq!(prune(&env, &[])["deleted_deliveries"], 0);
}

#[test]
fn statuses_narrow_it_and_leave_events_without_deliveries_alone() {
    let (env, _receiver) = log();
    assert_eq!(prune(&env, &["--status", "failed,cancelled"])["deleted_deliveries"], 2);
    assert_eq!(event_ids(&env), ["unwanted", "success", "waiting", "young"]);
    env.at(31 * DAY, &["delivery", "prune", "--older-than", "1s", "--status", "retrying", "--yes"]).fails(2);
}

#[test]
fn an_event_stays_while_another_webhook_has_a_delivery_of_it() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([200, 500]));
    env.create("a", &receiver.url(), &["-e", "task.*"]);
    env.create("b", &receiver.url(), &["-e", "task.*", "--concurrency", "1"]);
    env.json_at(0, &["emit", "task.created", "--data", "{}", "--concurrency", "1"]);
    let pruned = prune(&env, &[]);
    assert_eq!((&pruned["deleted_deliveries"], &pruned["deleted_events"]), (&1.into(), &0.into()));
}

#[test]
fn a_preview_counts_by_webhook_and_status_and_deletes_nothing() {
    let (env, _receiver) = log();
    let preview = env.json_at(31 * DAY, &["delivery", "prune", "--older-than", "30d", "--dry-run"]);
    let counts: Vec<_> = preview.as_array().unwrap().iter().map(|row| (&row["status"], &row["deliveries"])).collect();
    assert_eq!(format!("{counts:?}").matches("Number(1)").count(), 3, "{preview}");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries"), "5");
}

#[test]
fn it_asks_first() {
    let (env, _receiver) = log();
    let refused = env.at(31 * DAY, &["delivery", "prune", "--older-than", "30d"]).fails(2);
    assert!(refused.err().contains("3 deliveries"), "{refused:?}");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries"), "5");
}

#[test]
fn a_delivery_that_was_retried_meanwhile_counts_from_its_last_attempt() {
    let (env, _receiver) = log();
    env.at(20 * DAY, &["delivery", "retry", "2"]).ok();
    assert_eq!(prune(&env, &[])["deleted_deliveries"], 2);
    assert_eq!(event_ids(&env), ["failed", "waiting", "young"]);
}

#[test]
fn who_emits_does_not_wait_for_it() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 10_000);
    env.sql_write("UPDATE deliveries SET status = 'success', due_at = NULL, completed_at = created_at");
    let mut prune = env.hookctl(["delivery", "prune", "--older-than", "1d", "--yes", "-o", "json"]).spawn();
    let (mut emitted, mut steps) = (0, std::collections::BTreeSet::new());
    while prune.is_running() {
        let run = env.hookctl(["emit", "task.created", "--data", "{}", "--enqueue"]).run().ok();
        assert!(run.took < Duration::from_secs(3), "{:?}", run.took);
        emitted += 1;
        steps.insert(env.sql_value("SELECT count(*) FROM deliveries WHERE status = 'success'"));
    }
    let pruned = prune.wait_timeout(Duration::from_secs(1)).ok().json();
    assert_eq!(pruned["deleted_deliveries"], 10_000);
    assert!(emitted > 1, "{emitted} emits while it ran");
    assert!(steps.len() > 3, "it goes in short transactions: {steps:?}");
}

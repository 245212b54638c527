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
    let rows =
        env.sql("SELECT event_id FROM events WHERE event_type = 'task.created' AND payload IS NOT NULL ORDER BY id");
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
        env.hookctl(["emit", "task.created", "--data", "{}", "--enqueue"]).run().ok();
        emitted += 1;
        steps.insert(env.sql_value("SELECT count(*) FROM deliveries WHERE status = 'success'"));
    }
    let pruned = prune.wait_timeout(Duration::from_secs(20)).ok().json();
    assert_eq!(pruned["deleted_deliveries"], 10_000);
    assert!(emitted > 1, "{emitted} emits while it ran");
    assert!(steps.len() > 3, "it goes in short transactions: {steps:?}");
}

/// What `db policy` says.
fn policy(env: &TestEnv, flags: &[&str]) -> Value {
    env.json_at(0, &[&["db", "policy"], flags].concat())
}

#[test]
fn an_event_that_was_pruned_is_remembered_as_duplicate_and_conflict() {
    let (env, _receiver) = log();
    prune(&env, &[]);
    let again = env.json_at(31 * DAY, &["emit", "task.created", "--event-id", "success", "--data", "{}"]);
    assert_eq!((&again["duplicate"], &again["deliveries"]), (&true.into(), &serde_json::json!([])));
    env.at(31 * DAY, &["emit", "task.created", "--event-id", "success", "--data", "1"]).fails(6);
    let shown = env.json_at(31 * DAY, &["event", "show", "success"]);
    assert_eq!((&shown["event_id"], &shown["payload"]), (&"success".into(), &Value::Null));
    assert!(env.at(31 * DAY, &["event", "show", "success"]).ok().text().contains("only its id is remembered"));
    for arguments in [&["event", "show", "success", "--payload"][..], &["event", "resend", "success", "-w", "crm"]] {
        let refused = env.at(31 * DAY, arguments).fails(3);
        assert!(refused.err().contains("was pruned"), "{refused:?}");
    }
    let listed = env.json_at(31 * DAY, &["event", "list", "--type", "task.created"]);
    assert_eq!(listed.as_array().unwrap().len(), 2, "{listed}");
    let missing = env.json_at(31 * DAY, &["event", "resend", "--missing", "-w", "crm", "--dry-run"]);
    assert_eq!(missing["events"], 0, "what is not there is not resent");
}

#[test]
fn drain_keeps_the_log_as_short_as_the_policy_says() {
    let (env, _receiver) = log();
    env.at(31 * DAY, &["drain", "-w", "crm", "--dry-run"]).ok();
    assert_eq!(policy(&env, &[])["keep_seconds"], Value::Null, "off until it is set");
    let set = policy(&env, &["--keep", "30d", "--keep-failed", "90d"]);
    assert_eq!((&set["keep_seconds"], &set["keep_failed_seconds"]), (&(30 * DAY).into(), &(90 * DAY).into()));
    env.at(25 * DAY, &["drain"]).ok();
    assert_eq!(event_ids(&env).len(), 6, "nothing is old enough");
    env.at(31 * DAY, &["drain", "-q"]).ok();
    assert_eq!(event_ids(&env), ["failed", "waiting", "young"]);
    env.at(91 * DAY, &["drain"]).ok();
    assert_eq!(event_ids(&env), [""; 0], "those that waited are finished, and long ago");
    let shown = policy(&env, &[]);
    assert_eq!(
        (&shown["pruned_deliveries"], &shown["pruned_events"]),
        (&5.into(), &8.into()),
        "two are about the webhook: {shown}"
    );
    assert_eq!(policy(&env, &["--off"])["keep_seconds"], Value::Null);
    env.hookctl(["db", "check"]).run().ok();
}

#[test]
fn a_database_that_holds_too_much_loses_its_oldest_finished_deliveries() {
    only_on_files!();
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    let line = |number: usize| {
        format!("{{\"type\":\"task.created\",\"event_id\":\"e-{number:04}\",\"data\":\"{}\"}}\n", "x".repeat(10_000))
    };
    let lines: String = (0..400).map(line).collect();
    env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(lines).run().ok();
    env.sql_write("UPDATE deliveries SET status = 'success', due_at = NULL, completed_at = created_at WHERE id <= 390");
    policy(&env, &["--max-size", "2M"]);
    let paused = env.hookctl(["webhook", "pause", "crm"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    let left: u64 = env.sql_value("SELECT count(*) FROM deliveries").parse().unwrap();
    assert!((100..250).contains(&left), "{left} left{paused:?}");
    assert_eq!(env.sql_value("SELECT min(id) FROM deliveries"), (401 - left).to_string(), "the oldest went");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE status = 'pending'"), "10");
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "400", "their ids are remembered");
}

#[test]
fn a_drain_that_watches_sends_while_it_prunes() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 10_000);
    env.sql_write("UPDATE deliveries SET status = 'success', due_at = NULL, completed_at = created_at");
    policy(&env, &["--keep", "1d"]);
    let drain = env.hookctl(["drain", "--watch", "200ms"]).spawn();
    for number in 0..5 {
        std::thread::sleep(Duration::from_millis(300));
        env.hookctl(["emit", "task.created", "--event-id", &format!("now-{number}"), "--enqueue"]).run().ok();
        receiver.wait_for(number + 1, Duration::from_secs(30));
    }
    let left: u64 = env.sql_value("SELECT count(*) FROM deliveries WHERE event_type = 'task.created'").parse().unwrap();
    drain.signal("TERM");
    drain.wait_timeout(Duration::from_secs(30)).fails(143);
    assert!(left < 10_000, "{left}");
}

#[test]
fn a_policy_that_cannot_be_is_refused() {
    let env = TestEnv::new();
    for flags in
        [["--keep", "0"], ["--keep", "x"], ["--max-size", "1"], ["--max-size", "2GB"], ["--keep-failed", "-1d"]]
    {
        let refused = env.hookctl(["db", "policy"]).args(flags).run().fails(2);
        assert!(refused.err().contains(flags[0]), "{refused:?}");
    }
    assert!(!env.database().exists());
}

//! A clock that is set back, forward, or far off.

use std::time::Duration;

use super::{PATIENCE, assert_whole, batch, count, moment, requests_by_event, subscribe};
use crate::support::{Reply, TestEnv, TestReceiver};

const DAY: i64 = 86_400;

fn drain(env: &TestEnv, now: &str) -> serde_json::Value {
    env.hookctl(["drain", "-o", "json"]).now(now).time_limit(Duration::from_secs(20)).run().ok().json()
}

#[test]
fn what_was_accepted_by_a_clock_ahead_is_sent_once_the_clock_is_set_back() {
    for ahead in [3_600, DAY, 400 * DAY] {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(200);
        subscribe(&env, &receiver, &["crm"], &[]);
        env.hookctl(["emit", "invoice.paid", "--enqueue"]).now(&moment(ahead)).run().ok();
        assert_eq!(drain(&env, &moment(0))["succeeded"], 1, "{ahead} s ahead");
        assert_whole(&env);
    }
}

#[test]
fn a_retry_that_a_clock_ahead_put_off_waits_no_longer_than_its_delay_and_does_not_come_early() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start([500, 200]);
    subscribe(&env, &receiver, &["crm"], &["--retry-delay", "1h"]);
    env.hookctl(["emit", "invoice.paid"]).now(&moment(100 * DAY)).run().ok();
    assert_eq!(drain(&env, &moment(0))["claimed"], 0, "its delay begins anew");
    assert_eq!(drain(&env, &moment(1_800))["claimed"], 0);
    assert_eq!(drain(&env, &moment(4_000))["succeeded"], 1, "and is not put off by looking");
    assert_whole(&env);
}

#[test]
fn a_claim_that_died_under_a_clock_ahead_is_not_held_for_ever() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).now(&moment(0)).run().ok();
    let lease = 1_893_456_000_000 + 400 * DAY * 1_000;
    env.sql_write(&format!("UPDATE deliveries SET claim_token = 7, due_at = {lease}"));
    assert_eq!(drain(&env, &moment(60))["claimed"], 0, "its process may live");
    assert_eq!(drain(&env, &moment(60 + 2 * 3_600))["succeeded"], 1);
    assert_whole(&env);
}

#[test]
fn a_clock_set_forward_makes_retries_due_and_sends_each_once() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    receiver.now_answers(500);
    let file = env.file("batch.jsonl", batch("e", 50));
    env.hookctl(["emit", "--batch"]).arg(file).now(&moment(0)).run().ok();
    receiver.now_answers(200);
    let first = receiver.count();
    assert_eq!(drain(&env, &moment(400 * DAY))["succeeded"], 50);
    assert_eq!(receiver.count() - first, 50);
    assert_whole(&env);
}

#[test]
fn at_the_far_ends_of_time_each_attempt_is_made_once_and_the_retry_waits() {
    for now in ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(500);
        subscribe(&env, &receiver, &["crm"], &["--retry-delay", "60s"]);
        env.hookctl(["emit", "invoice.paid"]).now(now).run().ok();
        assert_eq!(receiver.count(), 1, "{now}");
        assert_eq!(drain(&env, now)["claimed"], 0, "{now}: a retry is not due at once");
        assert_eq!(receiver.count(), 1, "{now}");
        // And back to a clock that is right.
        receiver.now_answers(200);
        drain(&env, &moment(0));
        assert_eq!(drain(&env, &moment(90))["remaining_due"], 0);
        assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 1, "{now}");
        assert_whole(&env);
    }
}

#[test]
fn a_hold_and_a_rate_limit_of_a_clock_ahead_stop_nothing_for_longer_than_they_may() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start([429, 200]);
    subscribe(&env, &receiver, &["crm"], &["--rate-limit", "10/h"]);
    env.hookctl(["emit", "invoice.paid"]).now(&moment(400 * DAY)).run().ok();
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).now(&moment(0)).run().ok();
    drain(&env, &moment(0));
    drain(&env, &moment(3_600));
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 2);
    assert_whole(&env);
}

#[test]
fn db_check_tells_of_rows_from_the_future() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    env.hookctl(["emit", "invoice.paid"]).now(&moment(DAY)).run().ok();
    env.hookctl(["db", "check"]).now(&moment(DAY)).run().ok();
    let run = env.hookctl(["db", "check", "-o", "json"]).now(&moment(0)).run().fails(1);
    let findings = run.json()["findings"].clone();
    assert!(findings.as_array().unwrap().iter().all(|finding| finding["check"] == "clock"), "{findings}");
}

#[test]
fn a_clock_stepped_forward_during_a_drain_repeats_only_what_is_under_way_and_records_each_once() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(1_500), 200));
    subscribe(&env, &receiver, &["crm"], &["--timeout", "20s"]);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch("e", 40)).now(&moment(0)).run().ok();
    let first = env.hookctl(["drain", "--concurrency", "4", "-o", "json"]).now(&moment(0)).spawn();
    receiver.wait_for(4, PATIENCE);
    // For another process, the leases of the first have ended.
    let second = env.hookctl(["drain", "--concurrency", "32", "-o", "json"]).now(&moment(3_600)).spawn();
    let reports = [first, second].map(|drain| drain.wait_timeout(PATIENCE).ok().json());
    let succeeded: u64 = reports.iter().map(|report| report["succeeded"].as_u64().unwrap()).sum();
    assert_eq!(succeeded, 40, "each is recorded once: {reports:?}");
    let requests = requests_by_event(&receiver);
    assert_eq!(requests.len(), 40);
    let repeated = requests.values().filter(|requests| **requests > 1).count();
    // Four were under way, and four claimed ahead; what the first claims later counts for the second as claimed by its clock.
    assert!((1..=8).contains(&repeated), "{repeated} repeated: {requests:?}");
    assert!(requests.values().all(|requests| *requests <= 2), "{requests:?}");
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 40);
    assert_whole(&env);
}

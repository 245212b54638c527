//! Ordered webhooks: one delivery at a time, in the order of emission.

use std::collections::HashSet;
use std::time::Duration;

use crate::support::{Reply, Script, TestEnv, TestReceiver, second};

/// An ordered webhook with three deliveries waiting: numbers 1, 2 and 3, of events e-0001 to e-0003.
fn three_waiting(receiver: &TestReceiver) -> TestEnv {
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &["--ordered", "--max-retries", "1", "--timeout", "5s"]);
    env.enqueue(0, 3);
    env
}

fn event_ids(receiver: &TestReceiver) -> Vec<String> {
    receiver.requests().iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect()
}

#[test]
fn two_hundred_events_arrive_in_order_through_three_processes_and_failures() {
    let receiver =
        TestReceiver::start(Script::each(|request| Reply::Status(if request.number % 3 == 0 { 500 } else { 200 })));
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &["--ordered", "--retry-delay", "5ms", "--max-retries", "20"]);
    env.enqueue(0, 200);
    let is_open = || env.sql_value("SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL") != "0";
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..400 {
                    if !is_open() {
                        return;
                    }
                    env.hookctl(["drain", "-q", "--all"]).run().ok();
                }
            });
        }
    });
    assert_eq!(env.statuses(), "success 200");
    let mut seen = HashSet::new();
    let first_arrivals: Vec<String> = event_ids(&receiver).into_iter().filter(|id| seen.insert(id.clone())).collect();
    let emitted: Vec<String> = (1..=200).map(|number| format!("e-{number:04}")).collect();
    assert_eq!(first_arrivals, emitted);
}

#[test]
fn never_more_than_one_request_is_under_way() {
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(10), 200));
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &["--ordered"]);
    env.enqueue(0, 20);
    env.at(0, &["drain"]).ok();
    assert_eq!((receiver.count(), receiver.most_at_once()), (20, 1));
}

#[test]
fn a_retrying_head_holds_the_ones_behind_it_until_it_succeeds() {
    let receiver = TestReceiver::start([500, 200]);
    let env = three_waiting(&receiver);
    let drained = env.json_at(0, &["drain"]);
    assert_eq!((&drained["claimed"], &drained["deferred"]), (&1.into(), &2.into()));
    assert_eq!(env.emit_at(1, "e-0004")[0]["status"], "pending", "emit waits in line");
    assert_eq!(env.json_at(70, &["drain"])["succeeded"], 4);
    assert_eq!(event_ids(&receiver), ["e-0001", "e-0001", "e-0002", "e-0003", "e-0004"]);
}

#[test]
fn a_retry_by_hand_goes_through_the_line_however_slow_the_receiver() {
    let receiver = TestReceiver::start([410]);
    let env = three_waiting(&receiver);
    for _ in 0..3 {
        env.at(0, &["webhook", "enable", "crm"]).ok();
        env.at(0, &["drain"]).ok();
    }
    assert_eq!(env.statuses(), "failed 3");
    env.at(0, &["webhook", "enable", "crm"]).ok();
    receiver.now_answers(Reply::StatusAfter(Duration::from_millis(300), 200));
    assert_eq!(env.json_at(1, &["delivery", "retry", "3", "1", "2"])["succeeded"], 3);
    assert_eq!(event_ids(&receiver)[3..], ["e-0001", "e-0002", "e-0003"]);
}

#[test]
fn a_retry_by_hand_from_before_the_one_under_way_waits_for_it() {
    let receiver = TestReceiver::start([Reply::Status(500), Reply::WhenReleased(200)]);
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &["--ordered", "--max-retries", "0"]);
    env.enqueue(0, 2);
    env.hookctl(["drain", "--limit", "1"]).run().ok();
    let drain = env.hookctl(["drain"]).spawn();
    receiver.wait_for(2, Duration::from_secs(30));
    let retried = env.hookctl(["delivery", "retry", "1", "-o", "json"]).run().fails(5);
    assert_eq!((&retried.json()["claimed"], receiver.count()), (&0.into(), 2), "one request at a time");
    receiver.release();
    drain.wait_timeout(Duration::from_secs(20)).ok();
    assert_eq!(event_ids(&receiver), ["e-0001", "e-0002", "e-0001"]);
    assert_eq!(env.statuses(), "success 2");
}

#[test]
fn a_head_that_fails_for_good_lets_the_next_go() {
    let receiver = TestReceiver::start([500, 500, 200]);
    let env = three_waiting(&receiver);
    env.at(0, &["drain"]).ok();
    let drained = env.json_at(70, &["drain", "-w", "crm"]);
    assert_eq!((&drained["failed"], &drained["succeeded"]), (&1.into(), &2.into()));
}

#[test]
fn a_head_that_is_cancelled_lets_the_next_go() {
    let receiver = TestReceiver::start([500, 200]);
    let env = three_waiting(&receiver);
    env.at(0, &["drain"]).ok();
    env.at(1, &["delivery", "cancel", "1"]).ok();
    assert_eq!(env.json_at(1, &["drain"])["succeeded"], 2);
    assert_eq!(event_ids(&receiver), ["e-0001", "e-0002", "e-0003"]);
}

#[test]
fn a_crash_holds_nothing_past_the_lease() {
    let receiver = TestReceiver::start(Reply::Stall);
    let env = three_waiting(&receiver);
    let drain = env.hookctl(["drain"]).now(&second(0)).spawn();
    receiver.wait_for(1, Duration::from_secs(10));
    drain.kill();
    receiver.now_answers(200);
    assert_eq!(env.json_at(24, &["drain"])["claimed"], 0, "the request could still be under way");
    assert_eq!(env.json_at(26, &["drain"])["succeeded"], 3);
    assert_eq!(event_ids(&receiver), ["e-0001", "e-0001", "e-0002", "e-0003"]);
}

#[test]
fn an_open_breaker_holds_the_line_and_its_probe_is_the_head() {
    let receiver = TestReceiver::start(200);
    let env = three_waiting(&receiver);
    let ahead = chrono::DateTime::parse_from_rfc3339(&second(60)).unwrap().timestamp_millis();
    env.sql_write(&format!(
        "UPDATE webhook_state SET breaker_failures = 5, breaker_open_until = {ahead}, breaker_pause_ms = 60000"
    ));
    assert_eq!(env.json_at(59, &["drain"])["claimed"], 0);
    assert_eq!(env.json_at(60, &["drain"])["succeeded"], 3);
    assert_eq!(event_ids(&receiver), ["e-0001", "e-0002", "e-0003"]);
}

#[test]
fn a_webhook_that_becomes_ordered_keeps_the_order_of_what_waits() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([500, 200]));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 3);
    env.at(0, &["webhook", "update", "crm", "--ordered"]).ok();
    assert_eq!(env.json_at(0, &["drain"])["claimed"], 1);
    assert_eq!(env.json_at(70, &["drain"])["succeeded"], 3);
}

#[test]
fn a_test_does_not_wait_in_line() {
    let receiver = TestReceiver::start([500, 200]);
    let env = three_waiting(&receiver);
    env.at(0, &["drain"]).ok();
    assert_eq!(env.json_at(1, &["webhook", "test", "crm"])["status"], "success");
    assert_eq!(env.json_at(70, &["drain"])["succeeded"], 3);
}

//! One webhook's trouble is its own: workers are shared, and settings that change count at once.

use std::time::Duration;

use crate::support::{Reply, TestEnv, TestReceiver};

/// How long until a receiver that takes 40 ms had its 200, in a drain with 8 workers, of which it holds half: one second.
fn time_of_good(with_silent: Option<&TestReceiver>) -> Duration {
    let env = TestEnv::new();
    let good = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(40), 200));
    if let Some(silent) = with_silent {
        env.create("silent", &silent.url(), &["--timeout", "5s"]);
    }
    env.create("good", &good.url(), if with_silent.is_some() { &[] } else { &["--concurrency", "4"] });
    env.enqueue(0, 100);
    let started = std::time::Instant::now();
    let drain = env.hookctl(["drain", "--concurrency", "8"]).spawn();
    let last = good.wait_for(100, Duration::from_secs(30))[99].at;
    drop(drain);
    last - started
}

#[test]
fn a_webhook_that_never_answers_does_not_slow_the_one_beside_it() {
    let silent = TestReceiver::start(Reply::Stall);
    // The best of three: the machine's noise only ever adds.
    let mut times = (0..3).map(|_| (time_of_good(None), time_of_good(Some(&silent))));
    let is_near = |(alone, beside): &(Duration, Duration)| *beside < *alone * 3 / 2;
    let slow: Vec<_> = times.by_ref().take_while(|times| !is_near(times)).collect();
    assert!(slow.len() < 3, "alone, and beside it: {slow:?}");
}

/// Deliveries to a receiver that does so and to one that takes 20 ms, in a drain with 8 workers: the connections to the
/// first, each kept alive, after 60 answers of the second.
fn connections_beside_a_good_one(reply: Reply) -> usize {
    let (env, other) = (TestEnv::new(), TestReceiver::start(reply));
    let good = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(20), 200));
    env.create("other", &other.url(), &["--timeout", "5s"]);
    env.create("good", &good.url(), &[]);
    env.enqueue(0, 100);
    let drain = env.hookctl(["drain", "--concurrency", "8"]).spawn();
    good.wait_for(60, Duration::from_secs(20));
    let connections = other.connections();
    drain.signal("TERM");
    drain.wait_timeout(Duration::from_secs(10)).fails(143);
    connections
}

#[test]
fn a_webhook_holds_no_more_than_half_of_the_workers_while_another_has_deliveries_due() {
    let connections = connections_beside_a_good_one(Reply::StatusAfter(Duration::from_millis(60), 200));
    assert!((2..=4).contains(&connections), "{connections}");
}

#[test]
fn a_webhook_whose_receiver_was_not_heard_yet_holds_an_eighth() {
    assert_eq!(connections_beside_a_good_one(Reply::Stall), 1);
}

/// 40 deliveries to a receiver that takes its time, and a drain that has sent 16 and claimed more.
fn in_the_middle() -> (TestEnv, TestReceiver, crate::support::Child) {
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(1_500), 200));
    let env = TestEnv::new();
    env.create("crm", &receiver.url_at("/old"), &[]);
    env.enqueue(0, 40);
    let drain = env.hookctl(["drain", "-o", "json"]).spawn();
    receiver.wait_for(16, Duration::from_secs(10));
    (env, receiver, drain)
}

#[test]
fn a_webhook_disabled_in_the_middle_of_a_drain_gets_nothing_more() {
    let (env, receiver, drain) = in_the_middle();
    env.hookctl(["webhook", "disable", "crm"]).run().ok();
    let report = drain.wait_timeout(Duration::from_secs(20)).ok().json();
    assert_eq!((report["succeeded"].as_i64(), receiver.count()), (Some(16), 16));
    assert_eq!(env.statuses(), "pending 24, success 16");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"), "0");
}

#[test]
fn a_webhook_that_another_process_finds_overloaded_gets_nothing_more() {
    let (env, receiver, drain) = in_the_middle();
    receiver.now_answers(503);
    env.hookctl(["emit", "task.created", "--event-id", "other"]).run().ok();
    let report = drain.wait_timeout(Duration::from_secs(20)).ok().json();
    assert_eq!((report["succeeded"].as_i64(), receiver.count()), (Some(16), 17));
    assert_eq!(env.statuses(), "pending 24, retrying 1, success 16");
}

#[test]
fn a_webhook_changed_in_the_middle_of_a_drain_gets_the_rest_by_its_new_settings() {
    let (env, receiver, drain) = in_the_middle();
    env.hookctl(["webhook", "update", "crm", "--url", &receiver.url_at("/new")]).run().ok();
    drain.wait_timeout(Duration::from_secs(20)).ok();
    assert_eq!((receiver.requests_at("/old").len(), receiver.requests_at("/new").len()), (16, 24));
    assert_eq!(env.statuses(), "success 40");
}

#[test]
fn a_webhook_deleted_in_the_middle_of_a_drain_gets_nothing_more() {
    let (env, receiver, drain) = in_the_middle();
    env.hookctl(["webhook", "delete", "crm", "--yes"]).run().ok();
    drain.wait_timeout(Duration::from_secs(20)).ok();
    assert_eq!(receiver.count(), 16);
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries"), "0");
}

#[test]
fn a_limit_bounds_the_attempts_of_all_webhooks_together() {
    let (env, bad, good) = (TestEnv::new(), TestReceiver::start(503), TestReceiver::start(200));
    env.create("bad", &bad.url(), &["--concurrency", "1"]);
    env.create("good", &good.url(), &[]);
    env.enqueue(0, 60);
    let report = env.json_at(0, &["drain", "--limit", "50", "--concurrency", "8"]);
    assert_eq!(report["claimed"], 50, "{report}");
    assert!(good.count() >= 40, "{report}");
}

#[test]
fn a_drain_ends_in_time_and_leaves_the_rest_due() {
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(100), 200));
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &["--concurrency", "2"]);
    env.enqueue(0, 200);
    let run = env.hookctl(["drain", "--max-time", "1s", "-o", "json"]).run().ok();
    assert!(run.took < Duration::from_secs(4), "{:?}", run.took);
    let sent = receiver.count();
    assert!((4..200).contains(&sent), "{sent}");
    assert_eq!(run.json()["remaining_due"], 200 - sent);
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"), "0");
}

#[test]
fn two_slow_receivers_leave_workers_to_a_third_whose_event_does_not_wait_for_them() {
    let env = TestEnv::new();
    let slow: Vec<TestReceiver> =
        (0..2).map(|_| TestReceiver::start(Reply::StatusAfter(Duration::from_secs(4), 200))).collect();
    let quick = TestReceiver::start(200);
    for (name, receiver) in [("slow-1", &slow[0]), ("slow-2", &slow[1])] {
        env.create(name, &receiver.url(), &["-e", "task.created"]);
    }
    env.create("quick", &quick.url(), &["-e", "invoice.paid"]);
    let lines = "{\"type\":\"task.created\",\"data\":{}}\n".repeat(60);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(lines).run().ok();
    let drain = env.hookctl(["drain", "--watch", "100ms"]).spawn();
    // The first requests of each were answered: both now hold as much as they may.
    let in_flight = || slow.iter().map(TestReceiver::count).sum::<usize>();
    slow.iter().for_each(|receiver| drop(receiver.wait_for(6, Duration::from_secs(15))));
    std::thread::sleep(Duration::from_millis(500));
    let answered = 4;
    assert!((8..=12).contains(&(in_flight() - answered)), "{} of 16 workers", in_flight() - answered);
    let emitted = std::time::Instant::now();
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    let arrived = quick.wait_for(1, Duration::from_secs(15))[0].at;
    assert!(arrived - emitted < Duration::from_millis(2_500), "{:?}", arrived - emitted);
    drain.kill();
}

#[test]
fn a_concurrency_that_was_given_holds_across_eight_drains() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(60), 200));
    env.create("crm", &receiver.url(), &["--concurrency", "1"]);
    env.enqueue(0, 25);
    let drains: Vec<_> = (0..8).map(|_| env.hookctl(["drain", "--watch", "50ms"]).spawn()).collect();
    let requests = receiver.wait_for(25, Duration::from_secs(40));
    drains.iter().for_each(|drain| drain.signal("TERM"));
    let gaps: Vec<Duration> = requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let least = gaps.iter().min().unwrap();
    assert!(*least >= Duration::from_millis(60), "two at once: {gaps:?}");
}

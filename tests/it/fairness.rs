//! One webhook's trouble is its own: workers are shared, and settings that change count at once.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::{Child, Reply, TestEnv, TestReceiver, wait_until};

/// For what a loaded machine may hold up.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn a_webhook_that_never_answers_does_not_slow_the_one_beside_it() {
    let (env, silent) = (TestEnv::new(), TestReceiver::start(Reply::Stall));
    let good = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(40), 200));
    env.create("silent", &silent.url(), &["--timeout", "5m"]);
    env.create("good", &good.url(), &[]);
    env.enqueue(0, 100);
    let drain = env.hookctl(["drain", "--concurrency", "8"]).spawn();
    good.wait_for(100, PATIENCE);
    // Each worker that sends to it has a connection.
    assert!(good.connections() >= 4, "half of the workers: {}", good.connections());
    drop(drain);
}

/// The requests in flight to a receiver that stops answering after that many, beside one that does so after 60, in a drain
/// with 8 workers. Both have deliveries due until the end.
fn in_flight_beside_a_good_one(answered: usize, at_least: usize) -> usize {
    let mut replies = vec![Reply::Status(200); answered];
    replies.push(Reply::Stall);
    let (env, other) = (TestEnv::new(), TestReceiver::start(replies));
    let mut replies = vec![Reply::StatusAfter(Duration::from_millis(20), 200); 60];
    replies.push(Reply::Stall);
    let good = TestReceiver::start(replies);
    env.create("other", &other.url(), &["--timeout", "5m"]);
    env.create("good", &good.url(), &["--timeout", "5m"]);
    env.enqueue(0, 100);
    let drain = env.hookctl(["drain", "--concurrency", "8"]).spawn();
    good.wait_for(61, PATIENCE);
    other.wait_for(answered + at_least, PATIENCE);
    let in_flight = other.count() - answered;
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
    in_flight
}

#[test]
fn a_webhook_holds_no_more_than_half_of_the_workers_while_another_has_deliveries_due() {
    let in_flight = in_flight_beside_a_good_one(2, 2);
    assert!((2..=4).contains(&in_flight), "{in_flight}");
}

#[test]
fn a_webhook_whose_receiver_was_not_heard_yet_holds_an_eighth() {
    assert_eq!(in_flight_beside_a_good_one(0, 1), 1);
}

/// The deliveries that are claimed, each with the token of its claim.
fn claims(env: &TestEnv) -> BTreeSet<Vec<String>> {
    env.sql("SELECT id, claim_token FROM deliveries WHERE claim_token IS NOT NULL").into_iter().collect()
}

/// 40 deliveries to a receiver whose answers wait, and a drain that has sent 16 and claimed more.
fn in_the_middle() -> (TestEnv, TestReceiver, Child) {
    let receiver = TestReceiver::start(Reply::WhenReleased(200));
    let env = TestEnv::new();
    env.create("crm", &receiver.url_at("/old"), &["--timeout", "5m"]);
    env.enqueue(0, 40);
    let drain = env.hookctl(["drain", "-o", "json"]).spawn();
    receiver.wait_for(16, PATIENCE);
    wait_until("more is claimed than sent", || claims(&env).len() > 16);
    (env, receiver, drain)
}

/// Waits until what no worker had begun is given back, and lets the receiver answer.
fn release_once_given_back(env: &TestEnv, receiver: &TestReceiver) {
    wait_until("what was claimed ahead is given back", || claims(env).len() == 16);
    receiver.release();
}

#[test]
fn a_webhook_disabled_in_the_middle_of_a_drain_gets_nothing_more() {
    let (env, receiver, drain) = in_the_middle();
    env.hookctl(["webhook", "disable", "crm"]).run().ok();
    release_once_given_back(&env, &receiver);
    let report = drain.wait_timeout(PATIENCE).ok().json();
    assert_eq!((report["succeeded"].as_i64(), receiver.count()), (Some(16), 16));
    assert_eq!(env.statuses(), "pending 24, success 16");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"), "0");
}

#[test]
fn a_webhook_that_another_process_finds_overloaded_gets_nothing_more() {
    let (env, receiver, drain) = in_the_middle();
    receiver.now_answers(503);
    env.hookctl(["emit", "task.created", "--event-id", "other"]).run().ok();
    release_once_given_back(&env, &receiver);
    let report = drain.wait_timeout(PATIENCE).ok().json();
    assert_eq!((report["succeeded"].as_i64(), receiver.count()), (Some(16), 17));
    assert_eq!(env.statuses(), "pending 24, retrying 1, success 16");
}

#[test]
fn a_webhook_changed_in_the_middle_of_a_drain_gets_the_rest_by_its_new_settings() {
    let (env, receiver, drain) = in_the_middle();
    let before = claims(&env);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(claims(&env), before, "nothing is given back while the settings are as they were");
    env.hookctl(["webhook", "update", "crm", "--url", &receiver.url_at("/new")]).run().ok();
    wait_until("what no worker had begun is claimed anew", || claims(&env).intersection(&before).count() == 16);
    receiver.release();
    drain.wait_timeout(PATIENCE).ok();
    assert_eq!((receiver.requests_at("/old").len(), receiver.requests_at("/new").len()), (16, 24));
    assert_eq!(env.statuses(), "success 40");
}

#[test]
fn a_webhook_deleted_in_the_middle_of_a_drain_gets_nothing_more() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::WhenReleased(200)));
    let beside = TestReceiver::start(Reply::WhenReleased(200));
    for (name, receiver) in [("crm", &receiver), ("beside", &beside)] {
        env.create(name, &receiver.url(), &["--timeout", "5m"]);
    }
    env.enqueue(0, 40);
    let drain = env.hookctl(["drain", "-o", "json"]).spawn();
    let claimed = |webhook: &str| -> usize {
        let claimed = "SELECT count(*) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
            WHERE d.claim_token IS NOT NULL AND w.name";
        env.sql_value(&format!("{claimed} = '{webhook}'")).parse().unwrap()
    };
    for (name, receiver) in [("crm", &receiver), ("beside", &beside)] {
        receiver.wait_for(1, PATIENCE);
        wait_until("more is claimed than sent", || claimed(name) > receiver.count());
    }
    env.hookctl(["webhook", "delete", "crm", "--yes"]).run().ok();
    // What is seen of the one was seen of the other too.
    env.hookctl(["webhook", "disable", "beside"]).run().ok();
    wait_until("what was claimed ahead is given back", || claimed("beside") == beside.count());
    let sent = receiver.count();
    receiver.release();
    beside.release();
    drain.wait_timeout(PATIENCE).ok();
    assert_eq!(receiver.count(), sent);
    assert_eq!(env.statuses(), format!("pending {}, success {}", 40 - beside.count(), beside.count()));
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
    let sent = receiver.count();
    assert!(sent < 200, "{sent}");
    assert_eq!(run.json()["remaining_due"], 200 - sent);
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"), "0");
}

#[test]
fn two_slow_receivers_leave_workers_to_a_third_whose_event_does_not_wait_for_them() {
    let env = TestEnv::new();
    let replies = || [Reply::Status(200), Reply::Status(200), Reply::Stall];
    let slow: Vec<TestReceiver> = (0..2).map(|_| TestReceiver::start(replies())).collect();
    let quick = TestReceiver::start(200);
    for (name, receiver) in [("slow-1", &slow[0]), ("slow-2", &slow[1])] {
        env.create(name, &receiver.url(), &["-e", "task.created", "--timeout", "5m"]);
    }
    env.create("quick", &quick.url(), &["-e", "invoice.paid"]);
    let lines = "{\"type\":\"task.created\",\"data\":{}}\n".repeat(60);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(lines).run().ok();
    let drain = env.hookctl(["drain", "--watch", "100ms"]).spawn();
    // The first requests of each were answered: both now hold as much as they may.
    let in_flight = || slow.iter().map(|receiver| receiver.count() - 2).sum::<usize>();
    slow.iter().for_each(|receiver| drop(receiver.wait_for(6, PATIENCE)));
    std::thread::sleep(Duration::from_millis(500));
    assert!((8..=12).contains(&in_flight()), "{} of 16 workers", in_flight());
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    quick.wait_for(1, PATIENCE);
    assert!(in_flight() <= 12, "it came while the others still wait: {}", in_flight());
    drain.kill();
}

#[test]
fn a_concurrency_that_was_given_holds_across_eight_drains() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(60), 200));
    env.create("crm", &receiver.url(), &["--concurrency", "1"]);
    env.enqueue(0, 25);
    let drains: Vec<_> = (0..8).map(|_| env.hookctl(["drain", "--watch", "50ms"]).spawn()).collect();
    let requests = receiver.wait_for(25, PATIENCE);
    drains.iter().for_each(|drain| drain.signal("TERM"));
    let gaps: Vec<Duration> = requests.windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    let least = gaps.iter().min().unwrap();
    assert!(*least >= Duration::from_millis(60), "two at once: {gaps:?}");
}

//! The rate limit, in the file and shared by processes, and the number of requests at once.

use std::time::{Duration, Instant};

use crate::support::{Reply, TestEnv, TestReceiver};

#[test]
fn two_drains_at_once_keep_to_one_limit() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["--rate-limit", "50/s"]);
    env.enqueue(0, 300);
    let began = Instant::now();
    let drains = [(), ()].map(|()| env.hookctl(["drain", "--max-time", "4s"]).spawn());
    for drain in drains {
        drain.wait_timeout(Duration::from_secs(30)).ok();
    }
    // A tenth of a second's worth at once, and 50 a second; each drain by itself would send as many.
    let (sent, most) = (receiver.count(), 6.0 + 50.0 * began.elapsed().as_secs_f64());
    assert!(sent >= 20 && sent as f64 <= most, "{sent} requests, {most} allowed");
}

#[test]
fn what_exceeds_the_limit_waits_and_costs_no_attempt() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["--rate-limit", "60/m"]);
    env.enqueue(0, 20);
    let drained = env.json_at(0, &["drain"]);
    let sent = receiver.count();
    assert!((1..=7).contains(&sent), "a tenth of the count, and one: {sent}");
    assert_eq!(drained["deferred"], 20 - sent);
    assert_eq!(env.sql_value("SELECT max(attempt_count) FROM deliveries WHERE status = 'pending'"), "0");
    assert_eq!(env.json_at(0, &["drain"])["claimed"], 0, "the next process finds the bucket empty");
    assert_eq!(env.json_at(2, &["drain"])["claimed"], 2, "two seconds later it holds two");
    assert_eq!(
        env.json_at(3_600, &["webhook", "update", "crm", "--rate-limit", "off"])["rate_limit"],
        serde_json::Value::Null
    );
    assert_eq!(env.json_at(3_600, &["drain"])["remaining_due"], 0);
}

#[test]
fn emit_leaves_to_a_drain_what_the_limit_forbids() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["--rate-limit", "1/h"]);
    assert_eq!(env.emit_at(0, "first")[0]["status"], "success");
    assert_eq!(env.emit_at(1, "second")[0]["status"], "pending");
    assert_eq!(receiver.count(), 1);
    assert_eq!(env.json_at(3_601, &["drain"])["succeeded"], 1);
}

#[test]
fn a_webhook_has_no_more_requests_at_once_than_its_concurrency() {
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(30), 200));
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &["--concurrency", "2"]);
    env.enqueue(0, 30);
    env.at(0, &["drain", "--concurrency", "16"]).ok();
    assert_eq!((receiver.count(), receiver.most_at_once()), (30, 2));
}

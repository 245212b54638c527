//! The breaker: a receiver that cannot be reached is left alone, and looked after by one probe at a time.

use std::time::Duration;

use crate::support::{OnConnect, Reply, TestEnv, TestReceiver, second};

/// A webhook whose receiver closes every connection, and 20 deliveries that opened its breaker at second 0.
fn opened() -> (TestEnv, TestReceiver) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200).on_connect(|_| OnConnect::Close);
    env.create("crm", &receiver.url(), &["--retry-delay", "1h"]);
    env.enqueue(0, 20);
    env.at(0, &["drain", "--concurrency", "1"]).ok();
    (env, receiver)
}

/// The same with a receiver that is back.
fn opened_and_back() -> (TestEnv, TestReceiver) {
    let (env, receiver) = opened();
    (env, receiver.on_connect(|_| OnConnect::Serve))
}

fn attempts(env: &TestEnv) -> usize {
    env.sql_value("SELECT count(*) FROM attempts").parse().unwrap()
}

#[test]
fn failures_to_connect_put_off_the_other_deliveries_at_no_cost() {
    let (env, _receiver) = opened();
    let made = attempts(&env);
    assert!((5..=7).contains(&made), "{made} attempts");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE attempt_count = 0"), (20 - made).to_string());
    let webhook = env.webhook_at(0, "crm");
    assert_eq!(webhook["breaker"]["state"], "open");
    assert_eq!(webhook["breaker"]["open_until"], "2026-01-01T00:01:00.000Z");
    assert!(env.at(0, &["webhook", "show", "crm"]).ok().text().contains("Paused until"));
    let drained = env.json_at(59, &["drain"]);
    assert_eq!((&drained["claimed"], &drained["deferred"]), (&0.into(), &(20 - made).into()));
    let told = format!(
        "note: crm: {} not sent: its receiver could not be reached, and its circuit breaker is open until \
         2026-01-01T00:01:00.000Z; `hookctl webhook enable crm` closes it\n",
        20 - made
    );
    let drained = env.at(59, &["drain"]).ok().err();
    assert!(drained.ends_with(&told), "{drained}");
}

#[test]
fn time_outs_open_it_too_and_other_answers_do_not() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::Stall));
    env.create("slow", &receiver.url_at("/slow"), &["--timeout", "100ms", "--retry-delay", "1h"]);
    env.enqueue(0, 20);
    env.at(0, &["drain", "--concurrency", "1"]).ok();
    let made: usize = env.sql_value("SELECT count(*) FROM attempts").parse().unwrap();
    assert!((5..=7).contains(&made), "{made}");

    let (env, receiver) = (TestEnv::new(), TestReceiver::start(500));
    env.create("bad", &receiver.url(), &["--retry-delay", "1h"]);
    env.enqueue(0, 9);
    env.at(0, &["drain", "--concurrency", "1"]).ok();
    assert_eq!(receiver.count(), 9);
    assert_eq!(env.webhook_at(0, "bad")["breaker"]["state"], "closed");
}

#[test]
fn ten_refusals_in_a_row_open_it_too_and_one_probe_tells_when_they_end() {
    // Slower than a record is written, so that few are sent between a refusal and its record.
    let refusal = Reply::StatusAfter(Duration::from_millis(50), 500);
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(refusal));
    env.create("bad", &receiver.url(), &["--retry-delay", "1h"]);
    env.enqueue(0, 20);
    env.at(0, &["drain", "--concurrency", "1"]).ok();
    let made = receiver.count();
    assert!((10..20).contains(&made), "{made}");
    let webhook = env.webhook_at(0, "bad");
    assert_eq!((&webhook["breaker"]["state"], &webhook["condition"]), (&"open".into(), &"failing".into()));
    assert!(env.at(0, &["webhook", "show", "bad"]).ok().text().contains("refused many requests in a row"));
    let check = env.at(0, &["check", "-o", "json"]).fails(1).json();
    assert_eq!(
        (&check["failing_webhooks"][0], &check["unreachable_webhooks"][0]),
        (&"bad".into(), &serde_json::Value::Null)
    );
    assert_eq!(env.json_at(60, &["drain"])["claimed"], 1, "one probe");
    receiver.now_answers(200);
    assert_eq!(env.json_at(180, &["drain"])["succeeded"], 20 - made - 1);
}

#[test]
fn one_probe_goes_out_after_each_pause_and_the_pause_doubles() {
    let (env, _receiver) = opened();
    let before = attempts(&env);
    let mut now = 0;
    for (probe, pause) in [60, 120, 240, 480, 960, 1_920, 3_600, 3_600].into_iter().enumerate() {
        assert_eq!(env.json_at(now + pause - 1, &["drain"])["claimed"], 0, "before probe {probe}");
        now += pause;
        assert_eq!(env.json_at(now, &["drain"])["claimed"], 1, "probe {probe}");
        assert_eq!(attempts(&env), before + probe + 1);
    }
}

#[test]
fn a_probe_that_succeeds_lets_the_rest_go_in_the_same_drain() {
    let (env, receiver) = opened_and_back();
    let made = attempts(&env);
    let drained = env.json_at(61, &["drain"]);
    assert_eq!(drained["succeeded"], 20 - made, "{drained}");
    assert_eq!(receiver.count(), 20 - made);
    assert_eq!(env.webhook_at(61, "crm")["breaker"]["state"], "closed");
}

#[test]
fn a_retry_by_hand_probes_at_once_and_goes_on_when_that_succeeds() {
    let (env, receiver) = opened_and_back();
    // So slow that the rest is looked at, and found paused, before the answer comes.
    receiver.now_answers([Reply::StatusAfter(Duration::from_millis(400), 200), Reply::Status(200)]);
    let retried = env.json_at(1, &["delivery", "retry", "-w", "crm", "--status", "pending,retrying"]);
    assert_eq!((&retried["retried"], &retried["succeeded"]), (&20.into(), &20.into()), "{retried}");
}

#[test]
fn an_answer_that_is_no_success_keeps_it_open() {
    let (env, receiver) = opened_and_back();
    receiver.now_answers(500);
    assert_eq!(env.json_at(61, &["drain"])["claimed"], 1);
    assert_eq!(env.json_at(180, &["drain"])["claimed"], 0, "the pause doubled");
}

#[test]
fn enable_closes_it() {
    let (env, _receiver) = opened_and_back();
    env.at(1, &["webhook", "enable", "crm"]).ok();
    assert_eq!(env.webhook_at(1, "crm")["breaker"]["state"], "closed");
    assert_eq!(env.json_at(1, &["drain"])["remaining_due"], 0);
}

#[test]
fn a_probe_whose_drain_is_stopped_is_given_back() {
    let (env, receiver) = opened_and_back();
    receiver.now_answers(Reply::Stall);
    let drain = env.hookctl(["drain"]).now(&second(61)).spawn();
    receiver.wait_for(1, Duration::from_secs(30));
    drain.signal("TERM");
    drain.wait_timeout(Duration::from_secs(30)).fails(143);
    receiver.now_answers(200);
    let drained = env.json_at(62, &["drain"]);
    assert!(drained["succeeded"].as_i64().unwrap() > 1, "the next probe goes out at once: {drained}");
}

#[test]
fn a_probe_whose_process_dies_holds_nothing_past_its_lease() {
    let (env, receiver) = opened_and_back();
    receiver.now_answers(Reply::Stall);
    let drain = env.hookctl(["drain"]).now(&second(61)).spawn();
    receiver.wait_for(1, Duration::from_secs(30));
    drain.kill();
    receiver.now_answers(200);
    assert_eq!(env.json_at(61 + 49, &["drain"])["claimed"], 0);
    assert!(env.json_at(61 + 51, &["drain"])["succeeded"].as_i64().unwrap() > 1);
}

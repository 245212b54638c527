//! Webhooks that only fail are disabled, and what hookctl announces about that.

use crate::support::{Reply, TestEnv, TestReceiver, closed_port};

const DAY: i64 = 86_400;

/// A webhook that fails, and one that listens to what is announced.
fn failing_and_listening(flags: &[&str]) -> (TestEnv, TestReceiver, TestReceiver) {
    let (env, failing, listening) = (TestEnv::new(), TestReceiver::start(500), TestReceiver::start(200));
    env.create("failing", &failing.url(), &[&["-e", "task.*,webhook.*,delivery.*"], flags].concat());
    env.create("listening", &listening.url(), &["-e", "webhook.disabled,delivery.failed"]);
    (env, failing, listening)
}

fn types(receiver: &TestReceiver) -> Vec<String> {
    receiver.requests().iter().map(|request| request.header("x-webhook-event").unwrap().to_owned()).collect()
}

#[test]
fn five_days_without_a_success_disable_it_and_that_is_announced() {
    let (env, failing, listening) = failing_and_listening(&["--max-retries", "9"]);
    env.emit_at(0, "first");
    env.emit_at(5 * DAY - 60, "second");
    assert_eq!(env.webhook_at(5 * DAY - 60, "failing")["is_active"], true);
    env.emit_at(5 * DAY, "third");
    let webhook = env.webhook_at(5 * DAY, "failing");
    assert_eq!(webhook["is_active"], false);
    assert_eq!(webhook["disabled_reason"], "no success for 5d");
    assert_eq!(webhook["disabled_at"], "2026-01-06T00:00:00.000Z");
    env.at(5 * DAY, &["drain"]).ok();
    assert_eq!(types(&listening), ["webhook.disabled"]);
    let data = &listening.requests()[0].json()["data"];
    assert_eq!((&data["webhook"], &data["reason"]), (&"failing".into(), &"no success for 5d".into()));
    assert!(!types(&failing).contains(&"webhook.disabled".to_owned()), "a webhook never hears of itself");
    assert_eq!(
        env.json_at(6 * DAY, &["emit", "task.created", "--data", "{}"])["deliveries"][0],
        serde_json::Value::Null
    );
}

/// Every attempt at once, one event after the other.
fn fail(env: &TestEnv, seconds: std::ops::Range<i64>) {
    for second in seconds {
        env.emit_at(second, &format!("at-{second}"));
    }
}

#[test]
fn a_receiver_that_answers_502_to_everything_does_not_look_healthy() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(502));
    env.create("gateway", &receiver.url(), &[]);
    let condition = |second| env.webhook_at(second, "gateway")["condition"].take();
    assert_eq!(condition(0), serde_json::Value::Null);
    for attempt in 0..5_i64 {
        env.emit_at(attempt * 100, &format!("e-{attempt}"));
        assert_eq!(condition(attempt * 100), if attempt < 4 { "held" } else { "failing" }, "{attempt}");
    }
    let listed = |flags: &[&str]| env.json_at(500, &[&["webhook", "list"], flags].concat());
    assert_eq!(listed(&[])[0]["condition"], "failing");
    assert_eq!(listed(&["--failing"])[0]["name"], "gateway");
    receiver.now_answers(200);
    env.emit_at(600, "well");
    assert_eq!((condition(600), listed(&["--failing"])), (serde_json::Value::Null, serde_json::json!([])));
}

#[test]
fn failing_and_recovered_are_announced_once_for_each_transition() {
    let env = TestEnv::new();
    let (failing, listening) = (TestReceiver::start(500), TestReceiver::start(200));
    env.create("failing", &failing.url(), &["-e", "task.*,webhook.*", "--max-retries", "0", "--disable-after", "0"]);
    env.create("listening", &listening.url(), &["-e", "webhook.*"]);
    fail(&env, 0..4);
    env.at(4, &["drain"]).ok();
    assert_eq!(types(&listening), Vec::<String>::new());
    fail(&env, 4..9);
    env.at(9, &["drain"]).ok();
    assert_eq!(types(&listening), ["webhook.failing"], "the fifth, and no other");
    let data = &listening.requests()[0].json()["data"];
    assert_eq!((&data["webhook"], &data["failures"]), (&"failing".into(), &5.into()));
    assert_eq!((&data["response_status_code"], &data["error_type"]), (&500.into(), &"http_error".into()));
    failing.now_answers(200);
    fail(&env, 20..22);
    env.at(22, &["drain"]).ok();
    assert_eq!(types(&listening), ["webhook.failing", "webhook.recovered"]);
    assert_eq!(listening.requests()[1].json()["data"]["failures"], 9);
    failing.now_answers(500);
    fail(&env, 30..36);
    env.at(36, &["drain"]).ok();
    assert_eq!(types(&listening).len(), 3, "failing again");
    assert!(types(&failing).iter().all(|name| name == "task.created"), "it does not hear of itself");
}

#[test]
fn two_watchers_that_fail_do_not_announce_each_other_for_ever() {
    let env = TestEnv::new();
    let nobody = format!("http://{}/", closed_port());
    for name in ["a", "b"] {
        env.create(name, &nobody, &["-e", "*,webhook.*,delivery.*", "--max-retries", "0", "--disable-after", "0"]);
    }
    fail(&env, 0..6);
    for hour in 1..50 {
        env.at(hour * 3_600, &["drain"]).ok();
    }
    let announced = env.sql("SELECT count(*) FROM events WHERE event_type IN ('webhook.failing', 'webhook.recovered')");
    assert_eq!(announced, [["2"]], "one for each");
    assert_eq!(env.json_at(50 * 3_600, &["drain"])["remaining_due"], 0);
}

#[test]
fn a_success_in_between_starts_the_count_again() {
    let (env, failing, _listening) = failing_and_listening(&[]);
    env.emit_at(0, "first");
    failing.now_answers([200, 500]);
    env.emit_at(4 * DAY, "second");
    env.emit_at(5 * DAY, "third");
    env.emit_at(8 * DAY, "fourth");
    assert_eq!(env.webhook_at(8 * DAY, "failing")["is_active"], true);
}

#[test]
fn zero_never_disables() {
    let (env, _failing, _listening) = failing_and_listening(&["--disable-after", "0"]);
    for day in [0, 10, 100] {
        env.emit_at(day * DAY, &format!("day-{day}"));
    }
    assert_eq!(env.webhook_at(100 * DAY, "failing")["is_active"], true);
}

#[test]
fn its_length_can_be_set() {
    let (env, _failing, _listening) = failing_and_listening(&["--disable-after", "1h"]);
    env.emit_at(0, "first");
    env.emit_at(3_600, "second");
    assert_eq!(env.webhook_at(3_600, "failing")["disabled_reason"], "no success for 1h");
}

#[test]
fn a_delivery_that_failed_for_good_is_announced_to_others() {
    let (env, failing, listening) = failing_and_listening(&["--max-retries", "0"]);
    env.emit_at(0, "first");
    env.at(1, &["drain"]).ok();
    assert_eq!(types(&listening), ["delivery.failed"]);
    let data = &listening.requests()[0].json()["data"];
    assert_eq!((&data["webhook"], &data["event_id"]), (&"failing".into(), &"first".into()));
    assert_eq!(types(&failing), ["task.created"], "a webhook never hears of itself");
}

#[test]
fn announcements_that_fail_are_not_announced() {
    let env = TestEnv::new();
    let nobody = format!("http://{}/", closed_port());
    for name in ["a", "b", "c"] {
        env.create(name, &nobody, &["-e", "*,webhook.*,delivery.*", "--max-retries", "0", "--disable-after", "1s"]);
    }
    env.emit_at(0, "first");
    for day in 1..6 {
        env.at(day * DAY, &["drain", "--all"]).ok();
        env.emit_at(day * DAY, &format!("day-{day}"));
    }
    let announced = env.sql("SELECT event_type, count(*) FROM events WHERE event_type <> 'task.created' GROUP BY 1");
    let count = |wanted: &str| -> i64 {
        announced.iter().find(|row| row[0] == wanted).map_or(0, |row| row[1].parse().unwrap())
    };
    let failed =
        env.sql_value("SELECT count(*) FROM deliveries WHERE status = 'failed' AND event_type = 'task.created'");
    assert_eq!(
        count("delivery.failed").to_string(),
        failed,
        "one for each task.created that failed, none for their own"
    );
    assert!((1..=3).contains(&count("webhook.disabled")), "one for each webhook: {announced:?}");
}

#[test]
fn a_test_that_fails_says_nothing_about_the_webhook() {
    let (env, _failing, listening) = failing_and_listening(&["--disable-after", "1s"]);
    for second in [0, 100] {
        env.at(second, &["webhook", "test", "failing"]).fails(5);
    }
    env.at(200, &["drain"]).ok();
    let webhook = env.webhook_at(200, "failing");
    assert_eq!((&webhook["is_active"], &webhook["failed_deliveries"]), (&true.into(), &0.into()));
    assert_eq!(listening.count(), 0);
}

#[test]
fn enabling_forgets_the_failures() {
    let (env, failing, _listening) = failing_and_listening(&["--disable-after", "1h", "--max-retries", "50"]);
    env.emit_at(0, "first");
    env.emit_at(3_600, "second");
    assert_eq!(env.webhook_at(3_600, "failing")["is_active"], false);
    env.at(7_200, &["webhook", "enable", "failing"]).ok();
    env.at(7_200, &["drain"]).ok();
    assert_eq!(env.webhook_at(7_200, "failing")["is_active"], true);
    failing.now_answers(Reply::Status(200));
    assert_eq!(env.json_at(20_000, &["drain", "-w", "failing"])["succeeded"], 2);
}

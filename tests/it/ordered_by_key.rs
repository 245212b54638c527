//! Webhooks ordered by key: one delivery of each key at a time, in the order of emission; keys do not wait for each other.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::thread;
use std::time::Duration;

use crate::fault::{Dice, PATIENCE, scale};
use crate::support::{Child, Engine, Recorded, Reply, Script, TestEnv, TestReceiver, second, wait_until};

/// A webhook ordered by key, with these events waiting, each given as KEY-NUMBER; one that begins with - has no key.
fn waiting(receiver: &TestReceiver, flags: &[&str], events: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &[&["--ordered=key"], flags].concat());
    emit(&env, events, &["--enqueue"]);
    env
}

fn emit(env: &TestEnv, events: &[&str], flags: &[&str]) -> serde_json::Value {
    let lines = events.iter().map(|event| match event.split_once('-') {
        Some(("", _)) | None => format!("{{\"type\":\"task.created\",\"event_id\":\"{event}\"}}\n"),
        Some((key, _)) => format!("{{\"type\":\"task.created\",\"event_id\":\"{event}\",\"key\":\"{key}\"}}\n"),
    });
    let emit = env.hookctl(["emit", "--batch", "-", "-o", "json"]).args(flags.iter().copied());
    emit.stdin(lines.collect::<String>()).now(&second(0)).run().ok().json()
}

fn id(request: &Recorded) -> String {
    request.header("webhook-id").unwrap().to_owned()
}

fn key(event: &str) -> &str {
    event.split_once('-').unwrap().0
}

/// Answers by the key of the event.
fn by_key(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Script {
    Script::each(move |request| answer(key(request.header("webhook-id").unwrap())))
}

fn failing(failing: &'static str) -> Script {
    by_key(move |key| Reply::Status(if key == failing { 500 } else { 200 }))
}

fn arrived(receiver: &TestReceiver) -> Vec<String> {
    receiver.requests().iter().map(id).collect()
}

/// What arrived of one key.
fn of_key(receiver: &TestReceiver, wanted: &str) -> Vec<String> {
    arrived(receiver).into_iter().filter(|event| key(event) == wanted).collect()
}

#[test]
fn a_key_that_fails_holds_its_own_deliveries_and_no_others() {
    let receiver = TestReceiver::start(failing("a"));
    let env = waiting(&receiver, &[], &["a-1", "b-1", "a-2", "-1", "b-2", "a-3", "-2"]);
    let drained = env.json_at(0, &["drain"]);
    assert_eq!((&drained["claimed"], &drained["succeeded"], &drained["deferred"]), (&5.into(), &4.into(), &2.into()));
    assert_eq!(arrived(&receiver).iter().filter(|event| key(event) == "a").count(), 1);
    let shown = env.json_at(1, &["delivery", "show", "6"]);
    assert_eq!(shown["waiting"]["for"], "order", "{shown}");
    let shown = env.at(1, &["delivery", "show", "6"]).ok().text();
    assert!(shown.contains("delivery 1, which has the same key: a"), "{shown}");
    receiver.now_answers(200);
    assert_eq!(env.json_at(70, &["drain"])["succeeded"], 3);
    assert_eq!(of_key(&receiver, "a"), ["a-1", "a-1", "a-2", "a-3"]);
    assert_eq!(env.statuses(), "success 7");
}

#[test]
fn of_each_key_one_request_is_under_way_and_of_several_keys_several() {
    let slow = Duration::from_millis(150);
    let mut replies = vec![Reply::WhenReleased(200); 3];
    replies.push(Reply::StatusAfter(slow, 200));
    let receiver = TestReceiver::start(replies);
    let events: Vec<String> = (0..15).map(|number| format!("{}-{number:02}", ["a", "b", "c"][number % 3])).collect();
    let env = waiting(&receiver, &[], &events.iter().map(String::as_str).collect::<Vec<_>>());
    let drain = env.hookctl(["drain"]).now(&second(0)).spawn();
    let first: HashSet<String> = receiver.wait_for(3, PATIENCE).iter().map(id).collect();
    assert_eq!(first, ["a-00", "b-01", "c-02"].map(str::to_owned).into());
    receiver.release();
    drain.wait_timeout(PATIENCE).ok();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 15);
    for wanted in ["a", "b", "c"] {
        let of_key: Vec<&Recorded> = requests.iter().filter(|request| key(&id(request)) == wanted).collect();
        assert!(of_key.is_sorted_by_key(|request| id(request)));
        assert!(of_key[1..].windows(2).all(|pair| pair[1].at >= pair[0].at + slow), "one at a time");
    }
}

#[test]
fn an_event_that_is_emitted_at_once_goes_if_it_is_the_first_of_its_key() {
    let receiver = TestReceiver::start(failing("a"));
    let env = waiting(&receiver, &["--retry-delay", "1h"], &[]);
    let emit = |event: &str| {
        let emit = ["emit", "task.created", "--event-id", event, "--key", key(event)];
        env.json_at(1, &emit)["deliveries"][0]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(["a-1", "a-2", "b-1", "b-2"].map(emit), ["retrying", "pending", "success", "success"]);
    assert_eq!(arrived(&receiver), ["a-1", "b-1", "b-2"]);
    assert_eq!(env.json_at(2, &["emit", "task.created", "--event-id", "-1"])["deliveries"][0]["status"], "success");
}

#[test]
fn a_batch_and_a_retry_by_hand_go_through_the_lines_of_all_keys() {
    let receiver = TestReceiver::start(410);
    let env = waiting(&receiver, &["--max-retries", "0"], &["a-1", "b-1", "a-2"]);
    for _ in 0..3 {
        env.at(0, &["webhook", "enable", "crm"]).ok();
        env.at(0, &["drain"]).ok();
    }
    assert_eq!(env.statuses(), "failed 3");
    env.at(0, &["webhook", "enable", "crm"]).ok();
    receiver.now_answers(Reply::StatusAfter(Duration::from_millis(50), 200));
    let before = receiver.count();
    assert_eq!(env.json_at(1, &["delivery", "retry", "3", "2", "1"])["succeeded"], 3);
    let arrived_again: Vec<String> = arrived(&receiver).split_off(before);
    let of_a: Vec<&String> = arrived_again.iter().filter(|event| key(event) == "a").collect();
    assert_eq!(of_a, ["a-1", "a-2"]);
    let batch = emit(&env, &["a-3", "a-4", "b-2", "a-5", "-1"], &[]);
    assert_eq!(batch["succeeded"], 5, "{batch}");
    assert_eq!(of_key(&receiver, "a")[of_key(&receiver, "a").len() - 3..], ["a-3", "a-4", "a-5"]);
}

#[test]
fn a_retry_by_hand_from_before_the_one_under_way_waits_for_it() {
    let receiver = TestReceiver::start([Reply::Status(500), Reply::WhenReleased(200)]);
    let env = waiting(&receiver, &["--max-retries", "0"], &["a-1", "a-2"]);
    env.hookctl(["drain", "--limit", "1"]).run().ok();
    let drain = env.hookctl(["drain"]).spawn();
    receiver.wait_for(2, PATIENCE);
    let retried = env.hookctl(["delivery", "retry", "1", "-o", "json"]).run().fails(5);
    assert_eq!((&retried.json()["claimed"], receiver.count()), (&0.into(), 2), "one request at a time");
    receiver.release();
    drain.wait_timeout(PATIENCE).ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!(arrived(&receiver), ["a-1", "a-2", "a-1"]);
    assert_eq!(env.statuses(), "success 2");
}

#[test]
fn a_head_that_is_cancelled_or_fails_for_good_lets_the_next_of_its_key_go() {
    let receiver = TestReceiver::start(failing("a"));
    let env = waiting(&receiver, &["--max-retries", "1"], &["a-1", "a-2", "a-3"]);
    env.at(0, &["drain"]).ok();
    env.at(1, &["delivery", "cancel", "1"]).ok();
    env.at(1, &["drain"]).ok();
    assert_eq!(arrived(&receiver), ["a-1", "a-2"]);
    env.at(70, &["drain"]).ok();
    assert_eq!(arrived(&receiver), ["a-1", "a-2", "a-2", "a-3"]);
    assert_eq!(env.statuses(), "cancelled 1, failed 1, retrying 1");
    env.at(70, &["db", "check"]).ok();
}

#[test]
fn one_that_is_cancelled_during_its_attempt_holds_its_key_until_that_ends() {
    let receiver = TestReceiver::start([Reply::WhenReleased(500), Reply::Status(200)]);
    let env = waiting(&receiver, &[], &["a-1", "a-2"]);
    let drain = env.hookctl(["drain"]).spawn();
    receiver.wait_for(1, PATIENCE);
    env.hookctl(["delivery", "cancel", "1", "-y"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!(receiver.count(), 1, "one request at a time");
    receiver.release();
    drain.wait_timeout(PATIENCE).ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!(arrived(&receiver), ["a-1", "a-2"]);
    assert_eq!(env.statuses(), "cancelled 1, success 1");
}

#[test]
fn a_crash_holds_the_key_until_its_lease_ends_and_no_other_key() {
    let receiver = TestReceiver::start(by_key(|key| if key == "a" { Reply::Stall } else { Reply::Status(200) }));
    let env = waiting(&receiver, &[], &["a-1", "a-2", "b-1"]);
    let drain = env.hookctl(["drain"]).now(&second(0)).spawn();
    receiver.wait_for(2, PATIENCE);
    drain.kill();
    receiver.now_answers(200);
    env.at(49, &["drain"]).ok();
    assert_eq!(of_key(&receiver, "a"), ["a-1"], "the request could still be under way");
    env.at(60, &["drain"]).ok();
    assert_eq!(of_key(&receiver, "a"), ["a-1", "a-1", "a-2"]);
    assert_eq!(env.statuses(), "success 3");
}

#[test]
fn a_pause_and_an_open_breaker_hold_every_key_and_keep_the_order() {
    let receiver = TestReceiver::start(200);
    let env = waiting(&receiver, &[], &["a-1", "b-1", "a-2", "b-2"]);
    env.at(0, &["webhook", "pause", "crm"]).ok();
    assert_eq!(env.json_at(0, &["drain"])["claimed"], 0);
    env.at(0, &["webhook", "resume", "crm"]).ok();
    let ahead = chrono::DateTime::parse_from_rfc3339(&second(60)).unwrap().timestamp_millis();
    env.sql_write(&format!(
        "UPDATE webhook_state SET breaker_failures = 5, breaker_open_until = {ahead}, breaker_pause_ms = 60000"
    ));
    assert_eq!(env.json_at(59, &["drain"])["claimed"], 0);
    assert_eq!(env.json_at(60, &["drain"])["succeeded"], 4);
    assert_eq!(of_key(&receiver, "a"), ["a-1", "a-2"]);
    assert_eq!(of_key(&receiver, "b"), ["b-1", "b-2"]);
}

#[test]
fn what_waits_follows_a_change_of_the_order() {
    let receiver = TestReceiver::start(failing("a"));
    let env = waiting(&receiver, &[], &["a-1", "a-2", "b-1"]);
    let update = |value: &str| env.at(0, &["webhook", "update", "crm", value]).ok();
    update("--ordered=false");
    update("--ordered=webhook");
    assert_eq!(env.json_at(0, &["drain"])["claimed"], 1, "all of the webhook wait");
    update("--ordered=key");
    assert_eq!(env.json_at(0, &["drain"])["succeeded"], 1, "b waits no longer");
    assert_eq!(arrived(&receiver), ["a-1", "b-1"]);
    update("--ordered=false");
    assert_eq!(env.json_at(0, &["drain"])["claimed"], 1, "a-2 waits no longer");
    env.at(0, &["db", "check"]).ok();
}

#[test]
fn what_is_emitted_while_the_order_changes_keeps_the_new_one() {
    needs_postgres!();
    let receiver = TestReceiver::start(200);
    let env = TestEnv::on(Engine::Server);
    env.create("crm", &receiver.url(), &[]);
    let change = env.begin("SELECT id FROM webhooks FOR UPDATE; UPDATE webhooks SET ordered = 'key'");
    let emit = env.hookctl(["emit", "task.created", "--key", "a", "--enqueue"]).spawn();
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity
        WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let session = env.server().session();
    wait_until("emit waits for the change", || session.value(waits) == "1");
    change.commit();
    emit.wait_timeout(PATIENCE).ok();
    assert_eq!(env.sql_value("SELECT line FROM deliveries"), "a");
    assert_eq!(env.hookctl(["drain", "-o", "json"]).run().ok().json()["succeeded"], 1);
}

#[test]
fn missed_events_are_caught_up_in_the_order_of_their_keys() {
    let receiver = TestReceiver::start(failing("a"));
    let env = waiting(&receiver, &[], &[]);
    env.at(0, &["webhook", "disable", "crm"]).ok();
    emit(&env, &["a-1", "b-1", "a-2", "b-2"], &["--enqueue"]);
    env.at(1, &["webhook", "enable", "crm", "--backfill"]).ok();
    let drained = env.json_at(1, &["drain"]);
    assert_eq!((&drained["claimed"], &drained["succeeded"]), (&3.into(), &2.into()));
    assert_eq!(of_key(&receiver, "b"), ["b-1", "b-2"]);
}

#[test]
fn the_order_is_said_and_read_in_one_way() {
    let env = TestEnv::new();
    let create = |name: &str, flags: &[&str]| {
        let create = env.hookctl(["webhook", "create", name, "--url", "http://127.0.0.1:9/", "-e", "*"]);
        create.args(flags.iter().copied()).run()
    };
    let text = create("keys", &["--ordered=key"]).ok().text();
    assert!(text.contains("one delivery of each key at a time"), "{text}");
    assert!(text.contains("one that fails holds the rest of its key for up to 7m"), "{text}");
    create("all", &["--ordered"]).ok();
    create("whole", &["--ordered=webhook"]).ok();
    create("none", &[]).ok();
    let order = |name: &str| env.json_at(0, &["webhook", "show", name])["is_ordered"].clone();
    let orders: serde_json::Value = ["keys", "all", "whole", "none"].into_iter().map(order).collect();
    assert_eq!(orders, serde_json::json!(["key", true, true, false]));
    let refused = create("wrong", &["--ordered=keys"]).fails(2).err();
    assert!(refused.contains("--ordered") && refused.contains("webhook, key"), "{refused}");
    let exported = env.hookctl(["export"]).run().ok().text();
    assert!(exported.contains("is_ordered = \"key\"") && exported.contains("is_ordered = true"), "{exported}");
    let file = env.file("hookctl.toml", exported.replace("is_ordered = \"key\"", "ordered = \"key\""));
    env.hookctl(["apply", "--dry-run"]).arg(file).run().ok();
}

/// Three drains at once, one of which is killed in the middle.
fn drain_and_kill(env: &TestEnv, receiver: &TestReceiver, dice: &mut Dice, at: i64) {
    let before = receiver.count();
    let mut drains: Vec<_> = (0..3).map(|_| env.hookctl(["drain", "-q"]).now(&second(at)).spawn()).collect();
    let mut is_over = || !drains.iter_mut().any(Child::is_running);
    wait_until("ten are sent, or there are fewer", || receiver.count() >= before + 10 || is_over());
    thread::sleep(dice.up_to(Duration::from_millis(20)));
    drains.remove(0).kill();
    for drain in drains {
        drain.wait_timeout(4 * PATIENCE).ok();
    }
}

#[test]
fn each_key_arrives_in_order_through_three_drains_that_are_killed_while_one_key_fails() {
    let (keys, rounds, dice) = (100 * scale(), 4 * i64::try_from(scale().min(5)).unwrap(), &mut Dice::new());
    let receiver = TestReceiver::start(failing("k0"));
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &["--ordered=key", "--timeout", "5s", "--retry-schedule", "1h,1h,1h"]);
    for round in 0..rounds {
        let mut lines = String::new();
        for key in 0..keys {
            writeln!(lines, r#"{{"type":"task.created","event_id":"k{key}-{round:02}","key":"k{key}"}}"#).unwrap();
        }
        // The leases of the drain that was killed before have ended.
        let at = 60 * round;
        env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(lines).now(&second(at)).run().ok();
        drain_and_kill(&env, &receiver, dice, at);
    }
    env.at(60 * rounds, &["drain"]).ok();
    let mut first_arrivals: HashMap<String, Vec<String>> = HashMap::new();
    let mut seen = HashSet::new();
    for event in arrived(&receiver).into_iter().filter(|event| seen.insert(event.clone())) {
        first_arrivals.entry(key(&event).to_owned()).or_default().push(event);
    }
    assert_eq!(first_arrivals.remove("k0").unwrap(), ["k0-00"], "the rest of the key that fails waits");
    assert_eq!(first_arrivals.len(), keys - 1, "no other key is held");
    for (key, arrived) in first_arrivals {
        let emitted: Vec<String> = (0..rounds).map(|round| format!("{key}-{round:02}")).collect();
        assert_eq!(arrived, emitted);
    }
    let done = (i64::try_from(keys).unwrap() - 1) * rounds;
    assert_eq!(env.statuses(), format!("pending {}, retrying 1, success {done}", rounds - 1));
    env.at(60 * rounds, &["db", "check"]).ok();
}

//! The main job: create a webhook, emit an event, deliver it signed, log every attempt, drain the retries.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Reply, TestEnv, TestReceiver};

fn create(env: &TestEnv, name: &str, url: &str) -> Value {
    env.hookctl(["webhook", "create", name, "--url", url, "-e", "*", "--retry-schedule", "timetracker", "-o", "json"])
        .run()
        .ok()
        .json()
}

fn millis(time: &Value) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap().timestamp_millis()
}

#[test]
fn a_delivery_that_fails_twice_succeeds_on_the_third_attempt() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([500, 500, 200]));
    create(&env, "crm", &receiver.url());
    let at = |time: &'static str, arguments: &[&str]| env.hookctl(arguments).now(time).run().ok();
    let start = "2026-01-01T00:00:00Z";
    let emitted =
        at(start, &["emit", "invoice.paid", "--data", r#"{"a":12345678901234567890.10}"#, "-o", "json"]).json();
    let first = &emitted["deliveries"][0];
    assert_eq!((first["status"].as_str(), first["response_status_code"].as_i64()), (Some("retrying"), Some(500)));
    let delay = millis(&first["next_retry_at"]) - millis(&start.into());
    assert!((54_000..=66_000).contains(&delay), "{delay}");

    let id = first["id"].to_string();
    let drained = at("2026-01-01T00:01:10Z", &["drain", "-o", "json"]).json();
    assert_eq!((drained["claimed"].as_i64(), drained["retrying"].as_i64()), (Some(1), Some(1)));
    let shown = at("2026-01-01T00:01:10Z", &["delivery", "show", &id, "-o", "json"]).json();
    let delay = millis(&shown["next_retry_at"]) - millis(&"2026-01-01T00:01:10Z".into());
    assert!((108_000..=132_000).contains(&delay), "{delay}");
    let drained = at("2026-01-01T00:03:30Z", &["drain", "-o", "json"]).json();
    assert_eq!((drained["succeeded"].as_i64(), drained["remaining_due"].as_i64()), (Some(1), Some(0)));

    let shown = env.hookctl(["delivery", "show", &id, "-o", "json"]).run().ok().json();
    assert_eq!(shown["status"], "success");
    assert_eq!(shown["error_type"], Value::Null);
    let attempts = shown["attempts"].as_array().unwrap();
    let numbers: Vec<_> = attempts.iter().map(|attempt| attempt["attempt_number"].as_i64().unwrap()).collect();
    let codes: Vec<_> = attempts.iter().map(|attempt| attempt["response_status_code"].as_i64().unwrap()).collect();
    assert_eq!((numbers.as_slice(), codes.as_slice()), ([1, 2, 3].as_slice(), [500, 500, 200].as_slice()));
    let webhook = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    for (key, count) in [("total_deliveries", 1), ("successful_deliveries", 1), ("failed_deliveries", 0)] {
        assert_eq!(webhook[key].as_i64(), Some(count), "{key}");
    }

    let requests = receiver.requests();
    let values =
        |name: &str| requests.iter().map(|request| request.header(name).unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(values("webhook-id").iter().collect::<BTreeSet<_>>().len(), 1, "one event id");
    assert_eq!(values("webhook-signature").iter().collect::<BTreeSet<_>>().len(), 3, "a fresh signature each time");
    assert_eq!(values("x-webhook-attempt"), ["1", "2", "3"]);
    assert!(requests[0].text().contains(r#""data":{"a":12345678901234567890.10}"#), "{}", requests[0].text());
}

#[test]
fn an_event_id_is_accepted_once() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url());
    let emit = |data: &str| env.hookctl(["emit", "a.b", "--event-id", "order-1", "--data", data, "-o", "json"]).run();
    assert_eq!(emit("{}").ok().json()["duplicate"], false);
    let again = emit("{}").ok();
    assert_eq!(again.json()["duplicate"], true);
    assert!(again.err().contains("nothing was sent"), "{}", again.err());
    emit(r#"{"other":1}"#).fails(6);
    assert_eq!(receiver.count(), 1);
}

#[test]
fn what_a_killed_emit_accepted_is_delivered_after_the_lease() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(vec![Reply::Stall, Reply::Status(200)]));
    create(&env, "crm", &receiver.url());
    let emit = env.hookctl(["emit", "a.b", "--data", "{}"]).now("2026-01-01T00:00:00Z").spawn();
    receiver.wait_for(1, Duration::from_secs(20));
    emit.kill();
    assert_eq!(env.sql("SELECT status, attempt_count FROM deliveries"), [["pending", "0"]]);
    let drain = |time: &'static str| env.hookctl(["drain", "-o", "json"]).now(time).run().ok().json();
    assert_eq!(drain("2026-01-01T00:00:30Z")["claimed"], 0, "the lease outlives the deadline");
    assert_eq!(drain("2026-01-01T00:02:00Z")["succeeded"], 1);
    let ids: BTreeSet<_> =
        receiver.requests().iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!((receiver.count(), ids.len()), (2, 1));
}

#[test]
fn four_drains_at_once_send_each_delivery_once() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url());
    let lines = "{\"type\":\"a.b\",\"data\":{}}\n".repeat(500);
    env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(lines).run().ok();
    let drains: Vec<_> = (0..4).map(|_| env.hookctl(["drain", "-o", "json"]).spawn()).collect();
    let sent: i64 = drains
        .into_iter()
        .map(|drain| drain.wait_timeout(Duration::from_secs(60)).ok().json()["succeeded"].as_i64().unwrap())
        .sum();
    let ids: BTreeSet<_> =
        receiver.requests().iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect();
    assert_eq!((sent, receiver.count(), ids.len()), (500, 500, 500));
}

#[test]
fn a_disabled_webhooks_deliveries_wait_until_it_is_enabled() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url());
    env.hookctl(["emit", "a.b", "--data", "{}", "--enqueue"]).run().ok();
    let disabled = env.hookctl(["webhook", "disable", "crm", "-o", "json"]).run().ok().json();
    assert_eq!(disabled[0]["waiting"], 1);
    assert_eq!(env.hookctl(["drain", "-o", "json"]).run().ok().json()["claimed"], 0);
    assert_eq!(receiver.count(), 0);
    env.hookctl(["webhook", "enable", "crm"]).run().ok();
    assert_eq!(env.hookctl(["drain", "-o", "json"]).run().ok().json()["succeeded"], 1);
    assert_eq!(receiver.count(), 1);
}

#[test]
fn deleting_a_webhook_takes_its_deliveries_along_and_says_how_many() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url());
    for _ in 0..3 {
        env.hookctl(["emit", "a.b", "--data", "{}"]).run().ok();
    }
    env.hookctl(["webhook", "delete", "crm"]).run().fails(2);
    let deleted = env.hookctl(["webhook", "delete", "crm", "--yes", "-o", "json"]).run().ok().json();
    assert_eq!((deleted[0]["deleted_deliveries"].as_i64(), deleted[0]["deleted_events"].as_i64()), (Some(3), Some(3)));
    // Of an event that was deleted its id is remembered.
    for table in ["webhooks", "secrets", "events WHERE payload IS NOT NULL", "deliveries", "attempts"] {
        assert_eq!(env.sql_value(&format!("SELECT count(*) FROM {table}")), "0", "{table}");
    }
    env.hookctl(["webhook", "show", "crm"]).run().fails(3);
}

#[test]
fn the_secret_is_shown_on_create_and_never_again() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let secret = create(&env, "crm", &receiver.url())["secret"].as_str().unwrap().to_owned();
    assert!(secret.starts_with("whsec_"));
    for arguments in [["webhook", "show", "crm", "-o", "json"], ["webhook", "list", "-o", "json", "-v"]] {
        let run = env.hookctl(arguments).run().ok();
        assert!(!run.text().contains(&secret) && !run.err().contains(&secret), "{arguments:?}");
    }
}

#[test]
fn every_view_carries_the_fields_of_the_contract() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([500, 200]));
    let webhook = create(&env, "crm", &receiver.url());
    let emitted = env.hookctl(["emit", "a.b", "--data", "{}", "-o", "json"]).run().ok().json();
    let delivery = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    let listed = env.hookctl(["delivery", "list", "-o", "json"]).run().ok().json();
    let drained = env.hookctl(["drain", "--all", "-o", "json"]).run().ok().json();
    let fields = "id name description url events http_method content_type headers is_active owner max_retries \
        retry_delay_seconds timeout_seconds total_deliveries successful_deliveries failed_deliveries last_delivery_at \
        last_success_at last_failure_at created_at updated_at signature_schemes retry_schedule disabled_reason secret";
    let delivery_fields = "id webhook_id webhook event_type event_id status attempt_number response_status_code \
        error_message error_type started_at completed_at duration_ms retry_count next_retry_at";
    let attempt_fields = "attempt_number trigger started_at completed_at duration_ms response_status_code \
        response_headers response_body response_truncated error_type error_message";
    for (view, names) in [
        (&webhook, fields),
        (&emitted, "event_id event_type duplicate deliveries"),
        (&emitted["deliveries"][0], "id webhook status response_status_code error_type next_retry_at"),
        (&delivery, delivery_fields),
        (&delivery, "payload_hash payload attempts"),
        (&listed[0], delivery_fields),
        (&delivery["attempts"][0], attempt_fields),
        (&drained, "claimed succeeded retrying failed deferred remaining_due duration_ms"),
    ] {
        for name in names.split_whitespace() {
            assert!(view.get(name).is_some(), "{name} is missing in {view}");
        }
    }
}

#[test]
fn strict_turns_a_failed_attempt_into_exit_code_5() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(500));
    create(&env, "crm", &receiver.url());
    env.hookctl(["emit", "a.b", "--data", "{}"]).run().ok();
    env.hookctl(["emit", "a.b", "--data", "{}", "--strict"]).run().fails(5);
    env.hookctl(["drain", "--all", "--strict", "-q"]).run().fails(5);
    env.hookctl(["webhook", "test", "crm"]).run().fails(5);
    env.hookctl(["delivery", "retry", "1"]).run().fails(5);
}

#[test]
fn quiet_runs_say_nothing_but_what_a_program_asks_for() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url());
    for arguments in [&["emit", "a.b", "--enqueue", "-q"] as &[&str], &["drain", "-q"], &["emit", "a.b", "-q"]] {
        let run = env.hookctl(arguments.to_vec()).run().ok();
        assert_eq!((run.text().as_str(), run.err().as_str()), ("", ""), "{arguments:?}");
    }
    assert_eq!(receiver.count(), 2);
    let emitted = env.hookctl(["emit", "a.b", "-q", "-o", "json"]).run().ok().json();
    assert_eq!(emitted["deliveries"][0]["status"], "success");
}

//! The log: `delivery list|show|retry|cancel` and `event list|show|resend`.

use serde_json::Value;

use crate::support::{Reply, TestEnv, TestReceiver, closed_port};

/// Four deliveries: 1 delivered, 2 failed by a refused connection, 3 retrying after a 503, 4 pending.
fn log() -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200).on("/busy", Reply::with_body(503, "later\u{1b}")));
    let at = |time: &'static str, arguments: &[&str]| env.hookctl(arguments).now(time).run().ok();
    let create = |name: &str, url: &str, event: &str| {
        env.hookctl(["webhook", "create", name, "--url", url, "-e", event, "--max-retries"])
            .arg(if name == "down" { "0" } else { "3" })
            .run()
            .ok();
    };
    create("good", &receiver.url(), "invoice.*");
    create("down", &format!("http://{}/", closed_port()), "task.created");
    create("busy", &receiver.url_at("/busy"), "client.created");
    at("2026-01-01T00:00:00Z", &["emit", "invoice.paid", "--event-id", "one", "--data", "{\"n\":1.0}"]);
    at("2026-01-02T00:00:00Z", &["emit", "task.created", "--event-id", "two"]);
    at("2026-01-03T00:00:00Z", &["emit", "client.created", "--event-id", "three"]);
    at("2026-01-04T00:00:00Z", &["emit", "invoice.sent", "--event-id", "four", "--enqueue"]);
    (env, receiver)
}

#[track_caller]
fn told(env: &TestEnv, arguments: &[&str]) -> Value {
    env.hookctl(arguments).args(["-o", "json"]).now("2026-01-04T12:00:00Z").run().ok().json()
}

fn ids(list: &Value) -> Vec<i64> {
    list.as_array().unwrap().iter().map(|delivery| delivery["id"].as_i64().unwrap()).collect()
}

#[test]
fn each_filter_shows_what_it_means_newest_first() {
    let (env, _receiver) = log();
    for (arguments, expected) in [
        (&[][..], &[4, 3, 2, 1][..]),
        (&["--status", "success"], &[1]),
        (&["--status", "failed"], &[2]),
        (&["--status", "retrying,pending"], &[4, 3]),
        (&["--status", "cancelled"], &[]),
        (&["-w", "good"], &[4, 1]),
        (&["-w", "down", "-w", "3"], &[3, 2]),
        (&["--type", "task.created"], &[2]),
        (&["--type", "invoice.*"], &[4, 1]),
        (&["--event-id", "three"], &[3]),
        (&["--error-type", "connection_error"], &[2]),
        (&["--error-type", "http_error"], &[3]),
        (&["--status-code", "5xx"], &[3]),
        (&["--status-code", "200,503"], &[3, 1]),
        (&["--since", "2026-01-03T00:00:00Z"], &[4, 3]),
        (&["--until", "2026-01-03T00:00:00Z"], &[2, 1]),
        (&["--since", "2d", "--until", "12h"], &[3]),
        (&["--status", "success", "-w", "busy"], &[]),
        (&["--limit", "2"], &[4, 3]),
        (&["--limit", "2", "--before", "3"], &[2, 1]),
    ] {
        assert_eq!(ids(&told(&env, &[&["delivery", "list"], arguments].concat())), expected, "{arguments:?}");
    }
    for arguments in [
        ["--status", "lost"],
        ["--error-type", "unknown"],
        ["--status-code", "6000"],
        ["--since", "2026-13-01"],
        ["--limit", "0"],
        ["--type", "a b"],
    ] {
        let run = env.hookctl(["delivery", "list"]).args(arguments).run().fails(2);
        assert!(run.err().contains(arguments[0]), "{run:?}");
    }
    env.hookctl(["delivery", "list", "-w", "nobody"]).run().fails(3);
    env.hookctl(["delivery", "list", "--event-id", "nothing"]).run().fails(3);
}

#[test]
fn a_delivery_shows_why_the_receiver_did_not_get_it() {
    let (env, _receiver) = log();
    let shown = told(&env, &["delivery", "show", "3"]);
    assert_eq!((&shown["status"], &shown["error_type"]), (&"retrying".into(), &"http_error".into()));
    assert_eq!(shown["attempts"][0]["response_body"], "later\u{1b}");
    assert_eq!(shown["request"]["headers"]["X-Webhook-Event"], "client.created");
    assert!(shown["request"]["headers"]["webhook-signature"].as_str().unwrap().starts_with("v1,"), "{shown}");
    let refused = told(&env, &["delivery", "show", "2"]);
    assert_eq!((&refused["status"], &refused["next_retry_at"]), (&"failed".into(), &Value::Null));
    assert_eq!(refused["attempts"][0]["response_status_code"], Value::Null);
    assert_eq!(refused["attempts"][0]["error_type"], "connection_error");
    let text = env.hookctl(["delivery", "show", "3"]).run().ok().text();
    assert!(text.contains("later\\u{1b}") && !text.contains('\u{1b}'), "{text:?}");
    env.hookctl(["delivery", "show", "99"]).run().fails(3);
}

#[test]
fn an_open_delivery_shows_what_it_waits_for() {
    let (env, _receiver) = log();
    let waits = |id: &str| {
        let shown = told(&env, &["delivery", "show", id]);
        [&shown["waiting"]["for"], &shown["waiting"]["until"]].map(|value| value.as_str().unwrap_or("-").to_owned())
    };
    assert_eq!(waits("1"), ["-", "-"], "it was delivered");
    assert_eq!(waits("2"), ["-", "-"], "it failed");
    assert_eq!(waits("3"), ["drain", "-"], "its time has come");
    assert_eq!(waits("4"), ["drain", "-"]);

    let busy = "webhook_id = (SELECT id FROM webhooks WHERE name = 'busy')";
    let (soon, late) = (1_767_528_060_000_i64, 1_767_531_600_000_i64);
    env.sql_write(&format!("UPDATE deliveries SET due_at = {soon} WHERE id = 3"));
    assert_eq!(waits("3"), ["retry", "2026-01-04T12:01:00.000Z"]);
    env.sql_write(&format!("UPDATE webhook_state SET held_until = {late} WHERE {busy}"));
    assert_eq!(waits("3"), ["receiver", "2026-01-04T13:00:00.000Z"]);
    env.sql_write(&format!("UPDATE webhook_state SET held_until = NULL, breaker_open_until = {late} WHERE {busy}"));
    assert_eq!(waits("3"), ["breaker", "2026-01-04T13:00:00.000Z"]);
    env.sql_write(&format!("UPDATE deliveries SET claim_token = 7, due_at = {soon} WHERE id = 3"));
    assert_eq!(waits("3"), ["attempt", "2026-01-04T12:01:00.000Z"], "whatever else");

    told(&env, &["webhook", "disable", "good"]);
    assert_eq!(waits("4"), ["enable", "-"]);
    let text = env.hookctl(["delivery", "show", "4"]).run().ok().text();
    assert!(text.contains("the webhook is disabled (disabled by hand)"), "{text}");
    told(&env, &["webhook", "enable", "good"]);
    told(&env, &["webhook", "update", "good", "--ordered"]);
    told(&env, &["emit", "invoice.sent", "--enqueue"]);
    told(&env, &["emit", "invoice.sent", "--enqueue"]);
    let last = told(&env, &["delivery", "list", "--limit", "1"])[0]["id"].to_string();
    assert_eq!(waits(&last), ["order", "-"]);
}

#[test]
fn a_retry_is_an_attempt_by_hand_with_a_fresh_budget() {
    let (env, receiver) = log();
    env.hookctl(["webhook", "update", "down", "--url", &receiver.url_at("/up")]).run().ok();
    let dry = told(&env, &["delivery", "retry", "--status", "failed", "--dry-run"]);
    assert_eq!(dry, serde_json::json!([{"webhook": "down", "deliveries": 1}]));
    let retried = told(&env, &["delivery", "retry", "--status", "failed"]);
    assert_eq!((&retried["retried"], &retried["succeeded"]), (&1.into(), &1.into()));
    let shown = told(&env, &["delivery", "show", "2"]);
    assert_eq!((&shown["status"], &shown["error_type"]), (&"success".into(), &Value::Null));
    let triggers: Vec<_> = shown["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["trigger"]).collect();
    assert_eq!(triggers, ["scheduled", "manual"]);
    assert_eq!(receiver.requests_at("/up")[0].header("x-webhook-attempt"), Some("2"));
    env.hookctl(["delivery", "retry", "99"]).run().fails(3);
    env.hookctl(["delivery", "retry"]).run().fails(2);
    env.hookctl(["delivery", "retry", "3", "-o", "json"]).run().fails(5);
}

#[test]
fn what_was_cancelled_is_not_sent_until_it_is_retried() {
    let (env, receiver) = log();
    assert_eq!(told(&env, &["delivery", "cancel", "4"])["cancelled"], 1);
    assert_eq!(told(&env, &["drain", "--all", "-w", "good"])["claimed"], 0);
    assert_eq!(told(&env, &["delivery", "show", "4"])["status"], "cancelled");
    assert_eq!(told(&env, &["delivery", "cancel", "1"])["cancelled"], 0, "it is finished");
    env.hookctl(["delivery", "cancel", "--status", "retrying"]).run().fails(2);
    assert_eq!(told(&env, &["delivery", "cancel", "--status", "retrying", "-y"])["cancelled"], 1);
    let before = receiver.count();
    assert_eq!(told(&env, &["delivery", "retry", "4"])["succeeded"], 1);
    assert_eq!(receiver.count(), before + 1);
}

#[test]
fn events_are_listed_and_shown() {
    let (env, _receiver) = log();
    let event_ids = |arguments: &[&str]| {
        let list = told(&env, &[&["event", "list"], arguments].concat());
        list.as_array().unwrap().iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = event_ids(&[]);
    // hookctl's own announcement that a delivery failed is an event like any other.
    assert!(all.len() == 5 && all[2].starts_with("evt_"), "{all:?}");
    assert_eq!([&all[0], &all[1], &all[3], &all[4]], ["four", "three", "two", "one"]);
    assert_eq!(event_ids(&["--type", "delivery.failed"]), all[2..3]);
    assert_eq!(event_ids(&["--type", "invoice.*"]), ["four", "one"]);
    assert_eq!(event_ids(&["--type", "invoice.paid"]), ["one"]);
    assert_eq!(event_ids(&["--since", "2026-01-02T00:00:00Z", "--until", "2026-01-04T00:00:00Z"]), all[1..4]);
    assert_eq!(event_ids(&["--limit", "2", "--before", "three"]), all[2..4]);
    let shown = told(&env, &["event", "show", "one"]);
    assert_eq!((&shown["event_type"], &shown["deliveries"][0]["webhook"]), (&"invoice.paid".into(), &"good".into()));
    let payload = env.hookctl(["event", "show", "one", "--payload"]).run().ok().text();
    assert_eq!(
        payload,
        "{\"event_id\":\"one\",\"event_type\":\"invoice.paid\",\"timestamp\":\"2026-01-01T00:00:00.000Z\",\"data\":{\"n\":1.0}}"
    );
    assert_eq!(shown["payload"], payload);
    env.hookctl(["event", "show", "nothing"]).run().fails(3);
}

#[test]
fn an_event_is_resent_to_those_that_want_it_now_and_to_those_that_are_named() {
    let (env, receiver) = log();
    env.hookctl(["webhook", "create", "new", "--url", &receiver.url_at("/new"), "-e", "invoice.paid"]).run().ok();
    told(&env, &["event", "resend", "one"]);
    told(&env, &["event", "resend", "one"]);
    let sent = receiver.requests_at("/new");
    assert_eq!((sent.len(), sent[0].header("webhook-id")), (1, Some("one")));
    let good = receiver.requests_at("/").len();
    told(&env, &["event", "resend", "one", "-w", "good"]);
    let again = receiver.requests_at("/");
    assert_eq!((again.len(), again[good].header("x-webhook-attempt")), (good + 1, Some("2")));
    assert_eq!(again[good].body, again[0].body);
    env.hookctl(["event", "resend", "nothing"]).run().fails(3);
}

#[test]
fn every_page_together_is_the_whole_log_in_every_format() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.hookctl(["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]).run().ok();
    let lines = "{\"type\":\"task.created\"}\n".repeat(1_203);
    env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(lines).run().ok();
    let whole: Vec<i64> = (1..=1_203).rev().collect();
    assert_eq!(ids(&told(&env, &["delivery", "list", "--limit", "5000"])), whole);
    let streamed = env.hookctl(["delivery", "list", "--limit", "5000", "-o", "jsonl"]).run().ok().jsonl();
    assert_eq!(ids(&Value::Array(streamed)), whole);
    let csv = env.hookctl(["delivery", "list", "--limit", "5000", "-o", "csv"]).run().ok().text();
    assert!(csv.starts_with("id,webhook_id,webhook,event_type,") && csv.lines().count() == 1_204, "{csv:.100}");
    let (mut paged, mut before) = (Vec::new(), "1000000".to_owned());
    while before != "1" {
        paged.extend(ids(&told(&env, &["delivery", "list", "--limit", "401", "--before", &before])));
        before = paged.last().unwrap().to_string();
    }
    assert_eq!(paged, whole);
}

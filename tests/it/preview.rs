//! `webhook preview`: what a webhook would be sent, and why it would get nothing. Nothing is sent or stored.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestEnv, TestReceiver};

fn preview(env: &TestEnv, arguments: &[&str]) -> Value {
    let words = ["--read-only", "webhook", "preview", "crm", "-o", "json"];
    env.hookctl(words).args(arguments.iter().copied()).run().ok().json()
}

#[test]
fn a_preview_shows_the_request_that_is_then_sent_and_changes_nothing() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let options = ["--transform", "{n: .data.n, id: .event_id}", "-H", "X-Team: sales", "--filter", ".data.n > 1"];
    env.create("crm", &receiver.url(), &[&options[..], &["-H", "X-Api-Key: hunter2"]].concat());
    env.hookctl(["emit", "a.b", "--data", r#"{"n":12.50}"#, "--event-id", "e1"]).run().ok();
    let before = env.sql("SELECT version FROM webhook_state");
    let shown = preview(&env, &["--event", "e1"]);
    let sent = receiver.wait_for(1, Duration::from_secs(60)).remove(0);
    assert_eq!((&shown["wanted"], &shown["reason"], &shown["method"]), (&json!(true), &Value::Null, &json!("POST")));
    assert_eq!(
        (&shown["body"], shown["url"].as_str().unwrap()),
        (&json!(r#"{"n":12.50,"id":"e1"}"#), receiver.url().as_str())
    );
    assert_eq!(shown["body"], sent.text());
    let headers = shown["headers"].as_object().unwrap();
    for (name, value) in headers {
        let value = value.as_str().unwrap();
        match name.as_str() {
            "X-Webhook-Delivery" => assert_eq!(value, "(a number)"),
            "X-Api-Key" => assert_eq!(value, "***"),
            // They hold the time.
            "webhook-timestamp" | "webhook-signature" => assert!(sent.header(name).is_some()),
            _ => assert_eq!(sent.header(name), Some(value), "{name}"),
        }
    }
    assert!(headers.len() >= 11, "{shown}");
    let page = env.hookctl(["webhook", "preview", "crm", "--event", "e1"]).run().ok().text();
    for line in ["Preview of a.b for crm", "X-Team: sales", r#"  {"n":12.50,"id":"e1"}"#] {
        assert!(page.contains(line), "{page}");
    }
    assert_eq!((receiver.count(), env.sql("SELECT version FROM webhook_state")), (1, before));
    assert_eq!(env.sql_value("SELECT count(*) FROM events") + &env.sql_value("SELECT count(*) FROM deliveries"), "11");
}

#[test]
fn a_preview_says_why_the_webhook_would_get_nothing_and_shows_the_request_all_the_same() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(410));
    env.create("crm", &receiver.url(), &["-e", "invoice.*,webhook.*", "--owner", "acme", "--filter", ".data.n > 1"]);
    let reason = |arguments: &[&str]| {
        let shown = preview(&env, arguments);
        assert!(shown["body"].is_string() && shown["headers"].is_object(), "{shown}");
        assert_eq!(shown["wanted"], shown["reason"].is_null(), "{shown}");
        (shown["reason"].as_str().unwrap_or("none").to_owned(), shown["detail"].as_str().unwrap().to_owned())
    };
    let of = |event_type: &str, data: &str| reason(&["--type", event_type, "--data", data]);
    assert_eq!(of("invoice.paid", r#"{"n":2}"#).0, "none");
    assert_eq!(of("invoice.paid", r#"{"n":1}"#), ("filter".to_owned(), "its filter says no".to_owned()));
    let (filter, told) = of("invoice.paid", r#"{"n":{}}"#);
    assert_eq!(
        (filter.as_str(), told.as_str()),
        ("none", "subscribes to invoice.*, webhook.*"),
        "objects are above numbers"
    );
    let (filter, told) = of("invoice.paid", "7");
    assert!(filter == "filter" && told.starts_with("the filter gave no answer: cannot index 7"), "{told}");
    assert_eq!(of("task.created", "{}").0, "pattern");
    assert_eq!(reason(&[]).0, "none", "a test reaches every webhook");
    env.hookctl(["emit", "invoice.paid", "--data", "{}", "--event-id", "e1", "--owner", "other"]).run().ok();
    assert_eq!(reason(&["--event", "e1"]).0, "owner");
    env.hookctl(["emit", "invoice.paid", "--data", r#"{"n":2}"#]).run().ok();
    let gone = env.hookctl(["event", "list", "--type", "webhook.disabled", "-o", "json"]).run().ok().json();
    assert_eq!(reason(&["--event", gone[0]["event_id"].as_str().unwrap()]).0, "about-itself");
    assert_eq!(of("invoice.paid", r#"{"n":2}"#).0, "disabled");
}

#[test]
fn where_the_transform_fails_there_is_no_request_and_the_preview_says_why() {
    let env = TestEnv::new();
    env.create("crm", "http://127.0.0.1:9/", &["--transform", ".data.n | ascii_upcase"]);
    let shown = preview(&env, &["--type", "a.b", "--data", r#"{"n":1}"#]);
    assert_eq!((&shown["wanted"], &shown["reason"]), (&json!(false), &json!("transform")));
    assert_eq!((&shown["headers"], &shown["body"]), (&Value::Null, &Value::Null));
    assert!(shown["detail"].as_str().unwrap().contains("cannot use 1 as string"), "{shown}");
    let page = env.hookctl(["webhook", "preview", "crm", "--type", "a.b", "--data", r#"{"n":1}"#]).run().ok().text();
    assert!(page.contains("fails: the transform made no body") && page.contains("No request"), "{page}");
    let told = "; emit records a failed delivery";
    assert!(page.contains(told) && shown["detail"].as_str().unwrap().ends_with(told), "{page}");
    let dry = env.hookctl(["emit", "a.b", "--data", r#"{"n":1}"#, "--dry-run"]).run().ok().text();
    assert!(dry.contains("fails") && dry.contains(told), "{dry}");
    env.hookctl(["emit", "a.b", "--data", r#"{"n":1}"#, "--strict"]).run().fails(5);
    assert_eq!(env.sql_value("SELECT status FROM deliveries"), "failed");
}

#[test]
fn the_preview_of_a_test_that_would_fail_says_why() {
    let env = TestEnv::new();
    env.create("crm", "http://127.0.0.1:9/", &["--transform", ".data"]);
    // In the envelope it is one level deeper than an expression takes.
    let deep = "[".repeat(128) + &"]".repeat(128);
    let shown = preview(&env, &["--data", &deep]);
    assert_eq!(
        (&shown["wanted"], &shown["reason"], &shown["body"]),
        (&json!(false), &json!("transform"), &Value::Null)
    );
    let detail = shown["detail"].as_str().unwrap();
    assert!(detail.contains("nested deeper than 128 levels"), "{detail}");
    assert!(detail.ends_with("; `hookctl webhook test` records a failed delivery"), "{detail}");
    env.hookctl(["webhook", "test", "crm", "--data", &deep]).run().fails(5);
    assert_eq!(env.sql_value("SELECT status FROM deliveries"), "failed");
}

#[test]
fn what_cannot_be_previewed_is_one_line_with_its_exit_code() {
    let env = TestEnv::new();
    env.create("crm", "http://127.0.0.1:9/", &[]);
    let schema = env.file("schema.json", r#"{"type":"object","required":["id"]}"#);
    env.hookctl(["event-type", "add", "order.sent", "--schema", schema.to_str().unwrap()]).run().ok();
    env.hookctl(["emit", "a.b", "--event-id", "old", "--enqueue"]).run().ok();
    env.hookctl(["delivery", "cancel", "1", "-y"]).run().ok();
    env.hookctl(["delivery", "prune", "--older-than", "0s", "-y"]).run().ok();
    for (arguments, code, told) in [
        (&["cmr"][..], 3, "no webhook 'cmr'"),
        (&["crm", "--event", "e9"], 3, "no event 'e9'"),
        (&["crm", "--event", "old"], 3, "was pruned"),
        (&["crm", "--event", "old", "--type", "a.b"], 2, "--type"),
        (&["crm", "--type", "a b"], 2, "--type: 'a b' is not an event type"),
        (&["crm", "--type", "a.b", "--data", "{"], 2, "--data: not valid JSON"),
        (&["crm", "--type", "order.sent", "--data", "{}"], 2, "--data: the schema of order.sent refuses it"),
    ] {
        let run = env.hookctl(["webhook", "preview"]).args(arguments.iter().copied()).run().fails(code);
        assert!(run.err().contains(told) && run.text().is_empty(), "{run:?}");
    }
}

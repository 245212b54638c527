//! Events and deliveries are found by what they are about: entity, key, owner, and how long an answer took.

use std::time::Duration;

use serde_json::Value;

use crate::support::{Reply, TestEnv, TestReceiver};

/// Three events about invoices and a project, with and without a key, to a webhook of an owner and to one of nobody.
fn filled() -> TestEnv {
    let receiver = TestReceiver::start(200);
    let env = TestEnv::new();
    env.create("ours", &receiver.url(), &["--owner", "none"]);
    env.create("theirs", &receiver.url(), &["--owner", "acme", "-e", "invoice.*"]);
    let emit = |more: &[&str]| env.hookctl([&["emit"], more].concat()).run().ok();
    emit(&["invoice.created", "--data", "1", "--event-id", "a", "--entity", "invoice:42:Invoice 42", "--key", "c-7"]);
    emit(&["invoice.paid", "--data", "1", "--event-id", "b", "--entity", "invoice:43", "--key", "c-8"]);
    emit(&["project.created", "--data", "1", "--event-id", "c", "--entity", "project:42"]);
    let batch = r#"{"type":"invoice.sent","event_id":"d","data":1,"entity":{"type":"invoice","id":42},"key":"c-7","owner":"acme"}"#;
    env.hookctl(["emit", "--batch", "-"]).stdin(batch).run().ok();
    env
}

/// The event ids of a list.
fn ids(env: &TestEnv, list: &str, more: &[&str]) -> String {
    let rows = env.hookctl([&[list, "list", "-o", "jsonl"], more].concat()).run().ok().jsonl();
    rows.iter().map(|row| row["event_id"].as_str().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn events_and_deliveries_are_found_by_entity_and_key() {
    let env = filled();
    for (filters, events, deliveries) in [
        (&["--entity", "invoice:42"][..], "d a", "d a a"),
        (&["--entity", "invoice"], "d b a", "d b b a a"),
        (&["--entity", "project:42"], "c", "c"),
        (&["--entity", "project:43"], "", ""),
        (&["--key", "c-7"], "d a", "d a a"),
        (&["--key", "c-7", "--entity", "invoice:42", "--type", "invoice.sent"], "d", "d"),
        (&["--event-id", "b"], "b", "b b"),
    ] {
        assert_eq!(
            (ids(&env, "event", filters).as_str(), ids(&env, "delivery", filters).as_str()),
            (events, deliveries)
        );
    }
    for wrong in ["", ":42", "invoice:"] {
        for list in ["event", "delivery"] {
            let run = env.hookctl([list, "list", "--entity", wrong]).run().fails(2);
            assert!(run.err().contains("--entity: not an entity; write TYPE or TYPE:ID"), "{run:?}");
        }
    }
}

#[test]
fn deliveries_are_found_by_owner() {
    let env = filled();
    assert_eq!(ids(&env, "delivery", &["--owner", "acme"]), "d b a");
    assert_eq!(ids(&env, "delivery", &["--owner", "none"]), "c b a");
    assert_eq!(ids(&env, "delivery", &["--owner", "nobody-else"]), "");
    assert_eq!(ids(&env, "delivery", &["--owner", "acme", "-w", "ours"]), "", "both must hold");
    assert_eq!(ids(&env, "delivery", &["--owner", "acme", "-w", "theirs"]), "d b a");
    assert_eq!(ids(&env, "event", &["--owner", "acme"]), "d");
}

#[test]
fn what_is_found_tells_entity_key_and_owner() {
    let env = filled();
    let event = env.hookctl(["event", "show", "a", "-o", "json"]).run().ok().json();
    let told = ["entity_type", "entity_id", "key", "owner"].map(|key| event[key].clone());
    assert_eq!(told, [Value::from("invoice"), Value::from("42"), Value::from("c-7"), Value::Null]);
    let delivery = &env.hookctl(["delivery", "list", "--owner", "acme", "-o", "json"]).run().ok().json()[0];
    assert_eq!((delivery["key"].as_str(), delivery["owner"].as_str()), (Some("c-7"), Some("acme")));
    let page = env.hookctl(["event", "show", "a"]).run().ok().text();
    assert!(page.contains("Entity:   invoice:42\n") && page.contains("Key:      c-7\n"), "{page}");
    assert!(!event["payload"].as_str().unwrap().contains("c-7"), "the key is not sent");
}

#[test]
fn slow_answers_are_found() {
    let slow = TestReceiver::start([Reply::Status(200), Reply::StatusAfter(Duration::from_millis(600), 500)]);
    let env = TestEnv::new();
    env.create("crm", &slow.url(), &[]);
    for id in ["quick", "slow"] {
        env.hookctl(["emit", "task.created", "--data", "1", "--event-id", id]).run().ok();
    }
    assert_eq!(ids(&env, "delivery", &["--longer-than", "500ms"]), "slow");
    assert_eq!(ids(&env, "delivery", &["--longer-than", "500ms", "--status-code", "5xx"]), "slow");
    assert_eq!(ids(&env, "delivery", &["--longer-than", "1m"]), "");
}

#[test]
fn a_frequent_entity_is_found_as_a_rare_one_is() {
    let env = filled();
    env.sql_write(
        "INSERT INTO events (event_id, event_type, payload, fingerprint, entity_type, entity_id, created_at)
         SELECT 'x' || row_number() OVER (ORDER BY a.name, b.name, c.name), 'a.b', payload, fingerprint, 'invoice', '9', 0
         FROM events, event_types a, event_types b, (SELECT name FROM event_types LIMIT 5) c
         WHERE events.id = (SELECT min(id) FROM events) ORDER BY a.name, b.name, c.name LIMIT 10050",
    );
    assert_eq!(ids(&env, "delivery", &["--entity", "invoice"]), "d b b a a");
    assert_eq!(ids(&env, "event", &["--entity", "invoice", "--type", "invoice.*"]), "d b a");
    assert_eq!(ids(&env, "event", &["--entity", "invoice", "--limit", "2"]), "x10050 x10049");
}

//! Event types with a JSON Schema and an example of their data.

use serde_json::{Value, json};

use crate::support::{Run, TestEnv, TestReceiver};

const SCHEMA: &str = r#"{"type":"object","required":["id"],"properties":{"id":{"type":"integer"},
    "lines":{"type":"array","items":{"properties":{"count":{"minimum":1}}}}}}"#;
const EXAMPLE: &str = r#"{"id":7,"total":12.50}"#;

/// A database whose type order.shipped has a schema and an example.
fn shipped() -> TestEnv {
    let env = TestEnv::new();
    env.file("schema.json", SCHEMA);
    env.file("example.json", EXAMPLE);
    add(&env, "order.shipped", &["--schema", "schema.json", "--example", "example.json"]).ok();
    env
}

fn add(env: &TestEnv, event_type: &str, words: &[&str]) -> Run {
    run(env, &[&["event-type", "add", event_type], words].concat())
}

fn run(env: &TestEnv, words: &[&str]) -> Run {
    env.hookctl(words.iter().copied()).current_dir(env.path()).run()
}

fn json(env: &TestEnv, words: &[&str]) -> Value {
    run(env, &[words, &["-o", "json"]].concat()).ok().json()
}

fn emit(env: &TestEnv, data: &str) -> Run {
    run(env, &["emit", "order.shipped", "--enqueue", "--data", data])
}

fn events(env: &TestEnv) -> String {
    env.sql_value("SELECT count(*) FROM events")
}

#[test]
fn emit_refuses_data_that_the_schema_refuses_and_stores_nothing() {
    for has_webhook in [false, true] {
        let env = shipped();
        if has_webhook {
            env.create("crm", "http://127.0.0.1:9/", &[]);
        }
        let refused = emit(&env, r#"{"id":"x","lines":[{"count":2},{"count":0}]}"#).fails(2).err();
        assert!(refused.contains("--data: the schema of order.shipped refuses it: /"), "{refused}");
        assert!(refused.contains("/id: ") && refused.contains("/lines/1/count: "), "{refused}");
        run(&env, &["emit", "order.shipped", "--enqueue"]).fails(2);
        run(&env, &["emit", "order.shipped", "--dry-run", "--data", "1"]).fails(2);
        run(&env, &["emit", "order.shipped", "--enqueue", "--example", "--set", ".id = 1.5"]).fails(2);
        assert_eq!(events(&env), "0");
        emit(&env, r#"{"id":1}"#).ok();
        run(&env, &["emit", "invoice.paid", "--enqueue", "--data", "1"]).ok();
        let payload = env.file("payload.json", "[]").display().to_string();
        run(&env, &["emit", "order.shipped", "--enqueue", "--payload", &payload]).ok();
        assert_eq!(events(&env), "3");
    }
}

#[test]
fn lines_of_a_batch_are_refused_one_by_one() {
    let env = shipped();
    let line = |data: &str| format!("{{\"type\":\"order.shipped\",\"data\":{data}}}\n");
    let lines = [line(r#"{"id":1}"#), line("2"), line(r#"{"id":3}"#), "{\"type\":\"order.shipped\"}\n".to_owned()];
    let batch = env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(lines.concat()).run().fails(65);
    for told in ["line 2 rejected: data: the schema of order.shipped refuses it", "line 4 rejected: data: "] {
        assert!(batch.err().contains(told), "{}", batch.err());
    }
    assert_eq!(events(&env), "2");
}

#[test]
fn a_schema_and_an_example_are_read_and_go_together() {
    let env = shipped();
    let shown = json(&env, &["event-type", "show", "order.shipped"]);
    assert_eq!(shown["schema"], serde_json::from_str::<Value>(SCHEMA).unwrap());
    assert_eq!(shown["example"]["data"], json!({"id": 7, "total": 12.5}));
    env.file("wrong.json", "{\"id\":\"x\"}");
    let refused = add(&env, "order.shipped", &["--example", "wrong.json"]).fails(2).err();
    assert!(refused.contains("--example: the schema refuses the example: /id: "), "{refused}");
    env.file("strict.json", "{\"properties\":{\"id\":{\"maximum\":1}}}");
    let refused = add(&env, "order.shipped", &["--schema", "strict.json"]).fails(2).err();
    assert!(refused.contains("--schema: the schema refuses the example: /id: "), "{refused}");
    for (schema, reason) in [
        ("{\"type\":\"text\"}", "/type: "),
        ("{", "not valid JSON"),
        ("{\"$ref\":\"https://example.com/s.json\"}", "is not read"),
    ] {
        env.file("bad.json", schema);
        let refused = add(&env, "order.sent", &["--schema", "bad.json"]).fails(2).err();
        assert!(refused.contains("--schema: ") && refused.contains(reason), "{refused}");
    }
    add(&env, "order.shipped", &["--description", "It left"]).ok();
    let shown = json(&env, &["event-type", "show", "order.shipped"]);
    assert!(shown["has_schema"] == true && shown["description"] == "It left", "what is not given stays: {shown}");
    add(&env, "order.shipped", &["--schema", "none"]).ok();
    emit(&env, "\"anything\"").ok();
}

#[test]
fn a_built_in_type_may_have_both_and_keeps_its_description() {
    let env = shipped();
    add(&env, "invoice.paid", &["--schema", "schema.json", "--example", "example.json"]).ok();
    add(&env, "invoice.paid", &["--description", "mine"]).fails(6);
    let shown = json(&env, &["event-type", "show", "invoice.paid"]);
    assert_eq!((&shown["builtin"], &shown["description"]), (&true.into(), &"An invoice was paid".into()));
    run(&env, &["emit", "invoice.paid", "--data", "1"]).fails(2);
}

#[test]
fn the_example_is_what_emit_and_test_send() {
    let receiver = TestReceiver::start(200);
    let env = shipped();
    env.create("crm", &receiver.url(), &["-e", "order.*"]);
    run(&env, &["emit", "order.shipped", "--example"]).ok();
    run(&env, &["emit", "order.shipped", "--example", "--set", ".total = 3"]).ok();
    run(&env, &["webhook", "test", "crm", "--type", "order.shipped"]).ok();
    run(&env, &["webhook", "test", "crm", "--type", "order.shipped", "--data", "[1]"]).ok();
    run(&env, &["webhook", "test", "crm", "--type", "invoice.paid"]).ok();
    let bodies: Vec<String> = receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    assert!(bodies[0].ends_with(r#""data":{"id":7,"total":12.50}}"#), "{}", bodies[0]);
    let data: Vec<Value> = receiver.requests().iter().map(|request| request.json()["data"].clone()).collect();
    assert_eq!(data[1..], [json!({"id":7,"total":3}), json!({"id":7,"total":12.5}), json!([1]), json!({"id":42})]);
    assert_eq!(receiver.requests()[4].json()["event_type"], "invoice.paid");
}

#[test]
fn a_type_with_a_schema_and_no_example_that_goes_with_it_has_none() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.file("schema.json", r#"{"type":"object","required":["number"]}"#);
    env.file("loose.json", r#"{"type":"object"}"#);
    add(&env, "order.sent", &["--schema", "schema.json"]).ok();
    add(&env, "order.lost", &["--schema", "loose.json"]).ok();
    assert_eq!(json(&env, &["event-type", "show", "order.sent"])["example"], Value::Null);
    assert_eq!(json(&env, &["event-type", "show", "order.lost"])["example"]["data"], json!({"id":42}));
    assert!(run(&env, &["event-type", "show", "order.sent"]).ok().text().contains("None that the schema takes"));
    for words in [
        &["webhook", "test", "crm", "--type", "order.sent"][..],
        &["webhook", "preview", "crm", "--type", "order.sent"],
        &["emit", "order.sent", "--example"],
        &["emit", "order.sent", "--example", "--dry-run"],
    ] {
        let refused = run(&env, words).fails(2).err();
        assert!(refused.contains("order.sent has a schema, and no example that goes with it"), "{refused}");
        assert!(refused.contains("hookctl event-type add order.sent --example FILE"), "{refused}");
    }
    run(&env, &["emit", "order.sent", "--example", "--data", r#"{"number":1}"#]).ok();
    run(&env, &["webhook", "test", "crm", "--type", "order.sent", "--data", r#"{"number":2}"#]).ok();
    assert_eq!(receiver.count(), 2);
}

#[test]
fn a_test_of_a_type_is_no_event_that_others_missed() {
    let receiver = TestReceiver::start(200);
    let env = shipped();
    env.create("crm", &receiver.url(), &["-e", "order.*"]);
    run(&env, &["webhook", "test", "crm", "--type", "order.shipped"]).ok();
    env.create("erp", &receiver.url(), &["-e", "order.*"]);
    for which in [&["--missing"][..], &["--type", "order.*"]] {
        let words = [&["event", "resend", "-w", "erp", "--since", "1h", "--dry-run"], which].concat();
        let preview = json(&env, &words);
        assert_eq!(preview["deliveries"], 0, "{preview}");
    }
    assert_eq!(json(&env, &["webhook", "show", "crm"])["total_deliveries"], 0);
}

#[test]
fn a_file_carries_schemas_and_examples() {
    let env = shipped();
    add(&env, "invoice.paid", &["--schema", "schema.json"]).ok();
    let other = TestEnv::new();
    for format in ["toml", "json"] {
        let exported = run(&env, &["export", "--format", format]).ok().text();
        assert!(exported.contains("12.50"), "{exported}");
        let file = other.file(&format!("types.{format}"), exported).display().to_string();
        run(&other, &["apply", "--dry-run", &file]).fails(if format == "toml" { 5 } else { 0 });
        run(&other, &["apply", &file]).ok();
        run(&other, &["apply", "--dry-run", &file]).ok();
    }
    emit(&other, "1").fails(2);
    run(&other, &["emit", "invoice.paid", "--data", "1"]).fails(2);
    let wrong = "[[event_types]]\nname = 'a.b'\nschema = { type = 'text' }\n";
    let refused = run(&other, &["apply", &other.file("wrong.toml", wrong).display().to_string()]).fails(2).err();
    assert!(refused.contains("(a.b): schema: /type: "), "{refused}");
}

//! `emit`: what is taken in, and what goes out.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::{Hookctl, TestEnv, TestReceiver};

const NOW: &str = "2026-01-31T12:00:00Z";

fn create(env: &TestEnv, name: &str, url: &str, more: &[&str]) {
    env.hookctl(["webhook", "create", name, "--url", url]).args(more.iter().copied()).run().ok();
}

fn emit(env: &TestEnv, arguments: &[&str]) -> Hookctl {
    env.hookctl([&["emit"], arguments, &["-o", "json"]].concat()).now(NOW)
}

fn webhooks(emitted: &Value) -> Vec<&str> {
    emitted["deliveries"].as_array().unwrap().iter().map(|delivery| delivery["webhook"].as_str().unwrap()).collect()
}

#[test]
fn the_envelope_is_these_exact_bytes_and_numbers_keep_their_spelling() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &["-e", "*"]);
    let data = env.file("data.json", " {\"n\": 12345678901234567890.10, \"n\": 1e2}\n");
    emit(
        &env,
        &[
            "invoice.paid",
            "--event-id",
            "order-1",
            "--data",
            &format!("@{}", data.display()),
            "--user",
            "{\"id\":7}",
            "--entity",
            "invoice:42:Number: 42",
            "--action",
            "paid",
            "--description",
            "Grüße",
        ],
    )
    .run()
    .ok();
    emit(&env, &["task.created", "--event-id", "bare"]).run().ok();
    let requests = receiver.requests();
    assert_eq!(
        requests[0].text(),
        "{\"event_id\":\"order-1\",\"event_type\":\"invoice.paid\",\"timestamp\":\"2026-01-31T12:00:00.000Z\",\
         \"user\":{\"id\":7},\"entity\":{\"type\":\"invoice\",\"id\":\"42\",\"name\":\"Number: 42\"},\"action\":\"paid\",\
         \"description\":\"Grüße\",\"data\":{\"n\": 12345678901234567890.10, \"n\": 1e2}}"
    );
    assert_eq!(
        requests[1].text(),
        "{\"event_id\":\"bare\",\"event_type\":\"task.created\",\"timestamp\":\"2026-01-31T12:00:00.000Z\"}"
    );
}

#[test]
fn a_payload_is_sent_as_it_is() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &["-e", "*", "--content-type", "application/octet-stream"]);
    let bytes: Vec<u8> = (0..=255).collect();
    let file = env.file("payload.bin", &bytes);
    emit(&env, &["task.created", "--payload", file.to_str().unwrap(), "--event-id", "a"]).run().ok();
    emit(&env, &["task.created", "--payload", "-", "--event-id", "b"]).stdin(bytes.clone()).run().ok();
    for (request, id) in receiver.requests().iter().zip(["a", "b"]) {
        assert_eq!(request.body, bytes);
        assert_eq!(request.header("content-type"), Some("application/octet-stream"));
        let stored = env.hookctl(["event", "show", id, "--payload"]).run().ok();
        assert_eq!(stored.stdout, bytes);
    }
    assert_eq!(receiver.count(), 2);
}

#[test]
fn a_payload_of_a_mebibyte_is_taken_and_one_more_byte_is_not() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &["-e", "*"]);
    let mut bytes = vec![b'x'; 1024 * 1024];
    emit(&env, &["task.created", "--payload", "-"]).stdin(bytes.clone()).run().ok();
    assert_eq!(receiver.requests()[0].body, bytes);
    bytes.push(b'x');
    emit(&env, &["task.created", "--payload", "-"]).stdin(bytes).run().fails(2);
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "1");
}

#[test]
fn it_goes_to_whom_it_is_for() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let url = receiver.url();
    create(&env, "a", &url, &["-e", "invoice.*", "--owner", "x"]);
    create(&env, "b", &url, &["-e", "*.paid", "--owner", "y"]);
    create(&env, "c", &url, &["-e", "task.created"]);
    create(&env, "d", &url, &["-e", "*", "--inactive"]);
    for (arguments, expected) in [
        (&["invoice.paid"][..], &["a", "b"][..]),
        (&["invoice.sent"], &["a"]),
        (&["invoice.paid", "-w", "b"], &["b"]),
        (&["invoice.paid", "--owner", "x"], &["a"]),
        (&["client.created"], &[]),
    ] {
        let told = emit(&env, arguments).run().ok().json();
        assert_eq!(webhooks(&told), expected, "{arguments:?}");
    }
    let nobody = emit(&env, &["client.created"]).run().ok();
    assert!(nobody.err().contains("no active webhook wants client.created"), "{nobody:?}");
    emit(&env, &["invoice.paid", "-w", "nobody"]).run().fails(3);
}

#[test]
fn a_dry_run_says_why_and_does_nothing() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let url = receiver.url();
    create(&env, "wants", &url, &["-e", "invoice.*", "--owner", "x"]);
    create(&env, "pattern", &url, &["-e", "task.*", "--owner", "x"]);
    create(&env, "owner", &url, &["-e", "*", "--owner", "y"]);
    create(&env, "disabled", &url, &["-e", "*", "--owner", "x", "--inactive"]);
    let told = emit(&env, &["invoice.paid", "--owner", "x", "--dry-run"]).run().ok().json();
    for (name, reason) in
        [("wants", None), ("pattern", Some("pattern")), ("owner", Some("owner")), ("disabled", Some("disabled"))]
    {
        let row = told.as_array().unwrap().iter().find(|row| row["webhook"] == name).unwrap();
        assert_eq!((row["would_deliver"].as_bool(), row["reason"].as_str()), (Some(reason.is_none()), reason));
    }
    assert_eq!((receiver.count(), env.sql_value("SELECT count(*) FROM events").as_str()), (0, "0"));
}

#[test]
fn a_dry_run_says_that_the_event_is_a_duplicate_or_a_conflict() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &["-e", "task.*"]);
    create(&env, "erp", &receiver.url(), &["-e", "invoice.*"]);
    emit(&env, &["task.created", "--event-id", "known", "--data", "1"]).run().ok();
    for same in [&["--event-id", "known", "--data", "1"][..], &["--dedupe", "10m", "--data", "1"]] {
        let run = emit(&env, &[&["task.created", "--dry-run"][..], same].concat()).run().ok();
        assert!(run.err().contains("accepted before; nothing would be sent (`hookctl event show known`)"), "{run:?}");
        let told = run.json();
        let reasons: Vec<_> = told.as_array().unwrap().iter().map(|row| row["reason"].as_str().unwrap()).collect();
        assert_eq!(reasons, ["duplicate", "pattern"], "{told}");
    }
    let conflict = emit(&env, &["task.created", "--dry-run", "--event-id", "known", "--data", "2"]).run().fails(6);
    assert!(conflict.err().contains("--event-id: 'known' was used before"), "{conflict:?}");
    for new in [&["--event-id", "new", "--data", "1"][..], &["--dedupe", "10m", "--data", "2"]] {
        let told = emit(&env, &[&["task.created", "--dry-run"][..], new].concat()).run().ok().json();
        assert_eq!(told[0]["would_deliver"], true, "{told}");
    }
    assert_eq!((receiver.count(), env.sql_value("SELECT count(*) FROM events").as_str()), (1, "1"));
}

#[test]
fn enqueue_stores_and_leaves_the_sending_to_drain() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &["-e", "*"]);
    let told = emit(&env, &["task.created", "--enqueue"]).run().ok().json();
    assert_eq!(told["deliveries"][0]["status"], "pending");
    assert_eq!(receiver.count(), 0);
    let drained = env.hookctl(["drain", "-o", "json"]).now(NOW).run().ok().json();
    assert_eq!((&drained["claimed"], &drained["succeeded"]), (&1.into(), &1.into()));
}

#[test]
fn a_twin_within_the_window_is_dropped() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &["-e", "*"]);
    let emit = |data: &str, now: &'static str| {
        let run = env.hookctl(["emit", "task.created", "--dedupe", "10m", "--data", data, "-o", "json"]).now(now).run();
        run.ok().json()["duplicate"].as_bool().unwrap()
    };
    assert!(!emit("{}", "2026-01-31T12:00:00Z"));
    assert!(emit("{}", "2026-01-31T12:09:00Z"));
    assert!(!emit("[]", "2026-01-31T12:09:00Z"), "other content");
    assert!(!emit("{}", "2026-01-31T12:10:01Z"), "the window is over");
    assert_eq!(receiver.count(), 3);
}

#[test]
fn a_slip_is_taken_with_one_warning_that_suggests_the_nearest_and_a_type_of_ones_own_without() {
    let env = TestEnv::new();
    let run = emit(&env, &["invoice.payed"]).run().ok();
    assert!(run.err().contains("did you mean 'invoice.paid'?"), "{run:?}");
    let again = emit(&env, &["invoice.payed"]).run().ok();
    assert!(!again.err().contains("did you mean"), "once: {again:?}");
    for own in ["order.shipped", "order.created", "anything"] {
        assert!(!emit(&env, &[own]).run().ok().err().contains("warning"), "{own}");
    }
}

#[test]
fn invalid_events_are_refused_and_store_nothing() {
    let env = TestEnv::new();
    for (arguments, part) in [
        (&["--data", "{}"][..], "TYPE"),
        (&["a b"], "TYPE"),
        (&["a.b", "--data", "{\"a\":"], "--data"),
        (&["a.b", "--data", "\"\\ud800\""], "--data"),
        (&["a.b", "--data", "@/nowhere"], "--data"),
        (&["a.b", "--payload", "/"], "--payload"),
        (&["a.b", "--event-id", "a.b"], "--event-id"),
        (&["a.b", "--event-id", ""], "--event-id"),
        (&["a.b", "--entity", "invoice"], "--entity"),
        (&["a.b", "--data", "-", "--user", "-"], "--user"),
        (&["a.b", "--data", "{}", "--payload", "-"], "--payload"),
        (&["a.b", "--concurrency", "0"], "--concurrency"),
        (&["a.b", "--dedupe", "soon"], "--dedupe"),
    ] {
        let run = emit(&env, arguments).run().fails(2);
        let error: Value = serde_json::from_slice(&run.stderr).unwrap();
        assert!(error["error"]["message"].as_str().unwrap().contains(part), "{run:?}");
        assert_eq!(error["error"]["exit_code"], 2);
    }
    assert!(!env.is_made() || env.sql_value("SELECT count(*) FROM events") == "0");
    let deep = "[".repeat(10_000);
    emit(&env, &["a.b", "--data", "-"]).stdin(deep).run().fails(2);
}

#[test]
fn a_batch_tells_bad_lines_by_their_number_and_takes_the_rest() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url(), &["-e", "*"]);
    let lines = "{\"type\":\"task.created\",\"data\":{\"n\":1.0},\"event_id\":\"one\"}\n\
                 {\"type\":\"task.created\"\n\
                 \n\
                 {\"type\":\"task.created\",\"payload\":\"plain text\"}\n\
                 {\"type\":\"task.created\",\"data\":1,\"payload\":2}\n\
                 {\"type\":\"task.created\",\"data\":{\"n\":1.0},\"event_id\":\"one\"}\n\
                 {\"type\":\"task.created\",\"data\":{},\"event_id\":\"one\"}\n\
                 {\"type\":\"task.created\",\"colour\":1}\n\
                 {\"type\":\"task.created\",\"payload\":{\"a\":1.00}}";
    let run = emit(&env, &["--batch", "-"]).stdin(lines).run().fails(65);
    let told = run.json();
    for (key, count) in
        [("lines", 9), ("accepted", 3), ("duplicates", 1), ("rejected", 4), ("deliveries", 3), ("succeeded", 3)]
    {
        assert_eq!(told[key], count, "{key}: {told}");
    }
    let rejected: Vec<_> =
        told["rejections"].as_array().unwrap().iter().map(|rejection| rejection["line"].as_i64().unwrap()).collect();
    let mut sorted = rejected.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [2, 5, 7, 8]);
    for line in sorted {
        assert!(run.err().contains(&format!("line {line} rejected: ")), "{run:?}");
    }
    let bodies: BTreeSet<_> = receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    let envelope = "{\"event_id\":\"one\",\"event_type\":\"task.created\",\
                    \"timestamp\":\"2026-01-31T12:00:00.000Z\",\"data\":{\"n\":1.0}}";
    assert_eq!(bodies, BTreeSet::from([envelope, "plain text", "{\"a\":1.00}"].map(str::to_owned)));
    emit(&env, &["--batch", "-", "--strict"]).stdin("nonsense").run().fails(65);
}

/// A part of an event that is refused: the arguments of `emit`, the same in a batch line, and the field that is told.
struct Refused {
    arguments: Vec<String>,
    line: String,
    field: &'static str,
}

fn refused(field: &'static str, option: &str, value: &str) -> Refused {
    let (event_type, rest) = match option {
        "TYPE" => (value, Vec::new()),
        _ => ("task.created", vec![option.to_owned(), value.to_owned()]),
    };
    let line = match field {
        "type" => json!({"type": value}).to_string(),
        "data" | "user" => format!("{{\"type\":\"task.created\",\"{field}\":{value}}}"),
        _ => json!({"type": event_type, field: value}).to_string(),
    };
    Refused { arguments: [vec![event_type.to_owned()], rest].concat(), line, field }
}

#[test]
fn a_batch_refuses_what_emit_refuses_with_the_same_reason() {
    let (env, long) = (TestEnv::new(), "x".repeat(101));
    let (longer, large) = ("x".repeat(2_001), format!("\"{}\"", "x".repeat(1024 * 1024 - 2)));
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    let large_file = format!("@{}", env.file("large.json", &large).display());
    let mut table = vec![
        refused("type", "TYPE", ""),
        refused("type", "TYPE", "a b"),
        refused("type", "TYPE", "a\u{1b}b"),
        refused("type", "TYPE", &long),
        refused("event_id", "--event-id", ""),
        refused("event_id", "--event-id", "a.b"),
        refused("event_id", "--event-id", &long),
        refused("owner", "--owner", ""),
        refused("owner", "--owner", " "),
        refused("owner", "--owner", "a\nb"),
        refused("owner", "--owner", "acme\u{200b}"),
        refused("owner", "--owner", &"x".repeat(201)),
        refused("entity", "--entity", "invoice"),
        refused("entity", "--entity", ":42"),
        refused("entity", "--entity", "invoice:"),
        refused("entity", "--entity", "invoice:4\u{7}2"),
        refused("entity", "--entity", "invoice:42:\u{202e}name"),
        refused("entity", "--entity", &format!("invoice:{}", "4".repeat(1_000))),
        refused("action", "--action", ""),
        refused("action", "--action", "pa\u{1b}[31mid"),
        refused("action", "--action", "pa\u{200b}id"),
        refused("action", "--action", &longer),
        refused("description", "--description", ""),
        refused("description", "--description", "a\u{2028}b"),
        refused("description", "--description", &longer),
        refused("user", "--user", &deep),
        refused("data", "--data", &deep),
    ];
    table.push(Refused {
        arguments: ["task.created", "--data", &large_file].map(str::to_owned).to_vec(),
        line: format!("{{\"type\":\"task.created\",\"data\":{large}}}"),
        field: "data",
    });
    for Refused { arguments, line, field } in &table {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let single = emit(&env, &arguments).run().fails(2);
        let error: Value = serde_json::from_slice(&single.stderr).unwrap();
        let (_, reason) = error["error"]["message"].as_str().unwrap().split_once(": ").unwrap();
        let batch = emit(&env, &["--batch", "-", "--enqueue"]).stdin(format!("\n{line}")).run().json();
        let line: String = line.chars().take(200).collect();
        assert_eq!((&batch["accepted"], &batch["rejections"][0]["line"]), (&json!(0), &json!(2)), "{line} {batch}");
        let told = batch["rejections"][0]["reason"].as_str().unwrap();
        assert_eq!(told, format!("{field}: {reason}"), "{line}");
    }
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "0");
}

#[test]
fn a_batch_takes_what_emit_takes() {
    let (env, name) = (TestEnv::new(), "x".repeat(100));
    let deepest = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let line = format!(
        "{{\"type\":\"{name}\",\"event_id\":\"{name}\",\"data\":{deepest},\"entity\":{{\"type\":\"a\",\"id\":7}},\"action\":\"a\\nb\"}}"
    );
    let batch = emit(&env, &["--batch", "-", "--enqueue"]).stdin(line).run().ok().json();
    assert_eq!(batch["accepted"], 1, "{batch}");
    let same = ["--event-id", &name, "--data", &deepest, "--entity", "a:7", "--action", "a\nb"];
    let again = emit(&env, &[&[name.as_str(), "--enqueue"][..], &same].concat()).run().ok().json();
    assert_eq!(again["duplicate"], true, "the same event, said by options: {again}");
}

#[test]
fn a_line_of_a_batch_holds_nothing_that_would_be_dropped() {
    let env = TestEnv::new();
    for (line, part) in [
        (r#"{"type":"a.b","payload":{},"action":"paid"}"#, "payload: is sent as it is"),
        (r#"{"type":"a.b","payload":{},"entity":"a:1"}"#, "payload: is sent as it is"),
        (
            r#"{"type":"a.b","entity":{"type":"a","id":1,"nmae":"x"}}"#,
            "entity: expected an object with type, id and name",
        ),
        (r#"{"type":"a.b","entity":5}"#, "entity: expected an object with type, id and name"),
        (r#"{"type":"a.b","data":"#, "not valid JSON"),
        (r#"["a.b"]"#, "not a JSON object"),
    ] {
        let batch = emit(&env, &["--batch", "-", "--enqueue"]).stdin(line).run().json();
        let told = batch["rejections"][0]["reason"].as_str().unwrap();
        assert!(told.starts_with(part), "{line}: {told}");
    }
}

#[test]
fn an_example_and_given_data_are_edited_before_they_are_stored() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    env.hookctl(["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]).run().ok();
    let emit = |arguments: &[&str]| env.hookctl([&["emit", "invoice.paid"], arguments].concat()).run();
    emit(&["--example", "--set", ".id += 1", "--set", ".amount = 12.50", "--action", "closed"]).ok();
    emit(&["--data", r#"{"b":1.0,"a":-0}"#, "--set", ".c = .b"]).ok();
    let bodies = receiver.requests();
    let first = bodies[0].json();
    assert_eq!((&first["entity"]["type"], &first["action"]), (&"invoice".into(), &"closed".into()));
    assert!(bodies[0].text().ends_with(r#""data":{"id":43,"amount":12.50}}"#), "{}", bodies[0].text());
    assert!(bodies[1].text().ends_with(r#""data":{"b":1.0,"a":-0,"c":1.0}}"#), "{}", bodies[1].text());
    env.file("payload", "{}");
    for (arguments, told) in [
        (&["--set", "."][..], "--set: there is no data to edit"),
        (&["--example", "--set", "empty"], "--set: the expression gives nothing for this value"),
        (&["--example", "--set", ".id.x"], "--set: cannot index 42 with \"x\""),
        (&["--example", "--set", ".id |"], "not a jq expression: expected term at column 6"),
        (&["--payload", "payload", "--set", "."], "--set"),
        (&["--payload", "payload", "--example"], "--example"),
    ] {
        let run = emit(arguments).fails(2);
        assert!(run.err().contains(told), "{run:?}");
    }
    assert_eq!((receiver.count(), env.sql_value("SELECT count(*) FROM events")), (2, "2".to_owned()));
}

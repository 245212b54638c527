//! Filters and transforms: what is owed, what is sent, and what becomes of an event on which an expression fails.

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{TestEnv, TestReceiver};

const PATIENCE: Duration = Duration::from_secs(60);

fn create(env: &TestEnv, name: &str, receiver: &TestReceiver, flags: &[&str]) {
    env.create(name, &receiver.url_at(&format!("/{name}")), flags);
}

fn emit(env: &TestEnv, data: &str) -> Value {
    env.hookctl(["emit", "invoice.paid", "--data", data, "-o", "json"]).run().ok().json()
}

fn delivery(env: &TestEnv, id: &Value) -> Value {
    env.hookctl(["delivery", "show", &id.to_string(), "-o", "json"]).run().ok().json()
}

fn of<'a>(emitted: &'a Value, webhook: &str) -> Option<&'a Value> {
    emitted["deliveries"].as_array().unwrap().iter().find(|delivery| delivery["webhook"] == webhook)
}

#[test]
fn a_filter_decides_what_is_owed_and_a_transform_makes_what_is_sent_and_signed() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "all", &receiver, &[]);
    create(
        &env,
        "large",
        &receiver,
        &["--filter", ".data.amount > 10", "--transform", "{z: .data.amount, a: .data.big}"],
    );
    let small = emit(&env, r#"{"amount":2}"#);
    assert!(of(&small, "large").is_none() && of(&small, "all").is_some(), "{small}");
    let large = emit(&env, r#"{"amount":12.50,"big":12345678901234567890.10}"#);
    let sent = &receiver.requests_at("/large")[0];
    assert_eq!(sent.text(), r#"{"z":12.50,"a":12345678901234567890.10}"#);
    assert_eq!(receiver.requests_at("/all")[1].json()["data"]["amount"], json!(12.5));
    let signature = sent.header("x-webhook-signature").unwrap();
    let verify = env.hookctl(["verify", "-w", "large", "--scheme", "timetracker", "--signature", signature, "-"]);
    verify.stdin(sent.text()).run().ok();
    let shown = delivery(&env, &of(&large, "large").unwrap()["id"]);
    assert_eq!(shown["body"], sent.text());
    assert!(shown["payload"].as_str().unwrap().contains("\"amount\":12.50"), "{shown}");
    assert_eq!(delivery(&env, &of(&large, "all").unwrap()["id"])["body"], Value::Null);
    let dry = env.hookctl(["emit", "a.b", "--data", r#"{"amount":1}"#, "--dry-run", "-o", "json"]).run().ok().json();
    assert_eq!(dry[1]["reason"], "filter", "{dry}");
    assert_eq!(dry[0]["would_deliver"], true, "{dry}");
    env.hookctl(["db", "check"]).run().ok();
}

#[test]
fn what_is_delivered_later_has_the_body_that_it_was_accepted_with() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver, &["--transform", "{n: .data.n}"]);
    env.hookctl(["emit", "a.b", "--data", r#"{"n":1}"#, "--enqueue"]).run().ok();
    env.hookctl(["webhook", "update", "crm", "--transform", "none"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!(receiver.requests()[0].text(), r#"{"n":1}"#);
}

#[test]
fn an_expression_that_fails_makes_a_failed_delivery_and_a_retry_asks_the_mended_one() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "filtered", &receiver, &["--filter", ".data.n.x > 1"]);
    create(&env, "formed", &receiver, &["--transform", "{n: (.data.n | ascii_upcase)}"]);
    let emitted = env.hookctl(["emit", "a.b", "--data", r#"{"n":1}"#, "-o", "json", "--strict"]).run().fails(5).json();
    for (webhook, error_type, told) in [
        ("filtered", "filter_error", "the filter gave no answer: cannot index 1 with \"x\""),
        ("formed", "transform_error", "the transform made no body: cannot use 1 as string"),
    ] {
        let shown = delivery(&env, &of(&emitted, webhook).unwrap()["id"]);
        assert_eq!((&shown["status"], &shown["error_type"]), (&json!("failed"), &json!(error_type)), "{shown}");
        assert_eq!((&shown["error_message"], &shown["attempts"]), (&json!(told), &json!([])), "{shown}");
        let listed = env.hookctl(["delivery", "list", "--error-type", error_type, "-o", "json"]).run().ok().json();
        assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    }
    assert_eq!(receiver.count(), 0);
    let webhook = env.hookctl(["webhook", "show", "formed", "-o", "json"]).run().ok().json();
    assert_eq!((&webhook["total_deliveries"], &webhook["failed_deliveries"]), (&json!(1), &json!(1)));
    let retry = ["delivery", "retry", "--status", "failed", "-o", "json"];
    let again = env.hookctl(retry).run().fails(5);
    assert!(again.err().contains("2 are not sent"), "{again:?}");
    assert_eq!(receiver.count(), 0);
    env.hookctl(["webhook", "update", "filtered", "--filter", ".data.n > 1"]).run().ok();
    env.hookctl(["webhook", "update", "formed", "--transform", "{n: .data.n}"]).run().ok();
    env.hookctl(retry).run().fails(5);
    let status = |webhook| delivery(&env, &of(&emitted, webhook).unwrap()["id"])["status"].take();
    assert_eq!((status("filtered"), status("formed")), (json!("cancelled"), json!("success")));
    assert_eq!(receiver.requests()[0].text(), r#"{"n":1}"#);
    env.hookctl(["db", "check"]).run().ok();
}

#[test]
fn equal_bodies_of_an_event_are_kept_once_and_go_with_their_deliveries() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for name in ["a", "b"] {
        create(&env, name, &receiver, &["--transform", "{n: .data.n}"]);
    }
    create(&env, "c", &receiver, &["--transform", "[.data.n]"]);
    emit(&env, r#"{"n":1}"#);
    let bodies = || env.sql_value("SELECT count(*) FROM bodies");
    assert_eq!((receiver.count(), bodies().as_str()), (3, "2"));
    env.hookctl(["webhook", "delete", "c", "-y"]).run().ok();
    assert_eq!(bodies(), "1");
    env.hookctl(["delivery", "prune", "--older-than", "0s", "-y"]).run().ok();
    assert_eq!(bodies(), "0");
    env.hookctl(["db", "check"]).run().ok();
}

#[test]
fn a_payload_is_seen_parsed_and_one_that_is_no_json_fails() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "formed", &receiver, &["--filter", ".n == 1", "--transform", ".n"]);
    create(&env, "plain", &receiver, &[]);
    let payload = |text: &str| {
        let run = env.hookctl(["emit", "a.b", "--payload", "-", "-o", "json"]).stdin(text).run().ok();
        run.json()["deliveries"].take()
    };
    assert_eq!(payload(r#"{"n":1}"#).as_array().unwrap().len(), 2);
    assert_eq!(receiver.requests_at("/formed")[0].text(), "1");
    let deliveries = payload("no JSON");
    let failed = deliveries.as_array().unwrap().iter().find(|delivery| delivery["webhook"] == "formed").unwrap();
    assert_eq!(failed["error_type"], "filter_error", "{deliveries}");
    assert_eq!(receiver.requests_at("/plain")[1].text(), "no JSON");
}

#[test]
fn resend_and_backfill_ask_the_expressions_of_now_and_a_test_only_the_transform() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for n in 1..=3 {
        emit(&env, &format!(r#"{{"n":{n}}}"#));
    }
    create(&env, "late", &receiver, &["--filter", ".data.n > 1", "--transform", ".data.n", "--inactive"]);
    let missing = ["event", "resend", "--missing", "-w", "late", "-o", "json"];
    let preview = env.hookctl(missing).arg("--dry-run").run().ok().json();
    assert_eq!((&preview["events"], &preview["deliveries"]), (&json!(2), &json!(2)), "{preview}");
    env.hookctl(["webhook", "enable", "late"]).run().ok();
    env.hookctl(missing).run().ok();
    let sent = || receiver.requests_at("/late").iter().map(|request| request.text().to_owned()).collect::<Vec<_>>();
    let sorted = || {
        let mut sent = sent();
        sent.sort();
        sent
    };
    assert_eq!(sorted(), ["2", "3"]);
    env.hookctl(["webhook", "update", "late", "--transform", "[.data.n]"]).run().ok();
    env.hookctl(["event", "resend", "-w", "late", "--type", "invoice.paid"]).run().ok();
    assert_eq!(sorted(), ["2", "3", "[1]", "[2]", "[3]"], "what was named is sent whatever the filter says");
    env.hookctl(["webhook", "test", "late", "--data", r#"{"n":7}"#]).run().ok();
    assert_eq!(sent().last().unwrap(), "[7]");
    env.hookctl(["webhook", "disable", "late"]).run().ok();
    emit(&env, r#"{"n":1}"#);
    emit(&env, r#"{"n":9}"#);
    env.hookctl(["webhook", "enable", "late", "--backfill"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!(sent().last().unwrap(), "[9]");
    assert_eq!(sent().len(), 7);
    env.hookctl(["db", "check"]).run().ok();
}

#[test]
fn what_is_announced_goes_through_the_expressions_too() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200).on("/crm", 410));
    create(&env, "crm", &receiver, &["-e", "invoice.*"]);
    create(
        &env,
        "desk",
        &receiver,
        &["-e", "webhook.*", "--filter", ".data.webhook == \"crm\"", "--transform", ".event_type"],
    );
    create(&env, "other", &receiver, &["-e", "webhook.*", "--filter", ".data.webhook == \"erp\""]);
    emit(&env, "1");
    env.hookctl(["drain"]).run().ok();
    assert_eq!(receiver.requests_at("/desk")[0].text(), "\"webhook.disabled\"");
    assert_eq!(receiver.requests_at("/other").len(), 0);
}

#[test]
fn a_delivery_that_fails_as_it_is_accepted_is_announced_once_and_not_its_own_announcement() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "formed", &receiver, &["-e", "invoice.*", "--transform", ".data.n | ascii_upcase"]);
    create(&env, "desk", &receiver, &["-e", "delivery.failed"]);
    create(&env, "broken", &receiver, &["-e", "delivery.failed", "--filter", ".data.webhook | floor"]);
    let lines = "{\"type\":\"invoice.paid\",\"data\":{\"n\":1}}\n".repeat(2);
    env.hookctl(["emit", "--batch", "-"]).stdin(lines).run().ok();
    emit(&env, r#"{"n":1}"#);
    emit(&env, r#"{"n":"a"}"#);
    env.hookctl(["drain"]).run().ok();
    let told = receiver.requests_at("/desk");
    assert_eq!(told.len(), 3, "{told:?}");
    for (number, request) in told.iter().enumerate() {
        let data = request.json()["data"].take();
        assert_eq!((&data["webhook"], &data["error_type"]), (&json!("formed"), &json!("transform_error")));
        assert_eq!((&data["attempts"], &data["event_type"]), (&json!(0), &json!("invoice.paid")), "{number}");
        let failed = delivery(&env, &data["delivery_id"]);
        assert_eq!((&failed["status"], &failed["event_id"]), (&json!("failed"), &data["event_id"]));
    }
    assert_eq!(env.sql_value("SELECT count(*) FROM events WHERE event_type = 'delivery.failed'"), "3");
    env.hookctl(["db", "check"]).run().ok();
}

/// Accepted, and costly beyond any bound: in time, in memory, in stack.
const COSTLY: [&str; 20] = [
    "(\"ab\" * 60000000) / \"a\" | length",
    "\"x\" * 1000000000",
    "(\"x\" * 100000000) * 20 | length",
    "[.data.l[] as $a | .data.l[] as $b | .data.l[] as $c | .data.l[] as $d | .data.l[] as $e | $a + $b + $c + $d + $e] | length",
    "reduce (.data.l[] | .,.,.,.) as $x (\"x\"; . + .) | length",
    "reduce (.data.l[] | .,.,.,.) as $x ([1]; . + .) | length",
    "reduce .data.l[] as $x ([1]; [.[], .[]]) | length",
    "[.data.l[] | (.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)] | length",
    "last((.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.))",
    "reduce .data.l[] as $x (1; [., .])",
    "[.data.l[] | tojson * 3000000] | tojson",
    "(\"[\" * 5000000) | fromjson",
    "(\"[\" * 100000 + \"]\" * 100000) | fromjson | tojson",
    "[.data.l[] | \"x\" * 10000000] | join(\"\") | length",
    "[foreach (.data.l[], .data.l[]) as $x (1; . * 1000000000000; [., .])] | .[-1] | tojson * 100000000",
    "[.data.l[] | \"x\" * 50000000 + tojson] | length",
    "(\"x\" * 1000000) as $s | [.data.l[] | $s + tostring] | add * 5 | length",
    "(\"a\" * 100000) | test(\"(a?){1000}b\")",
    "[.data.l[] as $a | .data.l[] | {a: $a, s: (\"x\" * 100000 + tojson)}] | length",
    "label $out | foreach ((.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)|(.,.)) as $x (0; . + 1; if . == 400000000 then ., break $out else empty end)",
];

#[test]
fn costly_expressions_end_by_a_bound_and_the_next_event_is_delivered() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for (number, expression) in COSTLY.iter().enumerate() {
        create(&env, &format!("costly{number}"), &receiver, &["-e", "invoice.*", "--transform", expression]);
    }
    create(&env, "cheap", &receiver, &["--transform", ".data.n"]);
    let list = (0..100).map(|n| n.to_string()).collect::<Vec<_>>().join(",");
    let lines = format!(
        "{{\"type\":\"invoice.paid\",\"data\":{{\"n\":1,\"l\":[{list}]}}}}\n{{\"type\":\"a.b\",\"data\":{{\"n\":2}}}}\n"
    );
    let batch = env.hookctl(["emit", "--batch", "-", "-o", "json"]).stdin(lines).time_limit(4 * PATIENCE).run().ok();
    assert_eq!(batch.json()["deliveries"], json!(COSTLY.len() + 2), "{batch:?}");
    let mut sent: Vec<String> =
        receiver.requests_at("/cheap").iter().map(|request| request.text().to_owned()).collect();
    sent.sort();
    assert_eq!(sent, ["1", "2"]);
    let log = env.hookctl(["delivery", "list", "--limit", "all", "-o", "json"]).run().ok().json();
    let mut ends = Vec::new();
    for delivery in log.as_array().unwrap().iter().filter(|delivery| delivery["webhook"] != "cheap") {
        let message = delivery["error_message"].as_str().unwrap_or_default();
        let is_bounded = ["took longer than 1 s", "used up its memory", "deeper than", "the limit is", "cannot parse"]
            .iter()
            .any(|bound| message.contains(bound));
        ends.push(format!("{}: {} {message} {is_bounded}", delivery["webhook"], delivery["status"]));
    }
    assert!(ends.iter().all(|end| end.ends_with("true")), "{}", ends.join("\n"));
    assert!(ends.iter().filter(|end| end.contains("took longer")).count() >= 3, "{}", ends.join("\n"));
    assert!(ends.iter().filter(|end| end.contains("its memory")).count() >= 3, "{}", ends.join("\n"));
}

#[test]
fn an_event_that_ends_the_child_costs_none_of_those_before_and_behind_it() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let expression = r#"if .data.n == 6 then "x" * 1000000000 else .data.n end"#;
    create(&env, "crm", &receiver, &["--transform", expression]);
    let lines = (1..=8).map(|n| json!({"type": "a.b", "data": {"n": n}}).to_string()).collect::<Vec<_>>().join("\n");
    env.hookctl(["emit", "--batch", "-"]).stdin(lines).time_limit(4 * PATIENCE).run().ok();
    let mut sent: Vec<String> = receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    sent.sort();
    assert_eq!(sent, ["1", "2", "3", "4", "5", "7", "8"]);
    let failed = env.hookctl(["delivery", "list", "--status", "failed", "-o", "json"]).run().ok().json();
    assert_eq!(failed.as_array().unwrap().len(), 1, "{failed}");
}

#[test]
fn a_child_that_somebody_kills_costs_nothing() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver, &["--transform", ".data.n"]);
    let pipe = env.path().join("lines");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let batch = env.hookctl(["emit", "--batch", pipe.to_str().unwrap(), "-o", "json"]).spawn();
    let mut lines = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let mut killed = Vec::new();
    for n in 1..=3 {
        writeln!(lines, "{{\"type\":\"a.b\",\"data\":{{\"n\":{n}}}}}").unwrap();
        receiver.wait_for(n, PATIENCE);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", batch.id())).unwrap();
        let child = children.split_whitespace().next().expect("a child evaluates").to_owned();
        assert!(!killed.contains(&child), "a new one each time");
        match fs::read(format!("/proc/{child}/environ")) {
            Ok(environment) => assert!(environment.is_empty(), "it sees no environment"),
            // Only root reads that of a process that forbids dumps.
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
        }
        assert!(Command::new("kill").args(["-9", &child]).status().unwrap().success());
        killed.push(child);
    }
    drop(lines);
    let summary = batch.wait_timeout(PATIENCE).ok().json();
    assert_eq!((&summary["accepted"], &summary["succeeded"]), (&json!(3), &json!(3)), "{summary}");
    let mut sent: Vec<String> = receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    sent.sort();
    assert_eq!(sent, ["1", "2", "3"]);
}

#[test]
fn without_expressions_no_child_is_started() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver, &[]);
    let pipe = env.path().join("lines");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let batch = env.hookctl(["emit", "--batch", pipe.to_str().unwrap()]).spawn();
    let mut lines = fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    writeln!(lines, "{{\"type\":\"a.b\"}}").unwrap();
    receiver.wait_for(1, PATIENCE);
    assert_eq!(fs::read_to_string(format!("/proc/{0}/task/{0}/children", batch.id())).unwrap().trim(), "");
    drop(lines);
    batch.wait_timeout(PATIENCE).ok();
}

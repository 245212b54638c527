//! Emitting in bulk.

use std::time::Duration;

use serde_json::json;

use crate::support::{Reply, TestEnv, TestReceiver, second, wait_until};

const LINES: &str = concat!(
    r#"{"type":"task.created","event_id":"a","data":1}"#,
    "\n",
    r#"{"type":"task.created","event_id":"a","data":1}"#,
    "\n",
    "\n",
    r#"{"type":"task created","data":1}"#,
    "\n",
    r#"{"type":"task.created","data":"#,
    "\n",
    r#"{"type":"task.created","event_id":"a","data":2}"#,
    "\n",
    r#"{"type":"task.created","payload":{"n":12345678901234567890.10}}"#,
);

#[test]
fn a_bad_line_rejects_itself_only_and_is_named_by_its_number() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    let run = env.hookctl(["emit", "--batch", "-", "-o", "json"]).stdin(LINES).run().fails(65);
    let report = run.json();
    let counts = ["lines", "accepted", "duplicates", "rejected", "deliveries", "succeeded"].map(|key| &report[key]);
    assert_eq!(counts, [&json!(7), &json!(2), &json!(1), &json!(3), &json!(2), &json!(2)], "{report}");
    let lines: Vec<_> = report["rejections"].as_array().unwrap().iter().map(|line| line["line"].clone()).collect();
    assert_eq!(lines.iter().filter(|line| [4, 5, 6].map(|n| json!(n)).contains(line)).count(), 3, "{lines:?}");
    assert!(run.err().contains("line 5 rejected"), "{run:?}");
    assert!(receiver.requests().iter().any(|request| request.text() == r#"{"n":12345678901234567890.10}"#));
}

#[test]
fn a_rejected_line_wins_over_what_strict_says() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.hookctl(["emit", "--batch", "-", "--strict"]).stdin(LINES).run().fails(65);
    assert_eq!(receiver.count(), 2, "the good lines are delivered all the same");
}

#[test]
fn dedupe_drops_what_was_said_within_the_window() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    let emit = |at: i64, data: &str| -> bool {
        let said = env.json_at(at, &["emit", "task.created", "--data", data, "--dedupe", "10m"]);
        said["duplicate"].as_bool().unwrap()
    };
    assert!(!emit(0, "{\"a\":1}"));
    assert!(emit(599, "{\"a\":1}"), "within the window");
    assert!(!emit(599, "{\"a\":2}"), "another content");
    assert!(!emit(601, "{\"a\":1}"), "past the window, which a duplicate does not extend");
    let other = env.json_at(602, &["emit", "task.updated", "--data", "{\"a\":1}", "--dedupe", "10m"]);
    assert_eq!(other["duplicate"], false, "another type");
    assert_eq!(receiver.count(), 4);
    let twice = "{\"type\":\"task.created\",\"data\":7}\n".repeat(2);
    let batch = env.hookctl(["emit", "--batch", "-", "--dedupe", "10m", "-o", "json"]).now(&second(700));
    assert_eq!(batch.stdin(twice).run().ok().json()["duplicates"], 1, "within one batch too");
    let line = |id: &str, data: i64| format!("{{\"type\":\"a.b\",\"event_id\":\"{id}\",\"data\":{data}}}\n");
    let lines = [line("x", 1), line("y", 2), line("x", 2)].concat();
    let batch = env.hookctl(["emit", "--batch", "-", "--dedupe", "10m", "-o", "json"]).now(&second(800));
    let report = batch.stdin(lines).run().fails(65).json();
    assert_eq!(
        (&report["duplicates"], &report["rejected"]),
        (&json!(0), &json!(1)),
        "an id is judged by itself: {report}"
    );
}

#[test]
fn deliveries_go_out_while_the_rest_is_read() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::StatusAfter(Duration::from_millis(1), 200)));
    env.create("crm", &receiver.url(), &[]);
    let lines = "{\"type\":\"task.created\",\"data\":{}}\n".repeat(3_000);
    let report = env.hookctl(["emit", "--batch", "-", "-o", "json"]).stdin(lines).run().ok().json();
    assert_eq!((&report["accepted"], &report["succeeded"]), (&json!(3_000), &json!(3_000)));
    let overlap = "SELECT (SELECT min(completed_at) FROM attempts) <= (SELECT max(created_at) FROM events)";
    assert_eq!(env.sql_value(overlap), "1", "the first was delivered before the last was stored");
}

#[test]
fn reading_pauses_while_much_waits_to_be_sent() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::Stall));
    env.create("crm", &receiver.url(), &[]);
    let lines = "{\"type\":\"task.created\",\"data\":{}}\n".repeat(20_000);
    let batch = env.hookctl(["emit", "--batch", "-", "-o", "json"]).stdin(lines).spawn();
    let stored = || env.sql_value("SELECT count(*) FROM events").parse::<usize>().unwrap();
    receiver.wait_for(16, Duration::from_secs(20));
    wait_until("4,000 are stored", || stored() >= 4_000);
    std::thread::sleep(Duration::from_secs(1));
    assert!(stored() < 6_000, "{} are stored while none is delivered: what waits is held in memory", stored());
    batch.signal("TERM");
    let report = batch.wait_timeout(Duration::from_secs(20)).fails(143).json();
    assert_eq!(report["accepted"], stored(), "what it says was accepted is stored");
}

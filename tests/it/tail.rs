//! `delivery tail`: the log of attempts as other processes write it.

use std::time::Duration;

use crate::support::{Child, TestEnv, TestReceiver};

const SOON: Duration = Duration::from_secs(20);

fn create(env: &TestEnv, name: &str, url: &str) {
    env.hookctl(["webhook", "create", name, "--url", url, "-e", "*", "--retry-delay", "0"]).run().ok();
}

fn emit(env: &TestEnv, id: &str) {
    env.hookctl(["emit", "invoice.paid", "--data", "{}", "--event-id", id]).run().ok();
}

/// Starts a tail and waits until it follows.
fn tail(env: &TestEnv, arguments: &[&str]) -> Child {
    let child = env.hookctl([&["delivery", "tail"], arguments].concat()).spawn();
    child.wait_for_stderr("following", SOON);
    child
}

#[test]
fn attempts_of_other_processes_show_as_they_end() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([200, 500, 200]));
    create(&env, "crm", &receiver.url());
    emit(&env, "before");
    let tail = tail(&env, &["-o", "jsonl"]);
    emit(&env, "first");
    tail.wait_for_stdout("first", SOON);
    env.hookctl(["drain"]).run().ok();
    tail.wait_for_stdout("\"success\"", SOON);
    tail.signal("INT");
    let run = tail.wait_timeout(SOON).fails(130);
    let lines = run.jsonl();
    assert!(!run.text().contains("before"), "{run:?}");
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line["attempt_number"].as_i64(), line["status"].as_str(), line["response_status_code"].as_i64()))
        .collect();
    assert_eq!(told, [(Some(1), Some("retrying"), Some(500)), (Some(2), Some("success"), Some(200))]);
    let first = &lines[0];
    assert_eq!((first["webhook"].as_str(), first["trigger"].as_str()), (Some("crm"), Some("scheduled")));
    assert_eq!(
        (first["error_type"].as_str(), first["event_type"].as_str()),
        (Some("http_error"), Some("invoice.paid"))
    );
    assert_eq!(first["id"].to_string(), env.sql_value("SELECT max(id) FROM deliveries"));
}

#[test]
fn filters_mean_the_attempt_itself() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([500, 200]));
    create(&env, "crm", &receiver.url());
    create(&env, "other", &receiver.url_at("/other"));
    let failures = tail(&env, &["-w", "crm", "--status-code", "5xx", "--error-type", "http_error", "-o", "jsonl"]);
    let successes = tail(&env, &["--status", "success", "--type", "invoice.*", "-o", "jsonl"]);
    env.hookctl(["emit", "invoice.paid", "--data", "{}", "-w", "crm", "--event-id", "a"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    env.hookctl(["emit", "task.created", "--data", "{}", "-w", "other", "--event-id", "b"]).run().ok();
    env.hookctl(["emit", "invoice.paid", "--data", "{}", "-w", "other", "--event-id", "c"]).run().ok();
    failures.wait_for_stdout("http_error", SOON);
    successes.wait_for_stdout("\"c\"", SOON);
    let mut numbers = Vec::new();
    for child in [failures, successes] {
        child.signal("TERM");
        let lines = child.wait_timeout(SOON).fails(143).jsonl();
        numbers.push(
            lines
                .iter()
                .map(|line| format!("{}{}", line["event_id"].as_str().unwrap(), line["attempt_number"]))
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(numbers, [vec!["a1"], vec!["a2", "c1"]]);
}

#[test]
fn the_last_ones_can_come_first() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url());
    for id in ["one", "two", "three"] {
        emit(&env, id);
    }
    let tail = tail(&env, &["--last", "2", "-o", "csv"]);
    emit(&env, "four");
    tail.wait_for_stdout("four", SOON);
    tail.signal("TERM");
    let run = tail.wait_timeout(SOON).fails(143);
    let ids: Vec<&str> = ["one", "two", "three", "four"].into_iter().filter(|id| run.text().contains(id)).collect();
    assert_eq!(ids, ["two", "three", "four"]);
    assert!(run.text().starts_with("id,webhook_id,webhook,"), "{run:?}");
    assert_eq!(run.text().lines().count(), 4);
}

#[test]
fn a_database_that_is_not_there_yet_is_waited_for() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let tail = env.hookctl(["delivery", "tail"]).spawn();
    tail.wait_for_stderr("waiting", SOON);
    assert!(!env.is_made());
    create(&env, "crm", &receiver.url());
    tail.wait_for_stderr("following", SOON);
    emit(&env, "one");
    let line = tail.wait_for_stdout("invoice.paid", SOON);
    assert!(line.contains("success") && line.contains("crm"), "{line}");
    tail.signal("INT");
    tail.wait_timeout(SOON).fails(130);
}

#[test]
fn a_closed_pipe_ends_it_quietly_and_an_unknown_webhook_is_an_error() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, "crm", &receiver.url());
    emit(&env, "one");
    let run = env.hookctl(["-q", "delivery", "tail", "--last", "1"]).run_into_closed_pipe();
    assert_eq!((run.code, run.err().as_str()), (Some(0), ""), "{run:?}");
    let run = env.hookctl(["delivery", "tail", "-w", "cmr"]).run().fails(3);
    assert!(run.err().contains("did you mean 'crm'?"), "{run:?}");
}

//! What was sent and cannot be recorded: what is stored is said, and never that nothing is.

use std::time::Duration;

use super::{PATIENCE, assert_whole, count, subscribe};
use crate::support::{Reply, TestEnv, TestReceiver};

/// A command that sends the one delivery of a database, and what it must say when the result cannot be recorded.
struct Case {
    env: TestEnv,
    receiver: TestReceiver,
    command: &'static [&'static str],
    told: &'static str,
}

impl Case {
    fn new(before: &[&str], command: &'static [&'static str], told: &'static str) -> Case {
        let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::StatusAfter(Duration::from_secs(1), 200)));
        subscribe(&env, &receiver, &["crm"], &["--timeout", "8s"]);
        env.file("batch.jsonl", r#"{"type":"invoice.paid","event_id":"e"}"#);
        if !before.is_empty() {
            env.hookctl(before.iter().copied()).run().ok();
        }
        Case { env, receiver, command, told }
    }
}

#[test]
fn a_lock_that_outlasts_the_sending_ends_in_75_and_says_what_is_stored() {
    let enqueue = &["emit", "invoice.paid", "--event-id", "e", "--enqueue"][..];
    let cases = [
        Case::new(&[], &["emit", "invoice.paid", "--event-id", "e", "-o", "json"], "event e is accepted"),
        Case::new(&[], &["emit", "--batch", "batch.jsonl", "-q", "-o", "json"], "lines 1 to 1 are accepted"),
        Case::new(enqueue, &["drain"], "0 attempts are recorded"),
        Case::new(enqueue, &["delivery", "retry", "1"], "1 delivery was made due"),
        Case::new(enqueue, &["event", "resend", "e", "-w", "crm"], "1 delivery of it is due"),
        Case::new(&[], &["webhook", "test", "crm"], "the test is stored as delivery 1"),
    ];
    let started = cases.map(|case| {
        let child = case.env.hookctl(case.command.iter().copied()).env("HOOKCTL_BUSY_TIMEOUT", "1s").spawn();
        case.receiver.wait_for(1, PATIENCE);
        let lock = case.env.lock();
        (case, child, lock)
    });
    for (case, child, lock) in started {
        let run = child.wait_timeout(PATIENCE).fails(75);
        let told = run.err();
        assert!(told.contains(case.told) && told.contains("the next `hookctl drain`"), "{:?}: {told}", case.command);
        assert!(!told.contains("nothing of this step") && !told.contains("try again"), "{:?}: {told}", case.command);
        if case.command.contains(&"json") {
            let text = run.text();
            assert!(text.contains("\"event_id\": \"e\"") || text.contains("\"accepted\": 1"), "{text}");
        }
        lock.roll_back();
        case.receiver.now_answers(200);
        let later = (chrono::Utc::now() + chrono::Duration::minutes(2)).to_rfc3339();
        case.env.hookctl(["drain"]).now(&later).run().ok();
        assert_eq!(
            count(&case.env, "SELECT count(*) FROM deliveries WHERE status = 'success'"),
            1,
            "{:?}",
            case.command
        );
        assert_whole(&case.env);
    }
}

#[test]
fn emit_says_the_event_id_before_it_sends() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::StatusAfter(Duration::from_secs(20), 200)));
    subscribe(&env, &receiver, &["crm"], &[]);
    let emit = env.hookctl(["emit", "invoice.paid", "-o", "json"]).spawn();
    receiver.wait_for(1, PATIENCE);
    let told = emit.kill().err();
    let id = env.sql_value("SELECT event_id FROM events");
    assert!(told.contains(&format!("event {id} is accepted, with 1 delivery")), "{told}");
}

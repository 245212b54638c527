//! Pause and resume, disable and enable: what waits, what is missed, and what is said about it.

use crate::support::{TestEnv, TestReceiver, second, wait_until};

fn ids(receiver: &TestReceiver) -> Vec<String> {
    let id = |request: &crate::support::Recorded| request.json()["event_id"].as_str().unwrap().to_owned();
    receiver.requests().iter().map(id).collect()
}

#[test]
fn events_are_owed_to_a_paused_webhook_and_nothing_is_sent_until_it_is_resumed() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    let paused = env.json_at(0, &["webhook", "pause", "crm"]);
    assert_eq!((&paused[0]["state"], &paused[0]["is_active"]), (&"paused".into(), &true.into()));
    let emitted = env.at(1, &["emit", "task.created", "--event-id", "one"]).ok();
    assert!(emitted.err().contains("paused: crm; deliveries wait until `hookctl webhook resume`"), "{emitted:?}");
    for arguments in
        [&["drain"][..], &["drain", "--all"], &["delivery", "retry", "1"], &["event", "resend", "one", "-w", "crm"]]
    {
        env.hookctl(arguments).now(&second(2)).run();
    }
    assert_eq!((receiver.count(), env.statuses()), (0, "pending 1".to_owned()));
    let shown = env.json_at(3, &["delivery", "show", "1"]);
    assert_eq!(shown["waiting"]["for"], "resume", "{shown}");
    assert_eq!(env.json_at(3, &["drain"])["remaining_due"], 0);
    assert!(env.at(3, &["check"]).ok().text().starts_with("OK - paused: crm, nothing due"));
    let webhook = env.webhook_at(3, "crm");
    assert_eq!((&webhook["state"], &webhook["waiting"]), (&"paused".into(), &1.into()));
    let resumed = env.at(4, &["webhook", "resume", "crm"]).ok();
    assert!(resumed.err().contains("1 delivery goes out with the next `hookctl drain`"), "{resumed:?}");
    env.at(4, &["drain"]).ok();
    assert_eq!(ids(&receiver), ["one"]);
}

#[test]
fn enable_resumes_a_paused_webhook_and_resume_does_not_enable_a_disabled_one() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("my crm", &receiver.url(), &[]);
    env.hookctl(["webhook", "pause", "my crm"]).run().ok();
    env.hookctl(["webhook", "enable", "my crm"]).run().ok();
    assert_eq!(env.webhook_at(0, "my crm")["state"], "active");
    env.hookctl(["webhook", "pause", "my crm"]).run().ok();
    env.hookctl(["webhook", "disable", "my crm"]).run().ok();
    let webhook = env.webhook_at(0, "my crm");
    assert_eq!((&webhook["state"], &webhook["is_active"]), (&"disabled".into(), &false.into()));
    for verb in ["resume", "pause"] {
        let refused = env.hookctl(["webhook", verb, "my crm"]).run().fails(2);
        assert!(refused.err().contains("webhook enable 'my crm'"), "{refused:?}");
    }
    env.hookctl(["webhook", "pause", "nobody"]).run().fails(3);
}

#[test]
fn a_running_drain_stops_sending_when_its_webhook_is_paused() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(crate::support::Reply::StatusAfter(std::time::Duration::from_millis(100), 200));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 200);
    let drain = env.hookctl(["drain", "--concurrency", "1"]).spawn();
    receiver.wait_for(2, std::time::Duration::from_secs(10));
    env.hookctl(["webhook", "pause", "crm"]).run().ok();
    drain.wait_timeout(std::time::Duration::from_secs(30)).ok();
    assert!(receiver.count() < 100, "{}", receiver.count());
    assert_eq!(env.webhook_at(0, "crm")["waiting"], 200 - receiver.count());
}

#[test]
fn events_emitted_while_a_webhook_is_disabled_are_not_lost_to_it() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["-e", "task.*"]);
    env.emit_at(0, "before");
    env.at(10, &["webhook", "disable", "crm"]).ok();
    let emitted = env.at(20, &["emit", "task.created", "--event-id", "missed-1"]).ok();
    assert!(emitted.err().contains("disabled, and would have wanted it: crm;"), "{emitted:?}");
    let others = env.at(20, &["emit", "invoice.paid"]).ok();
    assert!(!others.err().contains("would have wanted"), "{others:?}");
    env.at(30, &["emit", "task.updated", "--event-id", "missed-2"]).ok();
    let batch = env
        .hookctl(["emit", "--batch", "-", "--enqueue"])
        .stdin("{\"type\":\"task.deleted\",\"event_id\":\"missed-3\"}\n");
    assert!(batch.now(&second(35)).run().ok().err().contains("would have wanted it: crm;"));
    let enabled = env.hookctl(["webhook", "enable", "crm", "-o", "json"]).now(&second(40)).run().ok();
    assert_eq!(enabled.json()[0]["missed_events"], 3);
    let command = "hookctl event resend --missing -w crm --since 2026-01-01T00:00:10.000Z";
    assert!(
        enabled.err().contains(&format!("crm missed 3 events while it was disabled; to deliver them: {command}")),
        "{enabled:?}"
    );
    env.emit_at(50, "after");
    let arguments: Vec<&str> = command.split(' ').skip(1).collect();
    let resent = env.json_at(60, &arguments);
    assert_eq!((&resent["events"], &resent["succeeded"]), (&3.into(), &3.into()), "{resent}");
    env.at(70, &arguments).ok();
    let mut sent = ids(&receiver).split_off(2);
    sent.sort_unstable();
    assert_eq!(sent, ["missed-1", "missed-2", "missed-3"], "each once");
}

#[test]
fn apply_that_makes_a_webhook_active_again_says_what_it_missed_and_the_command() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["-e", "task.*"]);
    env.at(10, &["webhook", "disable", "crm"]).ok();
    env.at(20, &["emit", "task.created", "--event-id", "missed"]).ok();
    env.at(20, &["emit", "invoice.paid"]).ok();
    let exported = env.at(25, &["export"]).ok().text();
    let file = env.file("webhooks.toml", exported.replace("is_active = false", "is_active = true"));
    let file = file.to_str().unwrap();
    let planned = env.at(28, &["apply", file, "--dry-run"]).fails(5);
    assert!(!planned.err().contains("missed"), "{planned:?}");
    let applied = env.at(30, &["apply", file]).ok();
    let command = "hookctl event resend --missing -w crm --since 2026-01-01T00:00:10.000Z";
    let notice = format!("note: crm missed 1 event while it was disabled; to deliver them: {command}\n");
    assert_eq!(applied.err(), notice, "{applied:?}");
    let resent = env.json_at(40, &command.split(' ').skip(1).collect::<Vec<_>>());
    assert_eq!((&resent["events"], &resent["succeeded"]), (&1.into(), &1.into()), "{resent}");
    let again = env.at(50, &["apply", file]).ok();
    assert_eq!(again.err(), "", "{again:?}");
}

/// Enough for several transactions of a batch.
const EVENTS: usize = 20_000;

#[test]
fn events_that_come_while_missed_ones_are_caught_up_are_owed_once_as_well() {
    only_on_files!();
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.hookctl(["webhook", "disable", "crm"]).run().ok();
    let lines = "{\"type\":\"task.created\"}\n".repeat(EVENTS);
    let emit = env.hookctl(["emit", "--batch", "-", "--enqueue", "-q"]).stdin(lines).spawn();
    wait_until("the first are taken in", || env.sql_value("SELECT count(*) FROM events") != "0");
    env.hookctl(["webhook", "enable", "crm", "--backfill"]).run().ok();
    emit.wait_timeout(std::time::Duration::from_secs(60)).ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries"), EVENTS.to_string());
    env.hookctl(["db", "check"]).run().ok();
}

#[test]
fn enable_with_backfill_delivers_what_was_missed_in_its_order() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["--ordered"]);
    env.at(5, &["webhook", "disable", "crm"]).ok();
    env.enqueue(10, 300);
    let enabled = env.hookctl(["webhook", "enable", "crm", "--backfill", "-o", "json"]).now(&second(20)).run().ok();
    assert_eq!((&enabled.json()[0]["missed_events"], &enabled.json()[0]["waiting"]), (&300.into(), &300.into()));
    assert_eq!(env.webhook_at(20, "crm")["total_deliveries"], 300);
    env.at(21, &["emit", "task.created", "--event-id", "last", "--enqueue"]).ok();
    env.at(22, &["drain"]).ok();
    let mut expected: Vec<String> = (1..=300).map(|number| format!("e-{number:04}")).collect();
    expected.push("last".to_owned());
    assert_eq!(ids(&receiver), expected);
    let again = env.json_at(30, &["webhook", "enable", "crm", "--backfill"]);
    assert_eq!(again[0]["missed_events"], 0);
}

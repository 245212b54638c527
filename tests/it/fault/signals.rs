//! Ctrl-C, SIGTERM, SIGHUP, and a reader that is gone.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{PATIENCE, assert_whole, batch, count, subscribe};
use crate::support::{Reply, Run, TestEnv, TestReceiver, wait_until};

/// Requests under way are ended within a second; the rest is for a machine that has other things to do. Their time-out, which a
/// stop does not wait for, is three times as long.
const SOON: Duration = Duration::from_secs(20);

/// Deliveries for a receiver that never answers.
fn stalled(deliveries: usize) -> (TestEnv, TestReceiver) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::Stall);
    subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
    let file = env.file("batch.jsonl", batch("e", deliveries));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
    (env, receiver)
}

/// Nothing is claimed, everything is due at once, and what was under way is in the log.
#[track_caller]
fn assert_given_back(env: &TestEnv, deliveries: usize, attempts: usize) {
    assert_eq!(count(env, "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"), 0, "claims are given back");
    let due = env.hookctl(["drain", "--dry-run", "-o", "json"]).run().ok().json();
    assert_eq!(due[0]["due"], deliveries, "what is given back is due at once");
    assert_eq!(count(env, "SELECT count(*) FROM attempts"), attempts, "what was under way is recorded");
    let cut_off = "SELECT count(*) FROM attempts WHERE error_type = 'unknown_error' AND error_message LIKE 'cut off:%'";
    assert_eq!(count(env, cut_off), attempts);
    assert_eq!(count(env, "SELECT coalesce(sum(retry_count), 0) FROM deliveries"), 0, "being stopped costs no retry");
    assert_whole(env);
}

#[test]
fn a_drain_that_is_told_to_stop_ends_within_a_second_with_its_summary_and_gives_back_its_claims() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let (env, receiver) = stalled(20);
        let drain = env.hookctl(["drain", "--concurrency", "4"]).spawn();
        receiver.wait_for(4, PATIENCE);
        let told = Instant::now();
        drain.signal(signal);
        let run = drain.wait_timeout(PATIENCE).fails(code);
        assert!(told.elapsed() < SOON, "it took {:?}", told.elapsed());
        assert!(run.err().contains("4 attempted"), "the summary is printed: {run:?}");
        assert_given_back(&env, 20, 4);
    }
}

#[test]
fn what_is_answered_while_the_drain_stops_is_recorded_as_what_it_was() {
    let is_recorded = || {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(Reply::WhenReleased(200));
        subscribe(&env, &receiver, &["crm"], &[]);
        let file = env.file("batch.jsonl", batch("e", 10));
        env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
        let drain = env.hookctl(["drain", "--concurrency", "2", "-o", "json"]).spawn();
        receiver.wait_for(2, PATIENCE);
        drain.signal("TERM");
        // Once what was claimed ahead is back, the drain waits for its answers.
        let is_stopping = || count(&env, "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL") <= 2;
        wait_until("what no worker had begun is given back", is_stopping);
        receiver.release();
        let view = drain.wait_timeout(PATIENCE).fails(143).json();
        let succeeded = view["succeeded"].as_u64().unwrap();
        assert_eq!(view["remaining_due"], 10 - succeeded);
        env.hookctl(["drain"]).run().ok();
        assert_eq!(receiver.count() as u64, 12 - succeeded, "what was answered in time was sent once");
        assert_whole(&env);
        succeeded == 2
    };
    assert!((0..5).any(|_| is_recorded()), "five times an answer came too late");
}

#[test]
fn a_drain_that_watches_stops_in_the_middle_of_its_pause() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    let drain = env.hookctl(["drain", "--watch", "1h", "-o", "json"]).spawn();
    receiver.wait_for(1, PATIENCE);
    wait_until("it is recorded", || count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'") == 1);
    let told = Instant::now();
    drain.signal("INT");
    let view = drain.wait_timeout(PATIENCE).fails(130).json();
    assert!(told.elapsed() < SOON);
    assert_eq!(view["succeeded"], 1);
}

#[test]
fn emit_that_is_told_to_stop_has_stored_its_event_and_gives_it_back() {
    for (signal, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(Reply::Stall);
        subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
        let emit = env.hookctl(["emit", "invoice.paid", "--event-id", "e-1", "-o", "json"]).spawn();
        receiver.wait_for(1, PATIENCE);
        let told = Instant::now();
        emit.signal(signal);
        let run = emit.wait_timeout(PATIENCE).fails(code);
        assert!(told.elapsed() < SOON);
        assert_eq!(run.json()["event_id"], "e-1");
        assert_given_back(&env, 1, 1);
    }
}

#[test]
fn a_batch_stops_while_it_sends_and_what_it_had_accepted_is_given_back() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::Stall);
    subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
    let file = env.file("batch.jsonl", batch("e", 50));
    let emit = env.hookctl(["emit", "-o", "json", "--concurrency", "3", "--batch"]).arg(file).spawn();
    receiver.wait_for(3, PATIENCE);
    let told = Instant::now();
    emit.signal("TERM");
    let run = emit.wait_timeout(PATIENCE).fails(143);
    assert!(told.elapsed() < SOON);
    assert_eq!(run.json()["accepted"], 50);
    assert_given_back(&env, 50, 3);
}

#[test]
fn a_batch_whose_writer_pauses_sends_what_came_and_stops_at_once() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    let mut emit = Command::new(env!("CARGO_BIN_EXE_hookctl"))
        .args(["emit", "--batch", "-", "-o", "json"])
        .env_clear()
        .env("HOOKCTL_DB", env.address())
        .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut writer = emit.stdin.take().unwrap();
    writer.write_all(batch("e", 3).as_bytes()).unwrap();
    receiver.wait_for(3, PATIENCE);
    let is_recorded = || count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'") == 3;
    wait_until("what was answered is recorded while the writer pauses", is_recorded);
    let told = Instant::now();
    Command::new("sh").args(["-c", &format!("kill -s TERM {}", emit.id())]).status().unwrap();
    let output = emit.wait_with_output().unwrap();
    assert!(told.elapsed() < SOON, "a writer that pauses does not hold up a stop");
    assert_eq!(output.status.code(), Some(143));
    let view: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&view["accepted"], &view["succeeded"]), (&3.into(), &3.into()));
}

#[test]
fn a_second_signal_ends_the_program_at_once_and_the_lease_protects_what_was_under_way() {
    let (env, receiver) = stalled(4);
    let mut drain = env.hookctl(["drain", "--concurrency", "2"]).spawn();
    receiver.wait_for(2, PATIENCE);
    // Whoever holds the write lock keeps it from ending well. Two signals at once may arrive as one.
    let lock = env.lock();
    wait_until("a further signal ends it", || {
        drain.signal("TERM");
        sleep(Duration::from_millis(50));
        !drain.is_running()
    });
    let run: Run = drain.wait_timeout(PATIENCE);
    assert_eq!((run.code, run.err().as_str()), (Some(143), ""));
    lock.roll_back();
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 0, "it did not wait for the receiver");
    assert_whole(&env);
}

#[test]
fn a_terminal_that_closes_sends_its_signal_twice_and_the_attempts_are_recorded_all_the_same() {
    let (env, receiver) = stalled(4);
    let drain = env.hookctl(["drain", "--concurrency", "2"]).spawn();
    receiver.wait_for(2, PATIENCE);
    drain.signal("HUP");
    drain.signal("HUP");
    drain.wait_timeout(PATIENCE).fails(129);
    assert_given_back(&env, 4, 2);
}

#[cfg(target_os = "linux")]
#[test]
fn under_nohup_a_drain_goes_on_when_its_terminal_closes() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(500), 200));
    subscribe(&env, &receiver, &["crm"], &[]);
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    let mut drain = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_hookctl"), "drain"])
        .env_clear()
        .env("HOOKCTL_DB", env.address())
        .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    receiver.wait_for(1, PATIENCE);
    Command::new("sh").args(["-c", &format!("kill -s HUP {}", drain.id())]).status().unwrap();
    assert_eq!(drain.wait().unwrap().code(), Some(0));
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 1);
}

#[test]
fn a_listener_stops_with_its_code() {
    let env = TestEnv::new();
    let listen = env.hookctl(["listen"]).spawn();
    listen.wait_for_stderr("listening on", PATIENCE);
    listen.signal("TERM");
    listen.wait_timeout(SOON).fails(143);
}

#[test]
fn a_reader_that_is_gone_is_no_failure_and_loses_nothing() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    for args in
        [["emit", "invoice.paid", "-q", "-o", "json"].as_slice(), &["drain", "-o", "json"], &["delivery", "list"]]
    {
        let run = env.hookctl(args.iter().copied()).run_into_closed_pipe();
        assert_eq!((run.code, run.signal, run.err().as_str()), (Some(0), None, ""), "{run:?}");
    }
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 1);
}

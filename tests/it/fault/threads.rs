//! No threads: the work is done by those that could be started; without any, the command says so and hangs never.
#![cfg(target_os = "linux")]

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Child, Run, TestEnv, TestReceiver};

/// Runs the binary as a user of its own who may have at most so many threads, the first included. `None` where this test may
/// not become another user: the limit counts all threads of one, and does not hold for root.
fn run_with_threads(env: &TestEnv, threads: u32, args: &[&str]) -> Option<Run> {
    // A user for each folder: the limit counts all processes of one.
    let user = (100_000 + env.path().metadata().ok()?.ino() % 1_000_000).to_string();
    let is_root = Command::new("setpriv").args(["--reuid", &user, "--clear-groups", "true"]).status().ok()?.success();
    if !is_root {
        return None;
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", &user, "--clear-groups", "prlimit", &format!("--nproc={threads}")])
        .arg(env!("CARGO_BIN_EXE_hookctl"))
        .args(args)
        .env_clear()
        .env("PATH", std::env::var_os("PATH")?)
        .current_dir(env.path())
        .env("HOME", env.path())
        .env("HOOKCTL_DB", env.path().join("data/hookctl.db"))
        .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8")
        .stdout(Stdio::piped());
    Some(Child::start(command, Vec::new()).wait_timeout(Duration::from_secs(20)))
}

/// A folder in which everybody may write, and a webhook made by the other user.
fn with_webhook(url: &str) -> Option<TestEnv> {
    let env = TestEnv::new();
    set_permissions(env.path(), Permissions::from_mode(0o777)).unwrap();
    run_with_threads(&env, 100, &["webhook", "create", "crm", "--url", url, "-e", "*", "--max-retries", "0"])?.ok();
    Some(env)
}

#[test]
fn without_a_thread_emit_and_drain_end_with_1_say_so_and_leave_the_delivery_due() {
    let receiver = TestReceiver::start(200);
    let Some(env) = with_webhook(&receiver.url()) else { return };
    for args in [["emit", "invoice.paid"].as_slice(), &["drain"], &["drain", "--watch", "1s"]] {
        let run = run_with_threads(&env, 1, args).unwrap().fails(1);
        assert!(run.err().contains("cannot start a thread"), "{run:?}");
        assert!(run.err().contains("stays due"), "{run:?}");
    }
    assert_eq!(receiver.count(), 0);
    let run = run_with_threads(&env, 100, &["drain", "-o", "json"]).unwrap().ok();
    assert_eq!(run.json()["succeeded"], 1, "{run:?}");
}

#[test]
fn without_a_process_for_expressions_emit_ends_with_1_and_stores_nothing() {
    let receiver = TestReceiver::start(200);
    let Some(env) = with_webhook(&receiver.url()) else { return };
    run_with_threads(&env, 100, &["webhook", "update", "crm", "--transform", ".event_type"]).unwrap().ok();
    let run = run_with_threads(&env, 1, &["emit", "invoice.paid"]).unwrap().fails(1);
    assert!(run.err().contains("cannot start the process that runs filters and transforms"), "{run:?}");
    let events = run_with_threads(&env, 100, &["event", "list", "-o", "json"]).unwrap().ok().json();
    assert_eq!(events, serde_json::json!([]));
    run_with_threads(&env, 100, &["emit", "invoice.paid", "--strict"]).unwrap().ok();
    assert_eq!(receiver.requests()[0].text(), "\"invoice.paid\"");
}

#[test]
fn with_one_worker_where_sixteen_were_asked_for_everything_is_delivered() {
    let receiver = TestReceiver::start(200);
    let Some(env) = with_webhook(&receiver.url()) else { return };
    for _ in 0..5 {
        run_with_threads(&env, 100, &["emit", "invoice.paid", "--enqueue"]).unwrap().ok();
    }
    let run = run_with_threads(&env, 2, &["drain", "-o", "json"]).unwrap().ok();
    assert_eq!((&run.json()["succeeded"], receiver.count()), (&5.into(), 5), "{run:?}");
}

#[test]
fn a_look_up_thread_that_does_not_start_is_no_attempt_and_the_next_drain_delivers() {
    let receiver = TestReceiver::start(200);
    let url = format!("http://localhost:{}/", receiver.address().port());
    let Some(env) = with_webhook(&url) else { return };
    run_with_threads(&env, 100, &["emit", "invoice.paid", "--enqueue"]).unwrap().ok();
    let run = run_with_threads(&env, 2, &["drain"]).unwrap().fails(1);
    assert!(run.err().contains("cannot start a thread to look up a host name"), "{run:?}");
    assert!(run.err().contains("stays due"), "{run:?}");
    assert_eq!(receiver.count(), 0);
    // An attempt that counted would have been the last.
    let run = run_with_threads(&env, 100, &["drain", "-o", "json"]).unwrap().ok();
    assert_eq!((&run.json()["succeeded"], receiver.count()), (&1.into(), 1), "{run:?}");
}

#[test]
fn where_few_threads_are_allowed_one_is_left_for_looking_up_names_and_everything_is_delivered() {
    let receiver = TestReceiver::start(200);
    let url = format!("http://localhost:{}/", receiver.address().port());
    let Some(env) = with_webhook(&url) else { return };
    // Not known everywhere; another name to be looked up at the same time.
    let other = format!("http://other.localhost:{}/other", receiver.address().port());
    let create = ["webhook", "create", "other", "--url", &other, "-e", "*", "--max-retries", "0"];
    run_with_threads(&env, 100, &create).unwrap().ok();
    for (round, threads) in (1..).zip(3..=5) {
        for _ in 0..4 {
            run_with_threads(&env, 100, &["emit", "invoice.paid", "--enqueue"]).unwrap().ok();
        }
        run_with_threads(&env, threads, &["drain"]).unwrap().ok();
        assert_eq!(receiver.requests_at("/").len(), 4 * round, "with {threads} threads");
    }
}

//! The write-ahead log: a reason that passes does not take it away for good.

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{PATIENCE, assert_whole, subscribe};
use crate::support::{TestEnv, TestReceiver};

fn journal_mode(env: &TestEnv) -> String {
    env.sql_value("PRAGMA journal_mode")
}

#[test]
fn a_process_with_too_few_or_too_small_files_takes_the_log_from_nobody() {
    only_on_files!();
    for (limit, told) in [("-n 5", "ulimit -n"), ("-f 16", "ulimit -f")] {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(200);
        subscribe(&env, &receiver, &["crm"], &[]);
        let script = format!("ulimit {limit}; exec \"$@\"");
        let limited = Command::new("bash")
            .args(["-c", &script, "bash", env!("CARGO_BIN_EXE_hookctl"), "emit", "invoice.paid", "--enqueue"])
            .env("HOOKCTL_DB", env.database())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&limited.stderr).into_owned();
        assert!(limited.status.code() == Some(1) && stderr.contains(told), "{limit}: {limited:?}");
        assert_eq!(journal_mode(&env), "wal", "{limit}");
        env.hookctl(["emit", "invoice.paid"]).run().ok();
        assert_eq!((journal_mode(&env).as_str(), receiver.count()), ("wal", 1), "{limit}");
        assert_whole(&env);
    }
}

#[test]
fn a_file_that_lost_its_log_is_found_and_gets_it_back_with_the_next_command_that_writes() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    for command in [["emit", "invoice.paid"], ["db", "vacuum"], ["drain", "-q"]] {
        env.sql_write("PRAGMA journal_mode = DELETE");
        let info = env.hookctl(["db", "info", "-o", "json"]).run().ok().json();
        assert_eq!(info["journal_mode"], "delete");
        let found = env.hookctl(["db", "check", "-o", "json"]).run().ok().json();
        assert_eq!(found["notes"][0]["check"], json!("journal"), "{found}");
        let shown = env.hookctl(["db", "check"]).run().ok().text();
        let line = shown.lines().find(|line| line.starts_with("journal:")).unwrap();
        assert!(line.ends_with("see below"), "{shown}");
        assert!(
            env.hookctl(["db", "check"])
                .run()
                .ok()
                .text()
                .contains("write-ahead logging is turned on by the next command")
        );
        env.hookctl(command).run().ok();
        assert_eq!(journal_mode(&env), "wal", "{command:?}");
    }
    env.sql_write("PRAGMA journal_mode = DELETE");
    env.hookctl(["db", "check", "--fix"]).run().ok();
    assert_eq!(journal_mode(&env), "wal");
}

#[test]
fn processes_that_work_without_a_log_go_on_when_another_gives_it_back() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    // While somebody reads, the journal cannot be changed: the drain starts without a log.
    env.sql_write("PRAGMA journal_mode = DELETE");
    let reader = rusqlite::Connection::open(env.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM webhooks").unwrap();
    let drain = env.hookctl(["drain", "--watch", "100ms"]).spawn();
    sleep(Duration::from_secs(1));
    reader.execute_batch("COMMIT").unwrap();
    drop(reader);
    let deadline = Instant::now() + PATIENCE;
    for number in 1.. {
        env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
        receiver.wait_for(number, PATIENCE);
        if journal_mode(&env) == "wal" {
            break;
        }
        assert!(Instant::now() < deadline, "the log never came back");
    }
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
    assert_whole(&env);
}

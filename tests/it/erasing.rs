//! What was deleted is in no file, though other processes keep the database and its write-ahead log open.

use std::time::Duration;

use rusqlite::Connection;

use crate::support::{Child, Run, TestEnv, TestReceiver, files_with, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);
const OLD: &str = "an-old-secret-of-no-use-any-more-0123456789";
const NEW: &str = "a-new-secret-that-counts-from-now-on-0123456789";

/// A webhook with the old secret, and a drain that watches.
fn watched() -> (TestEnv, TestReceiver, Child) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    env.file("old.secret", OLD);
    env.file("new.secret", NEW);
    let url = receiver.url();
    let create = ["webhook", "create", "crm", "--url", &url, "-e", "*", "--signature", "timetracker"];
    env.hookctl(create).args(["--secret-file", "old.secret"]).run().ok();
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    let drain = env.hookctl(["drain", "--watch", "100ms"]).spawn();
    receiver.wait_for(1, PATIENCE);
    (env, receiver, drain)
}

fn is_in_a_file(env: &TestEnv, text: &str) -> bool {
    files_with(env.path(), &[text]).iter().any(|name| name.starts_with("hookctl.db"))
}

fn rotate(env: &TestEnv, overlap: &str) -> Run {
    env.hookctl(["webhook", "secret", "rotate", "crm", "--secret-file", "new.secret", "--overlap", overlap]).run().ok()
}

/// A way in which a secret ends.
type Way<'a> = &'a dyn Fn(&TestEnv);

#[test]
fn beside_a_drain_that_watches_a_secret_that_was_rotated_expired_or_deleted_is_in_no_file() {
    only_on_files!();
    let rotated = |env: &TestEnv| drop(rotate(env, "0"));
    let expired = |env: &TestEnv| {
        rotate(env, "1h");
        env.hookctl(["webhook", "secret", "expire", "crm"]).run().ok();
    };
    let deleted = |env: &TestEnv| drop(env.hookctl(["webhook", "delete", "crm", "--yes"]).run().ok());
    let unsigned = |env: &TestEnv| drop(env.hookctl(["webhook", "update", "crm", "--no-secret"]).run().ok());
    let ways: [(&str, Way<'_>); 4] =
        [("rotated", &rotated), ("expired", &expired), ("deleted", &deleted), ("unsigned", &unsigned)];
    for (name, way) in ways {
        let (env, _receiver, mut drain) = watched();
        assert!(is_in_a_file(&env, OLD), "the test looks where it is");
        way(&env);
        assert!(drain.is_running());
        assert!(!is_in_a_file(&env, OLD), "{name}");
        drain.signal("TERM");
        drain.wait_timeout(PATIENCE).fails(143);
        env.hookctl(["db", "check"]).run().ok();
    }
}

#[test]
fn a_payload_that_was_pruned_is_in_no_file_beside_a_drain_that_watches() {
    only_on_files!();
    let (env, receiver, drain) = watched();
    let payload = env.file("payload", "a-payload-that-nobody-may-find-any-more");
    env.hookctl(["emit", "invoice.paid", "--enqueue", "--payload"]).arg(payload).run().ok();
    receiver.wait_for(2, PATIENCE);
    let delivered = "SELECT count(*) FROM deliveries WHERE status = 'success'";
    wait_until("both are delivered", || env.sql_value(delivered) == "2");
    assert!(is_in_a_file(&env, "a-payload-that-nobody-may-find-any-more"));
    let later = (chrono::Utc::now() + chrono::Duration::days(2)).to_rfc3339();
    env.hookctl(["delivery", "prune", "--older-than", "1d", "--yes"]).now(&later).run().ok();
    assert!(!is_in_a_file(&env, "a-payload-that-nobody-may-find-any-more"));
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
}

#[test]
fn a_reader_in_the_way_is_told_of_and_the_next_command_that_writes_removes_what_was_deleted() {
    only_on_files!();
    let (env, _receiver, drain) = watched();
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
    let reader = Connection::open(env.database()).unwrap();
    reader.execute_batch("BEGIN; SELECT count(*) FROM webhooks").unwrap();
    let run = rotate(&env, "0");
    assert!(run.err().contains("what was deleted is still in the write-ahead log"), "{run:?}");
    assert!(run.took < Duration::from_secs(8), "the wait has an end: {run:?}");
    assert!(is_in_a_file(&env, OLD));
    let found = env.hookctl(["db", "check"]).run().fails(1).text();
    assert!(found.contains("what was deleted is still in the write-ahead log"), "{found}");
    // Another that keeps the file open, so that SQLite does not tidy up by itself at the end.
    let idle = Connection::open(env.database()).unwrap();
    idle.execute_batch("SELECT count(*) FROM webhooks").unwrap();
    reader.execute_batch("COMMIT").unwrap();
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    assert!(!is_in_a_file(&env, OLD));
    env.hookctl(["db", "check"]).run().ok();
}

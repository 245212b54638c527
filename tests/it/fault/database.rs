//! `hookctl db`: what it tells, finds, mends, copies and puts back.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::json;

use super::{PATIENCE, assert_whole, batch, count, requests_by_event, subscribe};
use crate::support::{Reply, TestEnv, TestReceiver};

/// A database with 20 deliveries made and 10 that wait.
fn filled() -> (TestEnv, TestReceiver) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    let file = env.file("sent.jsonl", batch("sent", 20));
    env.hookctl(["emit", "--batch"]).arg(file).run().ok();
    let file = env.file("waits.jsonl", batch("waits", 10));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
    (env, receiver)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The one file beside the database whose name begins so.
fn beside(env: &TestEnv, prefix: &str) -> Option<std::path::PathBuf> {
    let mut found = fs::read_dir(env.path()).unwrap().map(|entry| entry.unwrap().path());
    found.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(prefix))
}

#[test]
fn info_tells_of_the_file_its_rows_and_what_waits() {
    only_on_files!();
    let (env, _receiver) = filled();
    let info = env.hookctl(["db", "info", "-o", "json"]).run().ok().json();
    assert_eq!(info["path"], env.database().to_str().unwrap());
    assert_eq!(
        (&info["mode"], &info["journal_mode"], &info["schema_version"]),
        (&json!("0600"), &json!("wal"), &json!(1))
    );
    assert_eq!(info["rows"]["deliveries"], 30);
    assert_eq!(info["rows"]["attempts"], 20);
    assert_eq!(info["backlog"], json!({"pending": 10, "retrying": 0, "claimed": 0, "due": 10}));
    assert!(info["oldest_due_at"].is_string());
    assert!(info["size_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn info_and_check_without_a_database_make_none() {
    only_on_files!();
    let env = TestEnv::new();
    let info = env.hookctl(["db", "info", "-o", "json"]).run().ok().json();
    assert_eq!((&info["exists"], &info["rows"]["webhooks"]), (&json!(false), &json!(0)));
    env.hookctl(["db", "check"]).run().fails(1);
    env.hookctl(["db", "backup", "b.db"]).run().fails(1);
    assert_eq!(fs::read_dir(env.path()).unwrap().count(), 0);
}

#[test]
fn check_finds_each_kind_of_damage_and_mends_what_rows_can_tell() {
    only_on_files!();
    let damages = [
        ("counters", "UPDATE webhook_state SET successful_deliveries = 7", true),
        ("deliveries", "UPDATE deliveries SET due_at = NULL WHERE id = 21", true),
        ("deliveries", "UPDATE deliveries SET due_at = 5 WHERE id = 1", true),
        ("claims", "UPDATE deliveries SET claim_token = 5 WHERE id = 1", true),
        ("claims", "UPDATE deliveries SET claim_token = 5, due_at = 253402300799999 WHERE id = 21", true),
        ("schema", "DROP INDEX attempts_by_time", true),
        ("schema", "CREATE TABLE stranger (a)", false),
        ("attempts", "DELETE FROM attempts WHERE delivery_id = 1", false),
        ("foreign_keys", "PRAGMA foreign_keys = OFF; DELETE FROM events WHERE id = 1", false),
    ];
    for (check, damage, is_mended) in damages {
        let (env, _receiver) = filled();
        env.hookctl(["db", "check"]).run().ok();
        env.sql_write(damage);
        let found = env.hookctl(["db", "check", "-o", "json"]).run().fails(1).json();
        assert_eq!((&found["ok"], &found["findings"][0]["check"]), (&json!(false), &json!(check)), "{damage}: {found}");
        let fixed = env.hookctl(["db", "check", "--fix", "-o", "json"]).run();
        assert_eq!(fixed.code, Some(i32::from(!is_mended)), "{damage}: {fixed:?}");
        let after = env.hookctl(["db", "check"]).run();
        assert_eq!(after.code, Some(i32::from(!is_mended)), "{damage}: {after:?}");
        if is_mended {
            env.hookctl(["drain", "--all"]).run().ok();
            assert_whole(&env);
        }
    }
}

#[test]
fn check_finds_a_damaged_page_and_modes_that_let_others_in() {
    only_on_files!();
    let (env, _receiver) = filled();
    fs::set_permissions(env.database(), fs::Permissions::from_mode(0o644)).unwrap();
    let found = env.hookctl(["db", "check", "-o", "json"]).run().fails(1).json();
    assert_eq!(found["findings"][0]["check"], "modes");
    env.hookctl(["db", "check", "--fix"]).run().ok();
    assert_eq!(mode(&env.database()), 0o600);

    let mut bytes = fs::read(env.database()).unwrap();
    let page = bytes.len() / 4096 / 2 * 4096;
    bytes[page..page + 4096].fill(0xAA);
    fs::write(env.database(), bytes).unwrap();
    let run = env.hookctl(["db", "check"]).run().fails(1);
    assert!(run.text().contains("integrity") || run.err().contains("damaged"), "{run:?}");
}

#[test]
fn fix_is_refused_when_only_reading_is_allowed() {
    only_on_files!();
    let (env, _receiver) = filled();
    env.hookctl(["--read-only", "db", "check", "--fix"]).run().fails(1);
    env.hookctl(["--read-only", "db", "check"]).run().ok();
    env.hookctl(["--read-only", "db", "vacuum"]).run().fails(1);
    env.hookctl(["--read-only", "db", "backup", "copy.db"]).run().ok();
}

#[test]
fn a_backup_taken_during_a_drain_is_private_opens_checks_clean_and_drains() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(2), 200));
    subscribe(&env, &receiver, &["crm"], &[]);
    let file = env.file("batch.jsonl", batch("e", 2_000));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
    let drain = env.hookctl(["drain"]).spawn();
    receiver.wait_for(100, PATIENCE);
    let copy = env.path().join("copy.db");
    let loose = "umask 000; exec \"$@\"";
    let backup = std::process::Command::new("sh")
        .args(["-c", loose, "sh", env!("CARGO_BIN_EXE_hookctl"), "db", "backup"])
        .arg(&copy)
        .env("HOOKCTL_DB", env.address())
        .output()
        .unwrap();
    assert!(backup.status.success(), "{backup:?}");
    drain.wait_timeout(PATIENCE).ok();
    assert_eq!(mode(&copy), 0o600);
    let sidecars = ["copy.db-wal", "copy.db-shm", "copy.db-journal"].map(|name| env.path().join(name).exists());
    assert_eq!(sidecars, [false; 3], "it is one file");
    let on_copy = |args: &[&str]| env.hookctl(args.iter().copied()).env("HOOKCTL_DB", &copy).run().ok();
    on_copy(&["db", "check"]);
    let open = on_copy(&["db", "info", "-o", "json"]).json()["backlog"]["pending"].as_u64().unwrap();
    assert!((1..2_000).contains(&open), "it was taken in the middle: {open} still wait in it");
    // Claims of the drain that the copy was taken from end with their lease.
    let later = chrono::Utc::now() + chrono::Duration::hours(2);
    let drained =
        env.hookctl(["drain", "-o", "json"]).env("HOOKCTL_DB", &copy).now(&later.to_rfc3339()).run().ok().json();
    assert_eq!((&drained["succeeded"], &drained["remaining_due"]), (&json!(open), &json!(0)));
    assert_eq!(requests_by_event(&receiver).len(), 2_000);
}

#[test]
fn a_backup_overwrites_nothing() {
    only_on_files!();
    let (env, _receiver) = filled();
    let mine = env.file("mine.txt", "mine");
    env.hookctl(["db", "backup"]).arg(&mine).run().fails(1);
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
    symlink("nowhere", env.path().join("link")).unwrap();
    env.hookctl(["db", "backup", "link"]).run().fails(1);
    let nowhere = env.hookctl(["db", "backup", "no/such/folder/b.db"]).run().fails(1).err();
    assert!(nowhere.contains("the folder 'no/such/folder' does not exist") && nowhere.contains("hint:"), "{nowhere}");
}

#[test]
fn restore_puts_the_backup_back_and_keeps_the_old_file_whole() {
    only_on_files!();
    let (env, receiver) = filled();
    env.hookctl(["db", "backup", "copy.db"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    env.hookctl(["webhook", "create", "later", "--url", &receiver.url(), "-e", "*"]).run().ok();
    let asked = env.hookctl(["db", "restore", "copy.db"]).run().fails(2);
    assert!(asked.err().contains("--yes"), "{asked:?}");
    assert_eq!(count(&env, "SELECT count(*) FROM webhooks"), 2);
    let restored = env.hookctl(["db", "restore", "copy.db", "--yes", "-o", "json"]).run().ok().json();
    assert_eq!((&restored["webhooks"], &restored["due"]), (&json!(1), &json!(10)));
    assert_eq!(mode(&env.database()), 0o600);
    assert_eq!(env.sql_value("PRAGMA journal_mode"), "wal", "the one in use has a write-ahead log");
    assert_eq!(count(&env, "SELECT count(*) FROM webhooks"), 1);
    let kept = Path::new(restored["kept"].as_str().unwrap()).to_owned();
    assert!(kept.to_str().unwrap().starts_with(&format!("{}.bak-", env.database().display())));
    let old = Connection::open_with_flags(&kept, OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let webhooks: i64 = old.query_row("SELECT count(*) FROM webhooks", [], |row| row.get(0)).unwrap();
    assert_eq!(webhooks, 2);
    env.hookctl(["drain"]).run().ok();
    env.hookctl(["db", "check"]).run().ok();
    assert_whole(&env);
    assert_eq!(beside(&env, "hookctl.db.restore"), None, "nothing is left over");
}

#[test]
fn restore_refuses_what_is_no_sound_backup_and_changes_nothing() {
    only_on_files!();
    let (env, _receiver) = filled();
    env.hookctl(["db", "backup", "copy.db"]).run().ok();
    let whole = fs::read(env.path().join("copy.db")).unwrap();
    let mut damaged = whole.clone();
    let page = whole.len() / 4096 / 2 * 4096;
    damaged[page..page + 4096].fill(0xAA);
    env.file("damaged.db", damaged);
    env.file("half.db", &whole[..whole.len() / 2]);
    env.file("text.db", "not a database, however long it may be; ".repeat(200));
    env.file("empty.db", "");
    Connection::open(env.path().join("other.db")).unwrap().execute_batch("CREATE TABLE t (a)").unwrap();
    for (file, code) in [
        ("damaged.db", 1),
        ("half.db", 1),
        ("text.db", 1),
        ("other.db", 1),
        ("empty.db", 2),
        ("missing.db", 2),
        (".", 1),
    ] {
        let run = env.hookctl(["db", "restore", file, "--yes"]).run();
        assert_eq!(run.code, Some(code), "{run:?}");
    }
    let itself = env.database();
    env.hookctl(["db", "restore", "--yes"]).arg(itself).run().fails(2);
    assert_eq!(beside(&env, "hookctl.db.bak"), None);
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries"), 30);
    assert_whole(&env);
}

#[test]
fn restore_is_refused_while_another_process_has_the_database_open() {
    only_on_files!();
    let (env, receiver) = filled();
    env.hookctl(["db", "backup", "copy.db"]).run().ok();
    let drain = env.hookctl(["drain", "--watch", "100ms"]).spawn();
    receiver.wait_for(30, PATIENCE);
    let run = env.hookctl(["db", "restore", "copy.db", "--yes"]).run().fails(75);
    assert!(run.err().contains("another process has the database open"), "{run:?}");
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 30, "nothing was restored");
    assert_eq!(beside(&env, "hookctl.db.restore"), None);
}

#[test]
fn restore_takes_the_place_of_a_broken_file_and_its_stale_journal_is_not_replayed() {
    only_on_files!();
    let (env, receiver) = filled();
    env.hookctl(["db", "backup", "copy.db"]).run().ok();
    // A log that is left behind, as a crash leaves it, beside a file that is no database any more.
    let writer = Connection::open(env.database()).unwrap();
    writer.execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE webhooks SET name = 'stale'").unwrap();
    let log = fs::read(env.path().join("hookctl.db-wal")).unwrap();
    drop(writer);
    env.file("hookctl.db", "no database any more");
    env.file("hookctl.db-wal", log);
    let _ = fs::remove_file(env.path().join("hookctl.db-shm"));
    env.hookctl(["drain"]).run().fails(1);
    env.hookctl(["db", "restore", "copy.db", "--yes"]).run().ok();
    assert_eq!(env.sql_value("SELECT name FROM webhooks"), "crm");
    env.hookctl(["drain"]).run().ok();
    assert_eq!(receiver.count(), 30);
    assert_whole(&env);
    assert!(beside(&env, "hookctl.db.bak").is_some());
}

#[test]
fn vacuum_gives_space_back() {
    only_on_files!();
    let (env, _receiver) = filled();
    let payload = env.file("large", vec![b'x'; 500_000]);
    for _ in 0..4 {
        env.hookctl(["emit", "invoice.paid", "--enqueue", "--payload"]).arg(&payload).run().ok();
    }
    env.hookctl(["webhook", "delete", "crm", "--yes"]).run().ok();
    let view = env.hookctl(["db", "vacuum", "-o", "json"]).run().ok().json();
    assert!(view["size_bytes"].as_u64().unwrap() * 4 < view["size_before_bytes"].as_u64().unwrap(), "{view}");
    assert_whole(&env);
}

#[test]
fn without_shared_memory_it_goes_back_to_a_rollback_journal_says_so_and_works_on() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    // SQLite follows no link here: the memory that processes share cannot be made.
    symlink("/nonexistent/shm", env.path().join("hookctl.db-shm")).unwrap();
    subscribe(&env, &receiver, &["crm"], &[]);
    env.hookctl(["emit", "invoice.paid"]).run().ok();
    let info = env.hookctl(["db", "info", "-o", "json"]).run().ok().json();
    assert_eq!(info["journal_mode"], "delete");
    let told = env.hookctl(["db", "info"]).run().ok().text();
    assert!(told.contains("write-ahead logging was not available"), "{told}");
    let found = env.hookctl(["db", "check", "-o", "json"]).run().ok().json();
    assert_eq!((&found["notes"][0]["check"], &found["findings"]), (&json!("journal"), &json!([])));
    let file = env.file("batch.jsonl", batch("e", 200));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
    let drains: Vec<_> = (0..3).map(|_| env.hookctl(["drain"]).spawn()).collect();
    sleep(Duration::from_millis(50));
    drains.into_iter().for_each(|drain| drop(drain.wait_timeout(PATIENCE).ok()));
    assert_eq!(receiver.count(), 201);
    assert_whole(&env);
    assert_eq!(env.sql_value("PRAGMA journal_mode"), "delete", "nobody changed it in between");
    // Where it can be had again, it comes back.
    fs::remove_file(env.path().join("hookctl.db-shm")).unwrap();
    env.hookctl(["drain"]).run().ok();
    assert_eq!(env.sql_value("PRAGMA journal_mode"), "wal");
    assert_whole(&env);
    env.hookctl(["db", "check"]).run().ok();
}

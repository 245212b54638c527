//! `db restore` and `db backup` that go through links, belong to others, fail, or are killed.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{Dice, PATIENCE, assert_whole, batch, count, scale, subscribe};
use crate::support::{TestEnv, TestReceiver};

/// A database with 20 deliveries that wait, and a backup of it, `copy.db`.
fn backed_up() -> (TestEnv, TestReceiver) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    let file = env.file("waits.jsonl", batch("waits", 20));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
    env.hookctl(["db", "backup", "copy.db"]).run().ok();
    (env, receiver)
}

fn names(env: &TestEnv) -> Vec<String> {
    let entries = fs::read_dir(env.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a run that was killed may leave.
fn leftovers(env: &TestEnv) -> Vec<String> {
    names(env).into_iter().filter(|name| name.starts_with(".hookctl-") || name.contains(".restore-")).collect()
}

#[test]
fn restore_through_a_symbolic_link_replaces_the_file_that_it_leads_to() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    env.hookctl(["drain"]).run().ok();
    let link = env.path().join("link.db");
    symlink("hookctl.db", &link).unwrap();
    env.hookctl(["db", "restore", "copy.db", "--yes"]).env("HOOKCTL_DB", &link).run().ok();
    assert_eq!(fs::read_link(&link).unwrap(), PathBuf::from("hookctl.db"), "the link is as it was");
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'pending'"), 20);
    let kept: Vec<_> = names(&env).into_iter().filter(|name| name.contains(".bak-")).collect();
    assert!(kept.len() == 1 && kept[0].starts_with("hookctl.db.bak-"), "{kept:?}");
    let kept = env.path().join(&kept[0]);
    assert!(fs::symlink_metadata(&kept).unwrap().is_file(), "the old file is kept, not the link to it");
    assert_ne!(fs::metadata(&kept).unwrap().ino(), fs::metadata(env.database()).unwrap().ino());

    symlink("nowhere", env.path().join("dangling.db")).unwrap();
    let dangling = env.path().join("dangling.db");
    env.hookctl(["db", "restore", "copy.db", "--yes"]).env("HOOKCTL_DB", &dangling).run().fails(1);
    assert!(dangling.is_symlink() && !env.path().join("nowhere").exists());
}

#[test]
fn restore_keeps_the_owner_the_group_and_the_mode_of_the_file() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    fs::set_permissions(env.database(), fs::Permissions::from_mode(0o640)).unwrap();
    // Only root can give files away; for others the mode is what there is to keep.
    let is_root = chown(env.database(), Some(65534), Some(65533)).is_ok();
    let access = |path: PathBuf| {
        let metadata = fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.permissions().mode() & 0o777)
    };
    let before = access(env.database());
    env.hookctl(["db", "restore", "copy.db", "--yes"]).run().ok();
    assert_eq!(access(env.database()), before);
    assert!(!is_root || before.0 == 65534);
}

#[test]
fn check_sees_a_file_that_its_user_cannot_open_and_mends_it() {
    only_on_files!();
    let env = TestEnv::new();
    fs::create_dir(env.path().join("data")).unwrap();
    let database = env.path().join("data").join("hookctl.db");
    env.hookctl(["event-type", "add", "own.type"]).env("HOOKCTL_DB", &database).run().ok();
    if chown(env.path().join("data"), Some(65534), Some(65534)).is_err() {
        return;
    }
    let check = |args: &[&str]| env.hookctl(args.iter().copied()).env("HOOKCTL_DB", &database).run();
    let found = check(&["db", "check"]).fails(1).text();
    assert!(found.contains("belongs to user 0; user 65534, whose folder it is in, cannot open it"), "{found}");
    check(&["db", "check", "--fix"]).ok();
    assert_eq!(fs::metadata(&database).unwrap().uid(), 65534);
    check(&["db", "check"]).ok();
}

#[test]
fn a_restore_that_cannot_keep_the_old_file_changes_nothing_and_leaves_the_log() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    env.hookctl(["drain"]).run().ok();
    // The name for the old file is taken.
    fs::create_dir(env.path().join("hookctl.db.bak-2030-01-01T00-00-00-000Z")).unwrap();
    let before = names(&env);
    let run = env.hookctl(["db", "restore", "copy.db", "--yes"]).now("2030-01-01T00:00:00Z").run().fails(1);
    assert!(run.err().contains("hint:"), "{run:?}");
    assert_eq!(names(&env), before);
    assert_eq!(env.sql_value("PRAGMA journal_mode"), "wal");
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 20);
    assert_whole(&env);
}

#[test]
fn a_restore_that_is_refused_leaves_the_log_and_nothing_beside_it() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    let open = rusqlite::Connection::open(env.database()).unwrap();
    open.execute_batch("SELECT count(*) FROM webhooks").unwrap();
    env.hookctl(["db", "restore", "copy.db", "--yes"]).run().fails(75);
    drop(open);
    assert_eq!(env.sql_value("PRAGMA journal_mode"), "wal");
    assert!(leftovers(&env).is_empty() && !names(&env).iter().any(|name| name.contains(".bak-")), "{:?}", names(&env));
}

#[test]
fn killed_restores_leave_a_whole_file_with_its_log_and_the_next_one_cleans_up() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    let mut dice = Dice::new();
    for _ in 0..12 * scale() {
        let restore = env.hookctl(["db", "restore", "copy.db", "--yes"]).spawn();
        sleep(dice.up_to(Duration::from_millis(60)));
        restore.kill();
        assert_eq!(env.sql_value("PRAGMA journal_mode"), "wal");
        assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'pending'"), 20);
        assert_whole(&env);
    }
    env.hookctl(["db", "restore", "copy.db", "--yes"]).run().ok();
    assert!(leftovers(&env).is_empty(), "{:?}", names(&env));
    let database = fs::metadata(env.database()).unwrap();
    assert_eq!(database.nlink(), 1, "no old name is left of the new file");
    env.hookctl(["db", "check"]).run().ok();
}

#[test]
fn a_killed_backup_leaves_nothing_under_its_name_and_the_next_one_cleans_up() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    let payload = env.file("large", vec![b'x'; 1_000_000]);
    for _ in 0..40 {
        env.hookctl(["emit", "invoice.paid", "--enqueue", "--payload"]).arg(&payload).run().ok();
    }
    let mut killed = 0;
    for _ in 0..10 {
        let backup = env.hookctl(["db", "backup", "new.db"]).spawn();
        let deadline = Instant::now() + PATIENCE;
        while leftovers(&env).is_empty() && !env.path().join("new.db").exists() && Instant::now() < deadline {
            sleep(Duration::from_micros(200));
        }
        let run = backup.kill();
        killed += usize::from(run.signal == Some(9));
        if env.path().join("new.db").exists() {
            // What has the name is whole.
            let info = env.hookctl(["db", "info", "-o", "json"]).env("HOOKCTL_DB", env.path().join("new.db"));
            assert_eq!(info.run().ok().json()["rows"]["deliveries"], 60);
            fs::remove_file(env.path().join("new.db")).unwrap();
        }
    }
    assert!(killed > 0);
    env.hookctl(["db", "backup", "new.db"]).run().ok();
    assert!(leftovers(&env).is_empty(), "{:?}", names(&env));
}

#[test]
fn the_database_by_a_second_name_is_refused_as_a_backup() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    fs::hard_link(env.database(), env.path().join("second")).unwrap();
    symlink("hookctl.db", env.path().join("link")).unwrap();
    for name in ["second", "link", "hookctl.db"] {
        let run = env.hookctl(["db", "restore", name, "--yes"]).run().fails(2);
        assert!(run.err().contains("it is the database itself"), "{run:?}");
    }
    assert!(!names(&env).iter().any(|name| name.starts_with("second-") || name.contains(".bak-")), "{:?}", names(&env));
}

#[test]
fn a_second_name_that_a_killed_restore_left_goes_with_the_next_command_that_writes() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    let links = || fs::metadata(env.database()).unwrap().nlink();
    let left = env.path().join("hookctl.db.bak-2030-01-01T00-00-00-000Z");
    let users = env.path().join("users.db");
    fs::hard_link(env.database(), &left).unwrap();
    fs::hard_link(env.database(), &users).unwrap();
    let noted = env.hookctl(["db", "check"]).run().ok().text();
    assert!(noted.contains("second name"), "{noted}");
    env.hookctl(["event-type", "add", "own.type"]).run().ok();
    assert!(!left.exists() && users.exists(), "only what hookctl made is removed");
    fs::remove_file(&users).unwrap();
    assert!(!env.hookctl(["db", "check"]).run().ok().text().contains("second name"));

    // One that was in use keeps its log.
    fs::hard_link(env.database(), &left).unwrap();
    let log = env.file("hookctl.db.bak-2030-01-01T00-00-00-000Z-wal", "not empty");
    env.hookctl(["event-type", "add", "other.type"]).run().ok();
    assert!(links() == 2 && log.exists());
}

#[test]
fn no_restore_that_is_killed_gives_the_database_a_second_name() {
    only_on_files!();
    let (env, _receiver) = backed_up();
    let mut dice = Dice::new();
    for _ in 0..40 * scale() {
        let restore = env.hookctl(["db", "restore", "copy.db", "--yes"]).spawn();
        let end = Instant::now() + dice.up_to(Duration::from_millis(40));
        while Instant::now() < end {
            assert_eq!(fs::metadata(env.database()).unwrap().nlink(), 1);
        }
        restore.kill();
        assert_eq!(fs::metadata(env.database()).unwrap().nlink(), 1);
    }
}

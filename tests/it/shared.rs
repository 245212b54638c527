//! A database that a group shares.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::support::{Hookctl, TestEnv, TestReceiver, installed};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

/// A command on the shared database in a folder of its own.
fn on_shared(env: &TestEnv, arguments: &[&str]) -> Hookctl {
    env.hookctl(arguments).env("HOOKCTL_DB", env.path().join("shared/hookctl.db"))
}

/// A database that is shared with a group of the one who runs the tests.
fn shared() -> (TestEnv, u32) {
    let env = TestEnv::new();
    let group = fs::metadata(env.path()).unwrap().gid();
    let made = on_shared(&env, &["db", "init", "--group", &group.to_string()]).run().ok();
    assert!(made.text().contains("2770") && made.text().contains("0660"), "{made:?}");
    (env, group)
}

#[test]
fn a_group_shares_the_folder_and_every_file_without_a_warning() {
    let (env, group) = shared();
    let (folder, database) = (env.path().join("shared"), env.path().join("shared/hookctl.db"));
    let receiver = TestReceiver::start(200);
    let create = ["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"];
    assert_eq!(on_shared(&env, &create).run().ok().err(), "");
    let connection = rusqlite::Connection::open(&database).unwrap();
    let _: i64 = connection.query_row("SELECT count(*) FROM webhooks", [], |row| row.get(0)).unwrap();
    on_shared(&env, &["emit", "task.created"]).run().ok();
    assert_eq!(mode(&folder), 0o2770);
    let files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1, "a write-ahead log stands beside it: {files:?}");
    for file in files {
        assert_eq!((mode(&file), fs::metadata(&file).unwrap().gid()), (0o660, group), "{}", file.display());
    }
    let checked = on_shared(&env, &["db", "check"]).run().ok();
    assert_eq!(checked.err(), "");
    let again = on_shared(&env, &["db", "init", "--group", &group.to_string()]).run().ok();
    assert_eq!(again.err(), "");
}

#[test]
fn what_others_can_read_is_found_and_mended_to_what_the_group_may() {
    let (env, _) = shared();
    let (folder, database) = (env.path().join("shared"), env.path().join("shared/hookctl.db"));
    fs::set_permissions(&database, fs::Permissions::from_mode(0o664)).unwrap();
    let warned = on_shared(&env, &["webhook", "list"]).run().ok();
    assert!(warned.err().contains("run `chmod 660` on it"), "{warned:?}");
    on_shared(&env, &["db", "check"]).run().fails(1);
    on_shared(&env, &["db", "check", "--fix"]).run().ok();
    assert_eq!((mode(&folder), mode(&database)), (0o2770, 0o660));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2777)).unwrap();
    on_shared(&env, &["db", "check"]).run().fails(1);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let private = on_shared(&env, &["webhook", "list"]).run().ok();
    assert!(private.err().contains("run `chmod 600` on it"), "the folder is no group's any more: {private:?}");
}

#[test]
fn a_folder_that_holds_something_else_is_not_given_to_a_group() {
    only_on_files!();
    let env = TestEnv::new();
    env.file("other.txt", "");
    let before = mode(env.path());
    let refused = env.hookctl(["db", "init", "--group", "0"]).run().fails(2);
    assert!(refused.err().contains("--group: the folder") && refused.err().contains("other.txt"), "{refused:?}");
    let unknown = env.hookctl(["db", "init", "--group", "no-such-group"]).run().fails(2);
    assert!(unknown.err().contains("--group: no group 'no-such-group'"), "{unknown:?}");
    assert_eq!((mode(env.path()), env.database().exists()), (before, false));
    env.hookctl(["db", "init"]).run().ok();
    assert_eq!(mode(&env.database()), 0o600);
}

/// Needs to be root, to become another user.
#[test]
fn another_user_of_the_group_emits_and_the_owner_drains() {
    let env = TestEnv::new();
    let is_root = fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    if !is_root || installed(&["setpriv"], "util-linux").is_none() {
        return;
    }
    fs::set_permissions(env.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let receiver = TestReceiver::start(200);
    on_shared(&env, &["db", "init", "--group", "65533"]).run().ok();
    on_shared(&env, &["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]).run().ok();
    let as_member = |group: &str, arguments: &[&str]| {
        on_shared(&env, arguments).under(&["setpriv", "--reuid", "65532", "--regid", group, "--clear-groups"]).run()
    };
    as_member("65533", &["emit", "task.created", "--enqueue"]).ok();
    as_member("65533", &["emit", "task.created"]).ok();
    as_member("65531", &["emit", "task.created"]).fails(1);
    on_shared(&env, &["drain"]).run().ok();
    assert_eq!(receiver.count(), 2);
    on_shared(&env, &["db", "check"]).run().ok();
}

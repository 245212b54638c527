//! Files that are no database of hookctl's, or are no longer one: one clear error, the file as it was, and no hang.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::support::{Run, TestEnv};

/// Commands that read and that write, all of which open the file.
const COMMANDS: [&[&str]; 6] = [
    &["webhook", "list"],
    &["delivery", "show", "1"],
    &["--read-only", "event", "list"],
    &["webhook", "create", "x", "--url", "http://127.0.0.1:9/", "-e", "*"],
    &["emit", "task.created", "--enqueue"],
    &["drain"],
];

#[test]
fn a_file_that_is_no_database_is_refused_and_stays_as_it_is() {
    only_on_files!();
    for (name, bytes) in [
        ("short text", b"hello\n".to_vec()),
        ("long text", "hello world\n".repeat(5_000).into_bytes()),
        ("zeros", vec![0; 8_192]),
        ("only the magic", b"SQLite format 3\0".to_vec()),
        ("magic and noise", [b"SQLite format 3\0".to_vec(), vec![0xa5; 4_096]].concat()),
    ] {
        let env = TestEnv::new();
        env.file("hookctl.db", bytes);
        refused(&env, name, "is not a hookctl database");
    }
}

#[test]
fn another_programs_or_a_newer_database_is_refused_and_stays_as_it_is() {
    only_on_files!();
    let changes = [
        ("PRAGMA application_id = 5", "its application id is 0x5"),
        ("PRAGMA application_id = 0", "its application id is 0x0"),
        ("PRAGMA user_version = 99", "was made by a newer hookctl (schema 99"),
        ("PRAGMA user_version = -1", "its schema version is -1"),
        ("PRAGMA user_version = 0", "its schema version is 0"),
        ("DROP TABLE attempts", "some of its tables are missing"),
        ("CREATE TRIGGER t AFTER INSERT ON events BEGIN DELETE FROM secrets; END", "it holds a trigger, 't'"),
        ("CREATE VIEW v AS SELECT * FROM secrets", "it holds a view, 'v'"),
        ("DROP TABLE attempts; CREATE VIEW attempts AS SELECT 1", "it holds a view, 'attempts'"),
        ("CREATE TRIGGER \"a\u{1b}[2J\" AFTER INSERT ON events BEGIN SELECT 1; END", r"'a\u{1b}[2J'"),
    ];
    for (change, told) in changes {
        let env = made();
        alter(&env, change);
        refused(&env, change, told);
    }
}

#[test]
fn an_unknown_database_of_sqlite_is_refused_and_stays_as_it_is() {
    only_on_files!();
    let env = TestEnv::new();
    Connection::open(env.database())
        .unwrap()
        .execute_batch("CREATE TABLE other (a); INSERT INTO other VALUES (1)")
        .unwrap();
    refused(&env, "another program's tables", "is not a hookctl database");
}

#[test]
fn tables_that_lack_a_column_are_told_as_damage_without_the_statement() {
    only_on_files!();
    let env = made();
    alter(&env, "ALTER TABLE webhooks DROP COLUMN owner");
    let run = env.hookctl(["webhook", "list"]).run().fails(1);
    assert!(run.err().contains("the database is damaged: no such column: owner\n"), "{run:?}");
}

#[test]
fn unreadable_values_are_told_with_their_column() {
    only_on_files!();
    for (change, column) in [
        ("UPDATE webhooks SET events = 'a' || char(27) || '[2J'", r"webhooks.events: a\u{1b}[2J"),
        ("UPDATE webhooks SET settings = '{'", "webhooks.settings"),
        ("UPDATE webhooks SET settings = json_set(settings, '$.allow_networks', json('[1]'))", "webhooks.settings"),
    ] {
        let env = made();
        alter(&env, change);
        let run = env.hookctl(["webhook", "show", "known"]).run().fails(1);
        assert!(run.err().contains(column), "{run:?}");
        one_error(&run);
    }
}

#[test]
fn a_truncated_or_damaged_file_never_makes_a_command_panic_or_hang() {
    only_on_files!();
    let whole = fs::read(made().database()).unwrap();
    let mut damaged: Vec<Vec<u8>> = [50, 100, 512, 4_096, 5_000, whole.len() - 4_096, whole.len() - 1]
        .into_iter()
        .map(|length| whole[..length].to_vec())
        .collect();
    // A generator of Lehmer's: the same bytes are flipped in every run.
    let mut random = 20_260_131_u64;
    let mut next = |below: usize| {
        random = random * 48_271 % 2_147_483_647;
        usize::try_from(random).unwrap() % below
    };
    for count in [1, 1, 1, 1, 5, 5, 5, 50, 50, 500] {
        let mut bytes = whole.clone();
        for _ in 0..count {
            let (at, bit) = (next(bytes.len()), next(8));
            bytes[at] ^= 1 << bit;
        }
        damaged.push(bytes);
    }
    for bytes in damaged {
        for command in COMMANDS {
            let env = TestEnv::new();
            env.file("hookctl.db", &bytes);
            let run = env.hookctl(command.iter().copied()).time_limit(Duration::from_secs(20)).run();
            assert!(matches!(run.code, Some(0 | 1 | 3 | 6)), "{run:?}");
            assert!(!run.err().contains("panicked"), "{run:?}");
        }
    }
}

#[test]
fn a_truncated_file_is_refused_and_stays_as_it_is() {
    only_on_files!();
    let whole = fs::read(made().database()).unwrap();
    for length in [50, 99, 100, 600] {
        let env = TestEnv::new();
        env.file("hookctl.db", &whole[..length]);
        refused(&env, "truncated", "database");
    }
}

#[test]
fn what_is_no_file_is_refused() {
    only_on_files!();
    let env = TestEnv::new();
    fs::create_dir(env.database()).unwrap();
    refused_place(&env, "is a directory, not a database");

    let env = TestEnv::new();
    assert!(Command::new("mkfifo").arg(env.database()).status().unwrap().success());
    refused_place(&env, "it is not a regular file");

    let env = TestEnv::new();
    symlink("nowhere", env.database()).unwrap();
    refused_place(&env, "it is a symbolic link to nothing");
    assert!(!env.path().join("nowhere").exists());

    let env = TestEnv::new();
    symlink("hookctl.db", env.database()).unwrap();
    refused_place(&env, "cannot open the database");

    let env = TestEnv::new();
    for (path, told) in [("/dev/null", "it is not a regular file"), ("/dev/full", "it is not a regular file")] {
        for command in COMMANDS {
            let run = env.hookctl(command.iter().copied()).env("HOOKCTL_DB", path).run().fails(1);
            assert!(run.err().contains(told), "{run:?}");
        }
    }
}

#[test]
fn a_place_below_a_file_is_refused() {
    only_on_files!();
    let env = TestEnv::new();
    let file = env.file("file", "text");
    let before = digest(&file);
    for command in COMMANDS {
        let run = env.hookctl(command.iter().copied()).env("HOOKCTL_DB", file.join("hookctl.db")).run().fails(1);
        one_error(&run);
    }
    assert_eq!(digest(&file), before);
}

#[test]
fn names_that_sqlite_has_a_meaning_for_are_names_of_files() {
    only_on_files!();
    for name in ["file:x?mode=memory", ":memory:", "file::memory:", "file:other.db", "a\nb\u{1b}[2J.db", "a%00b?c#d.db"]
    {
        let env = TestEnv::new();
        let hookctl = |arguments: &[&str]| env.hookctl(arguments.iter().copied()).env("HOOKCTL_DB", name).run().ok();
        hookctl(&["webhook", "create", "kept", "--url", "http://127.0.0.1:9/", "-e", "*"]);
        let kept = hookctl(&["webhook", "show", "kept", "-o", "json"]).json();
        assert_eq!(kept["name"], "kept");
        let connection = Connection::open(env.path().join(name)).unwrap();
        let count: i64 = connection.query_row("SELECT count(*) FROM webhooks", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1, "{name:?}");
    }
}

#[test]
fn an_empty_file_is_a_new_database() {
    only_on_files!();
    let env = TestEnv::new();
    env.file("hookctl.db", "");
    env.hookctl(["webhook", "list"]).run().ok();
    assert_eq!(fs::metadata(env.database()).unwrap().len(), 0);
    env.hookctl(["emit", "task.created"]).run().ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "1");
}

/// A database with a webhook in it, closed.
fn made() -> TestEnv {
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "known", "--url", "http://127.0.0.1:9/", "-e", "*"]).run().ok();
    env
}

fn alter(env: &TestEnv, statements: &str) {
    env.sql_write(&format!("PRAGMA foreign_keys = OFF; {statements}"));
}

/// Every command fails with one error that holds `told`, and the file stays as it is, byte for byte.
#[track_caller]
fn refused(env: &TestEnv, what: &str, told: &str) {
    let before = digest(&env.database());
    refused_place(env, told);
    assert_eq!(digest(&env.database()), before, "{what}: the file was changed");
}

#[track_caller]
fn refused_place(env: &TestEnv, told: &str) {
    for command in COMMANDS {
        let limit = Duration::from_secs(20);
        let run = env.hookctl(command.iter().copied()).time_limit(limit).run().fails(1);
        assert!(run.err().contains(told), "{told:?} is not told\n{run:?}");
        one_error(&run);
    }
}

#[track_caller]
fn one_error(run: &Run) {
    let text = run.err();
    let errors = text.lines().filter(|line| line.starts_with("error: ")).count();
    let others =
        text.lines().filter(|line| !["error: ", "hint: ", "warning: "].iter().any(|start| line.starts_with(start)));
    assert!(errors == 1 && others.count() == 0 && run.stdout.is_empty(), "one error is expected\n{run:?}");
}

fn digest(file: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(file).unwrap()).to_vec()
}

#[test]
fn a_backup_of_a_damaged_database_is_refused() {
    only_on_files!();
    let env = made();
    let mut bytes = fs::read(env.database()).unwrap();
    // The pages of the tables: the schema stays readable.
    bytes[3 * 4_096..9 * 4_096].fill(0xff);
    env.file("hookctl.db", &bytes);
    let run = env.hookctl(["db", "backup", "copy.db"]).run().fails(1);
    assert!(run.err().starts_with("error: the database is damaged: "), "{run:?}");
    assert!(!env.path().join("copy.db").exists());
}

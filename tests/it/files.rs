//! The database's files: private from their first moment, and neither made nor changed by what only reads.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::support::{Reply, TestEnv, TestReceiver};

/// Every command that writes; the names are those of `written`.
const WRITERS: &[&str] = &[
    "webhook create new --url http://127.0.0.1:9/ -e *",
    "webhook update known --timeout 5s",
    "webhook enable known",
    "webhook disable known",
    "webhook delete known -y",
    "webhook test known",
    "webhook secret rotate known",
    "webhook secret expire known",
    "emit task.created",
    "emit --batch batch",
    "event resend known",
    "event-type add own.type",
    "event-type remove own.type",
    "drain",
    "delivery retry 1",
    "delivery retry --status failed",
    "delivery cancel 1 -y",
    "delivery prune --older-than 1d -y",
    "db restore backup -y",
    "db vacuum",
    "apply empty.toml",
];

/// Every command that only reads, and ends by itself.
const READERS: &[&str] = &[
    "webhook list",
    "webhook show known",
    "event list",
    "event show known",
    "event-type list",
    "event-type show task.created",
    "delivery list",
    "delivery show 1",
    "delivery retry --status failed --dry-run",
    "delivery prune --older-than 1d --dry-run",
    "drain --dry-run",
    "emit task.created --dry-run",
    "stats",
    "check",
    "metrics",
    "db info",
    "schemes",
    "export",
];

#[test]
fn a_fresh_run_under_umask_000_makes_private_files_in_a_private_folder() {
    only_on_files!();
    let env = TestEnv::new();
    // The answer waits so that the log and the shared memory can be seen.
    let receiver = TestReceiver::start(Reply::WhenReleased(200));
    let folder = env.path().join("deep").join("data");
    let database = folder.join("hookctl.db");
    let script = format!(
        "umask 000; '{0}' webhook create hook -q --url {1} -e '*' && exec '{0}' emit task.created",
        env!("CARGO_BIN_EXE_hookctl"),
        receiver.url()
    );
    let mut shell = Command::new("sh")
        .args(["-c", &script])
        .env("HOOKCTL_DB", &database)
        .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8")
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let (began, mut seen) = (Instant::now(), Vec::new());
    while shell.try_wait().unwrap().is_none() {
        for name in ["", "-wal", "-shm"] {
            if let Some(mode) = mode(&beside(&database, name)) {
                assert_eq!(mode, 0o600, "hookctl.db{name}");
                seen.push(name);
            }
        }
        for folder in [&folder, folder.parent().unwrap()].into_iter().filter_map(mode) {
            assert_eq!(folder, 0o700);
        }
        if ["", "-wal", "-shm"].iter().all(|name| seen.contains(name)) {
            receiver.release();
        }
        assert!(began.elapsed() < Duration::from_secs(60), "only {seen:?} of the files were seen");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(shell.wait().unwrap().success());
    assert_eq!((mode(&database), mode(&folder)), (Some(0o600), Some(0o700)));
}

#[test]
fn the_folder_by_default_is_private_too() {
    only_on_files!();
    let env = TestEnv::new();
    env.hookctl(["emit", "task.created"]).without_env("HOOKCTL_DB").run().ok();
    let folder = env.path().join("hookctl");
    assert_eq!((mode(&folder), mode(&folder.join("hookctl.db"))), (Some(0o700), Some(0o600)));
}

#[test]
fn a_database_that_others_can_read_is_reported_and_left_as_it_is() {
    only_on_files!();
    let env = written();
    for exposed in [0o644, 0o640, 0o604, 0o666] {
        fs::set_permissions(env.database(), fs::Permissions::from_mode(exposed)).unwrap();
        for command in [&["webhook", "list"][..], &["drain"]] {
            let run = env.hookctl(command.iter().copied()).run().ok();
            assert!(run.err().contains("can be read by others"), "{run:?}");
            assert!(run.err().contains(&format!("{exposed:04o}")), "{run:?}");
        }
        let quiet = env.hookctl(["webhook", "list", "-q"]).run().ok();
        assert!(quiet.stderr.is_empty(), "{quiet:?}");
        assert_eq!(mode(&env.database()), Some(exposed));
    }
    fs::set_permissions(env.database(), fs::Permissions::from_mode(0o600)).unwrap();
    let run = env.hookctl(["webhook", "list"]).run().ok();
    assert!(run.stderr.is_empty(), "{run:?}");
}

#[test]
fn a_folder_in_which_others_can_replace_the_database_is_reported_once_in_one_line() {
    only_on_files!();
    let env = written();
    let chmod = |mode| fs::set_permissions(env.path(), fs::Permissions::from_mode(mode)).unwrap();
    for (loose, is_told) in [(0o777, true), (0o770, true), (0o1777, false), (0o755, false)] {
        chmod(loose);
        for command in [&["webhook", "list"][..], &["drain"]] {
            let told = env.hookctl(command.iter().copied()).run().ok().err();
            assert_eq!(told.matches("others can put another database into").count(), usize::from(is_told), "{told}");
            assert_eq!(told.matches("warning: ").count(), usize::from(is_told), "{told}");
        }
        let check = env.hookctl(["db", "check"]).run();
        assert_eq!(check.code, Some(i32::from(is_told)), "{check:?}");
        assert!(!is_told || check.text().contains(&format!("has mode {loose:04o}: others can put")), "{check:?}");
    }
    chmod(0o777);
    fs::set_permissions(env.database(), fs::Permissions::from_mode(0o644)).unwrap();
    let both = env.hookctl(["webhook", "list"]).run().ok().err();
    assert_eq!((both.lines().count(), both.matches("chmod").count()), (1, 2), "{both}");
    chmod(0o700);
}

#[cfg(target_os = "linux")]
#[test]
fn its_memory_is_in_no_core_dump_and_out_of_reach_of_the_same_users_other_processes() {
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    // Nothing is out of reach of root: then both processes run as somebody else.
    let is_root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    let as_user = |program: &str| {
        let mut command = Command::new(program);
        if is_root {
            command.uid(65534).gid(65534);
        }
        command
    };
    let env = TestEnv::new();
    fs::set_permissions(env.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let dumped = |command: &mut Command| {
        command.current_dir(env.path()).env("HOOKCTL_DB", env.path().join("none"));
        let mut child = command.stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(400));
        let readable = as_user("cat").arg(format!("/proc/{}/environ", child.id())).output().unwrap().status.success();
        Command::new("sh").args(["-c", &format!("kill -s QUIT {}", child.id())]).status().unwrap();
        (readable, child.wait().unwrap().core_dumped())
    };
    let shell = "ulimit -c unlimited; exec \"$@\"";
    let (can_read, can_dump) = dumped(as_user("sh").args(["-c", shell, "sh", "sleep", "30"]));
    assert!(can_read, "the test can read another process of the same user");
    let hookctl = [env!("CARGO_BIN_EXE_hookctl"), "listen", "-q"];
    let seen = dumped(as_user("sh").args(["-c", shell, "sh"]).args(hookctl));
    assert_eq!(seen, (false, false), "without the guard: ({can_read}, {can_dump})");
}

#[test]
fn read_only_refuses_every_command_that_writes_and_changes_nothing() {
    let receiver = TestReceiver::start(200);
    let env = written();
    env.hookctl(["webhook", "update", "known", "--url", &receiver.url()]).run().ok();
    env.file("empty.toml", "");
    env.file("batch", "{\"type\":\"task.created\"}\n");
    if env.database().exists() {
        fs::copy(env.database(), env.path().join("backup")).unwrap();
    }
    let before = env.contents();
    let is_for_files = |command: &&&str| command.starts_with("db ");
    for command in WRITERS.iter().filter(|command| !env.is_on_server() || !is_for_files(command)) {
        let by_option = env.hookctl(["--read-only"]).args(command.split(' ')).run().fails(1);
        let by_environment = env.hookctl(command.split(' ')).env("HOOKCTL_READ_ONLY", "1").run().fails(1);
        for run in [by_option, by_environment] {
            assert!(run.err().starts_with("error: this command writes, and --read-only is on\nhint: "), "{run:?}");
            assert!(run.stdout.is_empty(), "{run:?}");
        }
        let run = env.hookctl(command.split(' ')).env("HOOKCTL_READ_ONLY", "1").env("HOOKCTL_OUTPUT", "json").run();
        assert!(run.fails(1).err().contains("\"code\":\"read_only\""));
        assert_eq!(env.contents(), before, "{command}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn read_only_off_is_off() {
    let env = TestEnv::new();
    for off in ["0", "false", "no", "off", ""] {
        env.hookctl(["emit", "task.created"]).env("HOOKCTL_READ_ONLY", off).run().ok();
    }
}

#[test]
fn what_only_reads_works_read_only_and_changes_nothing() {
    let env = written();
    let before = env.contents();
    for command in READERS {
        let run = env.hookctl(["--read-only"]).args(command.split(' ')).run();
        // `check` tells by its exit code how the deliveries are.
        assert!(run.code == Some(0) || *command == "check", "{run:?}");
        assert_eq!(env.contents(), before, "{command}");
    }
}

#[test]
fn what_only_reads_makes_neither_a_file_nor_a_folder() {
    only_on_files!();
    let env = TestEnv::new();
    let database = env.path().join("none").join("hookctl.db");
    for command in READERS {
        for option in ["--read-only", "--quiet"] {
            let run = env.hookctl([option]).args(command.split(' ')).env("HOOKCTL_DB", &database).run();
            assert!(matches!(run.code, Some(0..=3)) && !run.err().contains("panicked"), "{run:?}");
            assert_eq!(fs::read_dir(env.path()).unwrap().count(), 0, "{command}");
        }
    }
}

#[test]
fn a_database_in_a_place_that_cannot_be_written_can_be_read() {
    only_on_files!();
    let env = written();
    let folder = env.path().join("data");
    fs::create_dir(&folder).unwrap();
    let database = folder.join("hookctl.db");
    fs::copy(env.database(), &database).unwrap();
    let before = digest(&database);
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o555)).unwrap();
    // Root writes everywhere; the rest is still true then.
    let is_root = fs::write(folder.join("probe"), "").is_ok();
    let shown = env.hookctl(["webhook", "list", "-o", "json"]).env("HOOKCTL_DB", &database).run().ok().json();
    let written = env.hookctl(["emit", "task.created"]).env("HOOKCTL_DB", &database).run();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(shown[0]["name"], "known");
    if !is_root {
        written.fails(1);
        assert_eq!((digest(&database), fs::read_dir(&folder).unwrap().count()), (before, 1));
    }
}

#[test]
fn a_file_whose_making_was_interrupted_is_empty_to_readers_and_new_to_writers() {
    only_on_files!();
    let env = TestEnv::new();
    env.file("hookctl.db", "");
    env.sql_write("PRAGMA journal_mode = WAL");
    let before = digest(&env.database());
    let shown = env.hookctl(["--read-only", "webhook", "list", "-o", "json"]).run().ok().json();
    assert_eq!((shown, digest(&env.database())), (serde_json::json!([]), before));
    env.hookctl(["emit", "task.created"]).run().ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "1");
}

/// A database with a webhook, an event and a delivery that waits.
fn written() -> TestEnv {
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "known", "--url", "http://127.0.0.1:9/", "-e", "task.*"]).run().ok();
    env.hookctl(["emit", "task.created", "--event-id", "known", "--enqueue"]).run().ok();
    env.hookctl(["webhook", "disable", "known"]).run().ok();
    env
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", file.display()))
}

/// The permissions, where there is such a file.
fn mode(path: &Path) -> Option<u32> {
    fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o777)
}

fn digest(file: &Path) -> Vec<u8> {
    Sha256::digest(fs::read(file).unwrap()).to_vec()
}

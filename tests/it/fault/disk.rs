//! A disk that is full, a place that cannot be written, and a file that is taken away under a running command.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use super::{PATIENCE, assert_whole, batch, count, requests_by_event, subscribe};
use crate::support::{Reply, TestEnv, TestReceiver};

/// Runs the binary with a limit on the size of the files that it writes, in KiB: a full disk that needs no disk.
fn run_limited(env: &TestEnv, kib: u64, args: &[&str]) -> Output {
    // bash counts in blocks of 1,024 bytes, other shells in 512.
    Command::new("bash")
        .args(["-c", "ulimit -f \"$1\"; shift; exec \"$@\"", "bash", &kib.to_string(), env!("CARGO_BIN_EXE_hookctl")])
        .args(args)
        .current_dir(env.path())
        .env("HOOKCTL_DB", env.database())
        .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8")
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// How large the database's largest file is, in KiB.
fn size_kib(env: &TestEnv) -> u64 {
    let size = |name: &str| fs::metadata(env.path().join(name)).map_or(0, |metadata| metadata.len());
    size("hookctl.db").max(size("hookctl.db-wal")) / 1024
}

#[test]
fn emit_on_a_full_disk_refuses_the_whole_event_or_accepts_it() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    let payload = env.file("large.json", format!("\"{}\"", "x".repeat(20_000))).display().to_string();
    let (mut accepted, mut refused) = (Vec::new(), 0);
    let limit = size_kib(&env) + 160;
    for number in 0..30 {
        let id = format!("e-{number}");
        let output =
            run_limited(&env, limit, &["emit", "invoice.paid", "--event-id", &id, "--payload", &payload, "--enqueue"]);
        match output.status.code() {
            Some(0) => accepted.push(id),
            Some(1) => {
                refused += 1;
                let told = stderr(&output);
                assert!(told.contains("file system failed") || told.contains("disk is full"), "{told}");
                assert!(told.contains("hint:") && !told.contains("panicked"), "{told}");
            }
            other => panic!("{other:?} {}", stderr(&output)),
        }
    }
    assert!(!accepted.is_empty() && refused > 0, "{} accepted, {refused} refused", accepted.len());
    assert_eq!(count(&env, "SELECT count(*) FROM events"), accepted.len(), "accepted or refused, never half");
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries"), accepted.len());
    // With room again, everything goes on.
    env.hookctl(["drain"]).run().ok();
    let sent = requests_by_event(&receiver);
    assert!(accepted.iter().all(|id| sent.get(&("/crm".to_owned(), id.clone())) == Some(&1)));
    assert_whole(&env);
}

#[test]
fn a_drain_whose_disk_fills_up_ends_with_1_and_the_next_one_goes_on() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::with_body(200, vec![b'x'; 60_000]));
    subscribe(&env, &receiver, &["crm"], &[]);
    let file = env.file("batch.jsonl", batch("e", 60));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
    let output = run_limited(&env, size_kib(&env) + 600, &["drain"]);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("file system failed") || stderr(&output).contains("disk is full"),
        "{}",
        stderr(&output)
    );
    assert_whole(&env);
    let later = (chrono::Utc::now() + chrono::Duration::minutes(2)).to_rfc3339();
    let drained = env.hookctl(["drain", "-o", "json"]).now(&later).run().ok().json();
    assert_eq!(drained["remaining_due"], 0);
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 60);
    assert_whole(&env);
}

#[test]
fn emit_on_a_disk_that_fills_up_while_it_sends_ends_in_75_with_the_event_id() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::with_body(200, vec![b'x'; 60_000]));
    let names: Vec<String> = (0..10).map(|number| format!("crm-{number}")).collect();
    subscribe(&env, &receiver, &names.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
    let output = run_limited(&env, size_kib(&env) + 150, &["emit", "invoice.paid", "--event-id", "full", "-o", "json"]);
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(75), "{told}");
    assert!(told.contains("event full is accepted") && told.contains("the next `hookctl drain` goes on"), "{told}");
    assert!(!told.contains("nothing of this step") && !told.contains("panicked"), "{told}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("\"event_id\": \"full\""), "{output:?}");
    let later = (chrono::Utc::now() + chrono::Duration::minutes(2)).to_rfc3339();
    env.hookctl(["drain"]).now(&later).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 10);
    assert_whole(&env);
}

#[test]
fn a_prune_or_a_backup_on_a_full_disk_does_it_whole_or_not_at_all() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::with_body(200, vec![b'x'; 20_000]));
    subscribe(&env, &receiver, &["crm"], &[]);
    let file = env.file("batch.jsonl", batch("e", 100));
    env.hookctl(["emit", "--batch"]).arg(file).run().ok();
    let backup = run_limited(&env, 64, &["db", "backup", "copy.db"]);
    assert_eq!(backup.status.code(), Some(1), "{}", stderr(&backup));
    assert!(!env.path().join("copy.db").exists(), "what was begun is removed");
    let later = (chrono::Utc::now() + chrono::Duration::days(9)).to_rfc3339();
    let prune = Command::new("bash")
        .args(["-c", "ulimit -f 64; exec \"$@\"", "bash", env!("CARGO_BIN_EXE_hookctl")])
        .args(["delivery", "prune", "--older-than", "1d", "--yes"])
        .env("HOOKCTL_DB", env.database())
        .env("HOOKCTL_NOW", &later)
        .output()
        .unwrap();
    assert_eq!(prune.status.code(), Some(1), "{}", stderr(&prune));
    assert_whole(&env);
    env.hookctl(["delivery", "prune", "--older-than", "1d", "--yes"]).now(&later).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries"), 0);
    assert_whole(&env);
}

/// A file system of that size, where the machine lets the test make one.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path, size: &str) -> Option<SmallDisk> {
        fs::create_dir(folder).unwrap();
        let mut mount = Command::new("mount");
        let mounted = mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| SmallDisk(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn on_a_small_file_system_that_fills_up_each_event_is_accepted_or_refused() {
    only_on_files!();
    let env = TestEnv::new();
    let Some(disk) = SmallDisk::mount(&env.path().join("disk"), "1m") else { return };
    let database = disk.0.join("h.db");
    let receiver = TestReceiver::start(200);
    let hookctl = |args: &[&str]| env.hookctl(args.iter().copied()).env("HOOKCTL_DB", &database);
    hookctl(&["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]).run().ok();
    let payload = env.file("large.json", format!("\"{}\"", "x".repeat(50_000))).display().to_string();
    let codes: Vec<_> = (0..30)
        .map(|number| {
            let id = format!("e-{number}");
            let run = hookctl(&["emit", "invoice.paid", "--event-id", &id, "--payload", &payload, "--enqueue"]).run();
            assert!(run.code == Some(0) || (run.code == Some(1) && run.err().contains("the disk is full")), "{run:?}");
            run.code
        })
        .collect();
    let accepted = codes.iter().filter(|code| **code == Some(0)).count();
    assert!((1..30).contains(&accepted), "{codes:?}");
    let info = hookctl(&["db", "info", "-o", "json"]).run().ok().json();
    assert_eq!(info["rows"]["events"], accepted);
    hookctl(&["db", "check"]).run().ok();
}

#[test]
fn a_place_that_cannot_be_written_is_told_and_left_alone() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    let folder = env.path().join("locked");
    fs::create_dir(&folder).unwrap();
    env.hookctl(["db", "backup", "locked/h.db"]).run().ok();
    fs::set_permissions(folder.join("h.db"), fs::Permissions::from_mode(0o400)).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write anywhere; a file system that is mounted read-only binds it too.
    let is_root = fs::write(folder.join("probe"), "").is_ok();
    let mount =
        |how: &[&str]| Command::new("mount").args(how).arg(&folder).output().is_ok_and(|done| done.status.success());
    if is_root {
        fs::remove_file(folder.join("probe")).unwrap();
        let source = folder.to_str().unwrap();
        if !(mount(&["--bind", source]) && mount(&["-o", "remount,ro,bind"])) {
            return;
        }
    }
    let database = folder.join("h.db");
    let emit = env.hookctl(["emit", "invoice.paid"]).env("HOOKCTL_DB", &database).run();
    let new = env.hookctl(["emit", "invoice.paid"]).env("HOOKCTL_DB", folder.join("new.db")).run();
    let read = env.hookctl(["webhook", "list", "-o", "json"]).env("HOOKCTL_DB", &database).run();
    if is_root {
        Command::new("umount").arg(&folder).output().unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    for run in [emit, new] {
        let run = run.fails(1);
        assert!(run.err().contains("hint:"), "{run:?}");
    }
    assert_eq!(read.ok().json()[0]["name"], "crm", "a backup on such a place can be read");
    assert_eq!(receiver.count(), 0);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1);
}

/// A drain that watches, and has sent one delivery.
fn watching() -> (TestEnv, TestReceiver, crate::support::Child) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    let drain = env.hookctl(["drain", "--watch", "100ms"]).env("HOOKCTL_BUSY_TIMEOUT", "500ms").spawn();
    receiver.wait_for(1, PATIENCE);
    std::thread::sleep(Duration::from_millis(200));
    (env, receiver, drain)
}

#[test]
fn a_drain_whose_file_is_deleted_or_replaced_ends_instead_of_working_on_a_ghost() {
    only_on_files!();
    let delete = |env: &TestEnv| {
        ["hookctl.db", "hookctl.db-wal", "hookctl.db-shm"]
            .iter()
            .for_each(|name| drop(fs::remove_file(env.path().join(name))));
    };
    let replace = |env: &TestEnv| {
        fs::copy(env.database(), env.path().join("other")).unwrap();
        fs::rename(env.path().join("other"), env.database()).unwrap();
    };
    let faults: [&dyn Fn(&TestEnv); 2] = [&delete, &replace];
    for fault in faults {
        let (env, _receiver, drain) = watching();
        fault(&env);
        let run = drain.wait_timeout(PATIENCE).fails(1);
        assert!(run.err().contains("deleted or replaced"), "{run:?}");
    }
}

/// Something that happens to a file.
type Damage<'a> = &'a dyn Fn(&Path);

#[test]
fn a_drain_whose_file_is_cut_off_or_overwritten_ends_with_1_and_sends_nothing_twice() {
    only_on_files!();
    let cut_off = |path: &Path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(5_000).unwrap();
    let empty = |path: &Path| fs::OpenOptions::new().write(true).open(path).unwrap().set_len(0).unwrap();
    let overwrite = |path: &Path| {
        use std::io::{Seek, SeekFrom, Write};
        let length = fs::metadata(path).unwrap().len() as usize;
        let mut file = fs::OpenOptions::new().write(true).open(path).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file.write_all(&vec![0xAA; length]).unwrap();
    };
    let faults: [(&str, Damage<'_>); 3] = [("cut off", &cut_off), ("empty", &empty), ("overwritten", &overwrite)];
    for (name, fault) in faults {
        let (env, receiver, mut drain) = watching();
        fault(&env.database());
        // What the drain has in memory may do for a while; the next process reads the file, and so does the drain then.
        let emit = env.hookctl(["emit", "invoice.paid", "--enqueue"]).env("HOOKCTL_BUSY_TIMEOUT", "500ms").run();
        assert_ne!(emit.code, None, "{name}: {emit:?}");
        std::thread::sleep(Duration::from_millis(400));
        if drain.is_running() {
            drain.signal("TERM");
        }
        let run = drain.wait_timeout(PATIENCE);
        assert!(run.code.is_some() && !run.err().contains("panicked"), "{name}: {run:?}");
        let events = requests_by_event(&receiver);
        assert!(events.values().all(|requests| *requests == 1), "{name}: {events:?}");
    }
}

#[test]
fn a_write_past_the_limit_on_file_sizes_names_the_limit() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    let payload = env.file("large.json", format!("\"{}\"", "x".repeat(200_000))).display().to_string();
    let limit = size_kib(&env) + 16;
    for args in [["emit", "a.b", "--enqueue", "--payload", &payload].as_slice(), &["db", "backup", "copy.db"]] {
        let limit = if args[0] == "db" { 64 } else { limit };
        let output = run_limited(&env, limit, args);
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(told.contains(&format!("files may have {} bytes at most (`ulimit -f`)", limit * 1024)), "{told}");
        assert!(told.contains("hint:") && told.contains("raise the limit"), "{told}");
    }
    assert_eq!(env.sql_value("PRAGMA journal_mode"), "wal");
    assert_whole(&env);
}

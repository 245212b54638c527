//! Files that are written for users: whole, through no link, and never over the database.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::process::Command;

use crate::support::TestEnv;

/// A database with a webhook.
fn made() -> TestEnv {
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*"]).run().ok();
    env
}

#[test]
fn a_link_that_somebody_planted_beside_the_file_leads_the_bytes_nowhere() {
    let env = made();
    let victim = env.file("victim", "mine");
    for option in ["metrics --file", "stats --html"] {
        // The name that a process could be expected to use: with its id, which the shell hands on.
        let script = "ln -s victim \".m.prom.$$.tmp\"; exec \"$@\" m.prom";
        let done = Command::new("sh")
            .args(["-c", script, "sh", env!("CARGO_BIN_EXE_hookctl")])
            .args(option.split(' '))
            .current_dir(env.path())
            .env("HOOKCTL_DB", env.address())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        assert_eq!(fs::read(&victim).unwrap(), b"mine", "{option}");
        assert!(fs::metadata(env.path().join("m.prom")).unwrap().len() > 100);
    }
}

#[test]
fn a_link_in_the_place_of_the_file_is_replaced_and_not_followed() {
    let env = made();
    let victim = env.file("victim", "mine");
    symlink(&victim, env.path().join("m.prom")).unwrap();
    env.hookctl(["metrics", "--file", "m.prom"]).run().ok();
    assert_eq!(fs::read(&victim).unwrap(), b"mine");
    assert!(!env.path().join("m.prom").is_symlink());
}

#[test]
fn everybody_may_read_metrics_and_the_umask_decides_on_a_page() {
    let env = made();
    for (umask, page) in [("077", 0o600), ("022", 0o644)] {
        let script = format!("umask {umask}; \"$0\" metrics --file m.prom && \"$0\" stats --html s.html");
        let done = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_hookctl")])
            .current_dir(env.path())
            .env("HOOKCTL_DB", env.address())
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        let mode = |name: &str| fs::metadata(env.path().join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("m.prom"), mode("s.html")), (0o644, page), "umask {umask}");
    }
}

#[test]
fn the_database_is_refused_as_a_file_to_write_by_any_of_its_names() {
    only_on_files!();
    let env = made();
    symlink("hookctl.db", env.path().join("link")).unwrap();
    fs::hard_link(env.database(), env.path().join("second")).unwrap();
    fs::create_dir(env.path().join("folder")).unwrap();
    symlink("..", env.path().join("folder").join("up")).unwrap();
    let before = fs::read(env.database()).unwrap();
    for name in [
        "hookctl.db",
        "./hookctl.db",
        "folder/up/hookctl.db",
        "link",
        "second",
        "hookctl.db-wal",
        "hookctl.db-shm",
        "hookctl.db-journal",
    ] {
        for command in [["metrics", "--file"].as_slice(), &["stats", "--html"], &["db", "backup"]] {
            let run = env.hookctl(command.iter().copied()).arg(name).run().fails(2);
            assert!(run.err().contains("belongs to the database"), "{run:?}");
        }
    }
    // The database by a link: the file that it leads to is refused as well.
    for name in ["hookctl.db", "link", "hookctl.db-wal", "link-wal"] {
        env.hookctl(["metrics", "--file", name]).env("HOOKCTL_DB", env.path().join("link")).run().fails(2);
    }
    assert_eq!(fs::read(env.database()).unwrap(), before);
    env.hookctl(["metrics", "--file", "hookctl.db.prom"]).run().ok();
}

#[test]
fn what_is_no_regular_file_and_what_is_a_backup_is_not_replaced() {
    only_on_files!();
    let env = made();
    let fifo = env.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink("fifo", env.path().join("link")).unwrap();
    symlink("/proc/self/fd/1", env.path().join("stdout")).unwrap();
    symlink("stdout", env.path().join("twice")).unwrap();
    env.hookctl(["db", "backup", "copy.db"]).run().ok();
    let before = fs::read(env.path().join("copy.db")).unwrap();
    for command in [["metrics", "--file"], ["stats", "--html"]] {
        for name in ["fifo", "link", "stdout", "twice"] {
            let run = env.hookctl(command).arg(name).run().fails(2);
            assert!(run.err().contains("is not a regular file") && run.err().contains("hint:"), "{name}: {run:?}");
        }
        let run = env.hookctl(command).arg("copy.db").run().fails(2);
        assert!(run.err().contains("is a SQLite database"), "{run:?}");
    }
    assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
    assert!(["link", "stdout", "twice"].iter().all(|name| env.path().join(name).is_symlink()));
    assert_eq!(fs::read(env.path().join("copy.db")).unwrap(), before);
}

#[test]
fn a_missing_folder_is_named_and_no_temporary_file_is() {
    let env = made();
    let commands = [["metrics", "--file"], ["stats", "--html"], ["db", "backup"]];
    for command in commands.into_iter().filter(|command| command[0] != "db" || !env.is_on_server()) {
        let run = env.hookctl(command).arg("nodir/x").run().fails(1);
        assert!(run.err().contains("the folder 'nodir' does not exist") && run.err().contains("hint:"), "{run:?}");
        assert!(!run.err().contains(".hookctl-"), "{run:?}");
    }
}

//! The README's commands, run as they stand there.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Child, TestEnv};

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// The commands of the section with that heading: the lines of its code blocks.
fn commands(section: &str) -> Vec<String> {
    let text = readme();
    let start = text.find(&format!("## {section}\n")).expect("the section is there") + 3;
    let section = text[start..].split("\n## ").next().unwrap();
    let blocks = section.split("```").skip(1).step_by(2);
    let lines = blocks.flat_map(|block| block.lines().skip(1)).filter(|line| !line.trim().is_empty());
    lines.map(str::to_owned).collect()
}

/// One line of a shell, in the environment, with the binary under test as `hookctl`.
fn shell(env: &TestEnv, line: &str) -> Child {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_hookctl"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("sh");
    command.args(["-c", &format!("exec {line}")]).env_clear().current_dir(env.path()).stdout(Stdio::piped());
    command.env("PATH", path).env("HOME", env.path()).env("USER", "tester");
    Child::start(command, Vec::new())
}

#[test]
fn the_five_minutes_work_as_they_are_written() {
    let env = TestEnv::new();
    let lines = commands("In five minutes");
    let (listen, rest) = lines.split_first().unwrap();
    assert_eq!(listen, "hookctl listen --port 8000 --respond 500,500,200");
    // A test takes any free port; the rest is the README's own.
    let listener = shell(&env, &listen.replace("--port 8000", "--port 0"));
    let url = listener.wait_for_stderr("listening on ", Duration::from_secs(20));
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap().to_owned();
    let mut told = Vec::new();
    for line in rest {
        let line = line.replace(":8000/", &format!(":{port}/"));
        told.push(shell(&env, &line).wait_timeout(Duration::from_secs(20)).ok().text());
    }
    assert!(told[1].contains("retrying"), "the first attempt fails: {told:?}");
    let shown = told.last().unwrap();
    assert!(shown.contains("Attempt 3 (scheduled)") && shown.contains("Status:   success"), "{shown}");
    drop(listener);
    assert!(env.path().join(".local/share/hookctl/hookctl.db").exists(), "where the README says");
}

#[test]
fn the_crontab_line_is_silent_and_ends() {
    let env = TestEnv::new();
    let lines = commands("Retries from cron");
    let command = lines.iter().find_map(|line| line.strip_prefix("*/5 * * * * ")).unwrap();
    let service = lines.iter().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/")).unwrap();
    assert_eq!(command, service);
    let started = Instant::now();
    let run = shell(&env, command).wait_timeout(Duration::from_secs(20)).ok();
    assert_eq!((run.text().as_str(), run.err().as_str()), ("", ""));
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
fn the_two_commands_that_build_are_the_ones_that_are_promised() {
    let lines = commands("Try it");
    assert_eq!(lines, ["cargo run --release --locked -- demo", "cargo test --locked"]);
    let check = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.ci/run")).unwrap();
    assert!(check.contains("\ncargo test --locked"), "the check runs the tests by the same command");
}

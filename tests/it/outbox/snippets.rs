//! What docs/outbox.md shows of languages and libraries: each runs where this machine has it, and what it has not is told.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{App, subscribed};
use crate::support::{Child, Engine, TestEnv, TestReceiver, installed};

#[path = "../../../examples/outbox/with_rusqlite.rs"]
mod with_rusqlite;

const LIMIT: Duration = Duration::from_secs(60);

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/outbox").join(name)
}

/// Past what the test harness collects.
fn left_out(what: &str) {
    let _ = writeln!(std::io::stderr().lock(), "tests: {what} is not installed: its outbox is left out");
}

/// The first of these programs that runs this code.
fn with(programs: &[&'static str], option: &str, code: &str) -> Option<&'static str> {
    programs.iter().copied().find(|program| {
        let mut run = Command::new(program);
        run.args([option, code])
            .env("NODE_PATH", node_path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

fn python_with(module: &str) -> Option<&'static str> {
    let found = with(&["python3", "/usr/bin/python3"], "-c", &format!("import {module}"));
    if found.is_none() {
        left_out(module);
    }
    found
}

/// Where Debian puts libraries of Node, after those of the environment.
fn node_path() -> String {
    let own = std::env::var("NODE_PATH").unwrap_or_default();
    format!("{own}:/usr/share/nodejs")
}

/// Runs a program beside the application's database, then drains: one order, one event about it.
#[track_caller]
fn assert_emits(env: &TestEnv, receiver: &TestReceiver, app: &App, program: impl FnOnce()) {
    app.run("CREATE TABLE orders (id INTEGER PRIMARY KEY, total TEXT)");
    program();
    assert_eq!((app.count(), app.value("SELECT total FROM orders").as_str()), (1, "12.50"));
    let before = receiver.count();
    app.drain(env).ok();
    let request = receiver.requests().remove(before);
    let envelope = request.json();
    assert_eq!((&envelope["event_type"], &envelope["entity"]["id"]), (&"order.created".into(), &"7".into()));
    assert_eq!(envelope["data"], serde_json::json!({"id": 7, "total": "12.50"}));
    assert!(request.header("webhook-id").unwrap().starts_with("evt_"));
}

#[track_caller]
fn run(env: &TestEnv, program: &str, file: &str, app: &App) {
    let mut command = Command::new(program);
    command.arg(example(file)).current_dir(env.path()).stdout(Stdio::piped());
    command.env("NODE_PATH", node_path()).env("PYTHONDONTWRITEBYTECODE", "1");
    if let App::Server(server) = app {
        command.env("DATABASE_URL", server.url());
    }
    Child::start(command, Vec::new()).wait_timeout(LIMIT).ok();
}

#[track_caller]
fn on_a_file(program: &str, file: &str) {
    let (env, receiver) = subscribed();
    let app = App::file(&env);
    assert_emits(&env, &receiver, &app, || run(&env, program, file, &app));
}

#[track_caller]
fn on_a_server(program: &str, file: &str) {
    if !Engine::has_server() {
        return;
    }
    let (env, receiver) = subscribed();
    let app = App::server(&env, &[]);
    assert_emits(&env, &receiver, &app, || run(&env, program, file, &app));
}

#[test]
fn python_emits_by_sqlite3() {
    if let Some(python) = installed(&["python3"], "python3") {
        on_a_file(python, "plain_sqlite.py");
    }
}

#[test]
fn python_emits_by_psycopg() {
    if let Some(python) = python_with("psycopg") {
        on_a_server(python, "plain_psycopg.py");
    }
}

#[test]
fn python_emits_by_sqlalchemy() {
    if let Some(python) = python_with("sqlalchemy") {
        on_a_file(python, "with_sqlalchemy.py");
    }
}

#[test]
fn python_emits_by_django() {
    if let Some(python) = python_with("django") {
        on_a_file(python, "with_django.py");
    }
}

#[test]
fn node_emits_by_better_sqlite3() {
    // What is native in it is loaded with the first database.
    match with(&["node"], "-e", "require('better-sqlite3')(':memory:')") {
        Some(node) => on_a_file(node, "better_sqlite3.js"),
        None => left_out("better-sqlite3"),
    }
}

#[test]
fn node_emits_by_pg() {
    match with(&["node"], "-e", "require('pg')") {
        Some(node) => on_a_server(node, "node_pg.js"),
        None => left_out("pg of Node"),
    }
}

#[test]
fn rust_emits_by_rusqlite() {
    let (env, receiver) = subscribed();
    let app = App::file(&env);
    assert_emits(&env, &receiver, &app, || with_rusqlite::create_order(&mut app.connection()).unwrap());
}

#[test]
fn what_go_is_shown_compiles() {
    let Some(go) = installed(&["go"], "golang-go") else { return };
    let env = TestEnv::new();
    env.file("go.mod", "module example.com/outbox\n\ngo 1.18\n");
    std::fs::copy(example("go/outbox.go"), env.path().join("outbox.go")).unwrap();
    let mut command = Command::new(go);
    command.args(["vet", "."]).current_dir(env.path()).stdout(Stdio::piped());
    command.env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local").env("HOME", env.path()).env("GOPROXY", "off");
    Child::start(command, Vec::new()).wait_timeout(Duration::from_secs(300)).ok();
}

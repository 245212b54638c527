//! Which engine the tests of a run use: SQLite, or PostgreSQL with `HOOKCTL_TEST_ENGINE=postgres`.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;

use super::postgres::{Server, programs};

/// What keeps the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    File,
    Server,
}

/// Leaves a test out where the engine is a server: it is about the file itself, its modes, its journal, its copies.
macro_rules! only_on_files {
    () => {
        if $crate::support::Engine::of_run() == $crate::support::Engine::Server {
            return;
        }
    };
}

/// Leaves a test out where no server can be started, and says so once.
macro_rules! needs_postgres {
    () => {
        if !$crate::support::Engine::has_server() {
            return;
        }
    };
}

impl Engine {
    /// The engine that the environment chooses. The first test that asks says on the terminal what is left out.
    pub fn of_run() -> Engine {
        static CHOSEN: OnceLock<Engine> = OnceLock::new();
        *CHOSEN.get_or_init(|| match std::env::var("HOOKCTL_TEST_ENGINE").as_deref() {
            Err(_) | Ok("sqlite") => Engine::File,
            Ok("postgres") if programs().is_none() => {
                assert!(!is_checked(), "PostgreSQL is not installed; .ci/run should have done so");
                say("PostgreSQL is not installed (Debian's package is postgresql): all tests on it are left out");
                std::process::exit(0);
            }
            Ok("postgres") => {
                let version = Server::cluster().admin().value("SHOW server_version");
                let left_out = marked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it"));
                say(&format!("on PostgreSQL {version}; {left_out} tests that are about the file are left out"));
                Engine::Server
            }
            Ok(other) => panic!("HOOKCTL_TEST_ENGINE={other}: sqlite or postgres"),
        })
    }

    /// Whether this machine can start a server, whatever the engine of the run.
    pub fn has_server() -> bool {
        static FOUND: OnceLock<bool> = OnceLock::new();
        *FOUND.get_or_init(|| {
            let is_there = programs().is_some();
            if !is_there {
                assert!(!is_checked(), "PostgreSQL is not installed; .ci/run should have done so");
                say("PostgreSQL is not installed (Debian's package is postgresql): its tests are left out");
            }
            is_there
        })
    }
}

/// Where the project is checked (`.ci/run`) every program is there.
fn is_checked() -> bool {
    std::env::var_os("CI").is_some_and(|value| value == "true")
}

/// Past what the test harness collects of a test's output.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr().lock(), "tests: {line}");
}

/// How many tests are marked as being about the file.
fn marked(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let count = |path: std::path::PathBuf| match path.is_dir() {
        true => marked(&path),
        false => fs::read_to_string(path).unwrap().lines().filter(|line| line.trim() == "only_on_files!();").count(),
    };
    entries.map(count).sum()
}

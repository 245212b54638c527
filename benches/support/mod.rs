//! What the benchmarks share: a receiver in a process of its own, a database in a temporary folder, and figures of whole
//! processes as the operating system accounts them.

#[path = "../../tests/it/support/port.rs"]
#[allow(clippy::unwrap_used, reason = "it is made for tests")]
mod port;
pub mod receiver;
#[path = "../../tests/it/support/tls.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "it is made for tests, and a part is needed")]
mod tls;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub use port::closed_port;
pub use tls::Identity;
use wait4::Wait4;

/// The body of the benchmark events: with the envelope's other keys a payload of about 500 bytes.
pub const FILLER: usize = 340;

/// Finished deliveries, as a drain leaves them, written straight into the file.
const FILL: &str = "
    PRAGMA synchronous = OFF;
    PRAGMA cache_size = -500000;
    BEGIN;
    WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :count)
    INSERT INTO events (id, event_id, event_type, payload, fingerprint, entity_type, entity_id, key, created_at)
        SELECT i, printf('evt_%026d', i), 'invoice.paid', x'7b7d', randomblob(16), 'invoice', i % 100000,
            'customer-' || i % 10000, 1700000000000 + i FROM n;
    INSERT INTO deliveries (id, webhook_id, event_id, event_type, status, attempt_count, created_at, started_at,
            completed_at, duration_ms, response_status_code)
        SELECT id, 1, id, 'invoice.paid', 'success', 1, created_at, created_at, created_at, 3, 200 FROM events;
    INSERT INTO attempts (delivery_id, attempt_number, is_manual, started_at, completed_at, duration_ms,
            response_status_code, response_headers, response_body)
        SELECT id, 1, 0, created_at, created_at, 3, 200, '[]', x'6f6b' FROM deliveries;
    COMMIT;";

/// What one process used.
#[derive(Clone, Copy, Debug)]
pub struct Used {
    /// From start to exit.
    pub wall: Duration,
    /// User and system time.
    pub cpu: Duration,
    /// The largest resident set, in bytes.
    pub memory: u64,
}

/// A temporary folder with a database in it, unless that is elsewhere.
pub struct Bench {
    folder: tempfile::TempDir,
    address: Option<String>,
}

impl Bench {
    /// An empty one.
    pub fn new() -> Bench {
        Bench { folder: tempfile::tempdir().expect("a temporary folder"), address: None }
    }

    /// One whose database is on a server.
    pub fn at(address: String) -> Bench {
        Bench { address: Some(address), ..Bench::new() }
    }

    /// The database's path.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("hookctl.db")
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A command of hookctl on this database.
    pub fn hookctl(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookctl"));
        let address = self.address.as_ref().map_or_else(|| self.database().into(), std::ffi::OsString::from);
        command.env_clear().env("HOOKCTL_DB", address).env("PATH", "/usr/bin:/bin").args(arguments);
        command
    }

    /// Runs hookctl, which must succeed.
    pub fn run(&self, arguments: &[&str]) -> Used {
        measure(self.hookctl(arguments))
    }

    /// Makes a webhook that wants everything.
    pub fn webhook(&self, name: &str, url: &str, more: &[&str]) {
        let fixed = ["webhook", "create", name, "--url", url, "-e", "*", "--allow-private", "-q"];
        self.run(&[&fixed, more].concat());
    }

    /// Stores `count` events without sending them.
    pub fn enqueue(&self, count: usize) -> Used {
        let file = self.path("events.jsonl");
        write_events(&file, count);
        self.run(&["emit", "--batch", file.to_str().expect("UTF-8"), "--enqueue", "-q"])
    }

    /// Adds finished deliveries of 2023 to the webhook with id 1.
    pub fn fill_finished(&self, count: usize) {
        let connection = rusqlite::Connection::open(self.database()).expect("the database");
        connection.execute_batch(&FILL.replace(":count", &count.to_string())).expect("rows");
        drop(connection);
        self.size();
    }

    /// What the database takes on disk after a checkpoint, in bytes.
    pub fn size(&self) -> u64 {
        rusqlite::Connection::open(self.database())
            .and_then(|connection| connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())))
            .expect("a checkpoint");
        fs::metadata(self.database()).expect("the database").len()
    }
}

/// Writes `count` events, one a line.
pub fn write_events(file: &Path, count: usize) {
    let mut out = std::io::BufWriter::new(fs::File::create(file).expect("a file"));
    let filler = "x".repeat(FILLER);
    for number in 0..count {
        writeln!(out, r#"{{"type":"invoice.paid","data":{{"number":{number},"text":"{filler}"}}}}"#).expect("written");
    }
}

/// Runs a command, which must succeed, and tells what it used.
pub fn measure(mut command: Command) -> Used {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let started = Instant::now();
    let mut child = command.spawn().expect("the command starts");
    let ended = child.wait4().expect("the command ends");
    let wall = started.elapsed();
    assert!(ended.status.success(), "{command:?} ended with {}", ended.status);
    let usage = ended.rusage;
    Used { wall, cpu: usage.utime + usage.stime, memory: usage.maxrss }
}

/// The middle of several figures.
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// The figure that 99 of a hundred do not exceed.
pub fn p99(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() * 99 / 100]
}

/// How many rounds to run: `HOOKCTL_BENCH_ROUNDS`, or this many.
pub fn rounds(usual: usize) -> usize {
    number("HOOKCTL_BENCH_ROUNDS", usual)
}

/// A number from the environment.
pub fn number(variable: &str, usual: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// One line of the report: a figure, its target, and whether it is met.
pub fn report(what: &str, figure: f64, unit: &str, target: Target) {
    let (limit, is_met) = match target {
        Target::AtLeast(limit) => (format!("≥ {limit}"), figure >= limit),
        Target::AtMost(limit) => (format!("≤ {limit}"), figure <= limit),
        Target::None => ("—".to_owned(), true),
    };
    let mut line = String::new();
    let _ = write!(line, "{what:<58} {figure:>12.2} {unit:<14} {limit:<10}");
    println!("{line} {}", if is_met { "" } else { "MISSED" });
}

/// What a figure is held against.
#[derive(Clone, Copy, Debug)]
pub enum Target {
    /// Met from here up.
    AtLeast(f64),
    /// Met up to here.
    AtMost(f64),
    /// For information.
    None,
}

//! The steps that most tests of deliveries begin with, at times that a test counts in seconds.

use serde_json::Value;

use super::{Run, TestEnv};

/// The moment so many seconds after the tests' beginning of time, as `HOOKCTL_NOW` takes it.
pub fn second(seconds: i64) -> String {
    let start = chrono::DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap();
    (start + chrono::Duration::seconds(seconds)).to_rfc3339()
}

/// Seconds from the tests' beginning of time to a time of the JSON output.
#[track_caller]
pub fn seconds_of(time: &Value) -> f64 {
    let text = time.as_str().unwrap_or_else(|| panic!("not a time: {time}"));
    let start = chrono::DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap();
    let millis = (chrono::DateTime::parse_from_rfc3339(text).unwrap() - start).num_milliseconds();
    f64::from(i32::try_from(millis / 1_000).unwrap()) + f64::from(i32::try_from(millis % 1_000).unwrap()) / 1_000.0
}

impl TestEnv {
    /// Runs the binary at that second.
    #[track_caller]
    pub fn at(&self, seconds: i64, arguments: &[&str]) -> Run {
        self.hookctl(arguments).now(&second(seconds)).run()
    }

    /// Runs the binary at that second, well, and reads its JSON.
    #[track_caller]
    pub fn json_at(&self, seconds: i64, arguments: &[&str]) -> Value {
        self.hookctl(arguments).args(["-o", "json"]).now(&second(seconds)).run().ok().json()
    }

    /// Creates a webhook, at second 0, for every event unless the flags name some, with three retries within minutes unless
    /// they say otherwise.
    #[track_caller]
    pub fn create(&self, name: &str, url: &str, flags: &[&str]) {
        let create = self.hookctl(["webhook", "create", name, "--url", url]).args(flags.iter().copied());
        let create = if flags.contains(&"-e") { create } else { create.args(["-e", "*"]) };
        let retries = ["--retry-schedule", "--max-retries", "--retry-delay"];
        let is_given = flags.iter().any(|flag| retries.contains(flag));
        let create = if is_given { create } else { create.args(["--retry-schedule", "timetracker"]) };
        create.now(&second(0)).run().ok();
    }

    /// Emits an event with that id at that second and returns what became of its deliveries.
    #[track_caller]
    pub fn emit_at(&self, seconds: i64, event_id: &str) -> Value {
        self.json_at(seconds, &["emit", "task.created", "--event-id", event_id, "--data", "{}"])["deliveries"].take()
    }

    /// Stores so many events, `e-0001` and on, by one batch.
    #[track_caller]
    pub fn enqueue(&self, seconds: i64, count: usize) {
        self.enqueue_on(seconds, count, &[]);
    }

    /// The same with more flags.
    #[track_caller]
    pub fn enqueue_on(&self, seconds: i64, count: usize, flags: &[&str]) {
        let mut lines = String::new();
        for number in 1..=count {
            lines += &format!("{{\"type\":\"task.created\",\"event_id\":\"e-{number:04}\",\"data\":{number}}}\n");
        }
        let emit = self.hookctl(["emit", "--batch", "-", "--enqueue"]).args(flags.iter().copied());
        emit.stdin(lines).now(&second(seconds)).run().ok();
    }

    /// A webhook as `show` has it.
    #[track_caller]
    pub fn webhook_at(&self, seconds: i64, name: &str) -> Value {
        self.json_at(seconds, &["webhook", "show", name])
    }

    /// The deliveries by status: `pending 3, success 2`.
    #[track_caller]
    pub fn statuses(&self) -> String {
        let rows = self.sql("SELECT status, count(*) FROM deliveries GROUP BY status ORDER BY status");
        rows.iter().map(|row| row.join(" ")).collect::<Vec<_>>().join(", ")
    }
}

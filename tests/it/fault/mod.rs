//! What hookctl must come through, each fault really made: the promise is checked from what the receiver saw and what the file
//! holds. The short form runs with every `cargo test`; `HOOKCTL_TEST_LONG=1` runs ten times as much. A random test prints its
//! seed when it fails; `HOOKCTL_TEST_SEED` repeats it.

mod clock;
mod crash;
mod database;
mod disk;
mod files;
mod journal;
mod migrations;
mod overlap;
mod receiver_faults;
mod restore;
mod signals;
mod syscalls;
mod threads;
mod unrecorded;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use crate::support::{TestEnv, TestReceiver};

/// How long something may take that takes a moment on a machine with nothing else to do.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How much is done: 1, or 10 in the long form.
pub fn scale() -> usize {
    if std::env::var_os("HOOKCTL_TEST_LONG").is_some() { 10 } else { 1 }
}

/// Random numbers from a seed (`SplitMix64`), which is printed when the test fails.
pub struct Dice {
    seed: u64,
    state: u64,
}

impl Dice {
    pub fn new() -> Dice {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let seed = match std::env::var("HOOKCTL_TEST_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => u64::try_from(since_1970.as_micros()).unwrap(),
        };
        Dice { seed, state: seed }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % end
    }

    /// A time of up to `most`.
    pub fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(most.as_micros()).unwrap()))
    }
}

impl Drop for Dice {
    #[expect(clippy::print_stderr, reason = "the seed of a test that fails is for whoever reads its output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("repeat with HOOKCTL_TEST_SEED={}", self.seed);
        }
    }
}

/// A moment of a run with a fixed clock, `seconds` after the beginning of 2030.
pub fn moment(seconds: i64) -> String {
    let moment = chrono::DateTime::from_timestamp(1_893_456_000 + seconds, 0).unwrap();
    moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Makes webhooks of these names that send everything to the receiver, each to a path of its name.
pub fn subscribe(env: &TestEnv, receiver: &TestReceiver, names: &[&str], options: &[&str]) {
    for name in names {
        let url = receiver.url_at(&format!("/{name}"));
        let mut args = vec!["webhook", "create", name, "--url", &url, "-e", "*"];
        if !options.iter().any(|option| option.contains("retr")) {
            args.extend(["--retry-schedule", "timetracker"]);
        }
        env.hookctl(args).args(options.iter().copied()).run().ok();
    }
}

/// Lines of a batch with the event ids `PREFIX-1` to `PREFIX-COUNT`.
pub fn batch(prefix: &str, count: usize) -> String {
    let line = |number| format!("{{\"type\":\"invoice.paid\",\"event_id\":\"{prefix}-{number}\",\"data\":{{}}}}\n");
    (1..=count).map(line).collect()
}

/// How many requests came for each event at each path.
pub fn requests_by_event(receiver: &TestReceiver) -> HashMap<(String, String), usize> {
    let mut counts = HashMap::new();
    for request in receiver.requests() {
        let event = request.header("webhook-id").unwrap().to_owned();
        *counts.entry((request.path.clone(), event)).or_default() += 1;
    }
    counts
}

/// What must hold of the file whatever happened to it.
#[track_caller]
pub fn assert_whole(env: &TestEnv) {
    // A server keeps its own foreign keys.
    if !env.is_on_server() {
        assert_eq!(env.sql("PRAGMA integrity_check"), [["ok"]]);
        assert_eq!(env.sql("PRAGMA foreign_key_check"), Vec::<Vec<String>>::new());
    }
    let gaps = "SELECT d.id, d.attempt_count, count(a.id), max(a.attempt_number) FROM deliveries d
        LEFT JOIN attempts a ON a.delivery_id = d.id GROUP BY d.id
        HAVING d.attempt_count <> count(a.id) OR count(a.id) <> coalesce(max(a.attempt_number), 0)";
    assert_eq!(env.sql(gaps), Vec::<Vec<String>>::new(), "attempts are not contiguous");
    let truth =
        "SELECT w.name, count(d.id) + s.pruned_total, count(CASE d.status WHEN 'success' THEN 1 END) + s.pruned_successful,
            count(CASE d.status WHEN 'failed' THEN 1 END) + s.pruned_failed
        FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id
            LEFT JOIN deliveries d ON d.webhook_id = w.id AND NOT d.is_test GROUP BY w.id, s.webhook_id ORDER BY w.id";
    assert_eq!(counters(env), env.sql(truth), "counters do not tell the truth");
    let stuck = "SELECT id FROM deliveries WHERE (status IN ('pending', 'retrying')) <> (due_at IS NOT NULL)";
    assert_eq!(env.sql(stuck), Vec::<Vec<String>>::new(), "deliveries wait for ever, or are due for ever");
}

/// The counters of each webhook. A server has a part of them for each connection; the program adds them up.
#[track_caller]
fn counters(env: &TestEnv) -> Vec<Vec<String>> {
    if !env.is_on_server() {
        let counters = "SELECT name, total_deliveries, successful_deliveries, failed_deliveries
            FROM webhooks JOIN webhook_state ON webhook_id = id ORDER BY id";
        return env.sql(counters);
    }
    let list = env.hookctl(["webhook", "list", "-o", "json"]).run().ok().json();
    let keys = ["total_deliveries", "successful_deliveries", "failed_deliveries"];
    let mut rows: Vec<_> = list.as_array().unwrap().iter().collect();
    rows.sort_by_key(|webhook| webhook["id"].as_i64());
    let row = |webhook: &&serde_json::Value| {
        let name = webhook["name"].as_str().unwrap().to_owned();
        [vec![name], keys.map(|key| webhook[key].to_string()).to_vec()].concat()
    };
    rows.iter().map(row).collect()
}

/// How many rows a query counts.
#[track_caller]
pub fn count(env: &TestEnv, query: &str) -> usize {
    env.sql_value(query).parse().unwrap()
}

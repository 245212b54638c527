//! A kill, or an error, at each system call of a command: what was promised holds after each. The short form takes some of
//! the points, the long form all; each test tells how many there were.

mod points;
mod rekeying;

use std::cell::Cell;
use std::fs;
use std::path::Path;

use super::{Dice, moment, subscribe};
use crate::support::{Hookctl, Run, TestEnv, TestReceiver};
use points::{Fault, Point, can_trace, chosen, points};

/// More than a lease lasts, and a retry's delay.
const LATER: i64 = 600;
/// Points of each command in the short form.
const FEW: usize = 8;

/// What a world looks like before the command, and what must hold after it.
struct Trial<'a> {
    command: &'a [&'a str],
    /// The files that it starts from.
    before: &'a TestEnv,
    /// The file with the key of the database; empty for none.
    key: &'a str,
    check: &'a dyn Fn(&After<'_>) -> Vec<String>,
}

/// A world in which something happened to a command.
struct After<'a> {
    env: &'a TestEnv,
    run: &'a Run,
    point: &'a Point,
}

impl After<'_> {
    /// Runs a command at that many seconds, and adds a complaint when it does not end well.
    fn ok(&self, args: &[&str], seconds: i64, complaints: &mut Vec<String>) -> Option<Run> {
        let run = self.env.hookctl(args.iter().copied()).now(&moment(seconds)).run();
        if run.code == Some(0) {
            return Some(run);
        }
        complaints.push(format!("afterwards: {run:?}"));
        None
    }

    /// The command ended as a program should: by the kill, or with an exit code and a word.
    fn ended(&self) -> Vec<String> {
        let Run { code, signal, .. } = self.run;
        let is_right = match self.point.fault {
            Fault::Kill => *signal == Some(9) || *code == Some(0),
            // 127: the loader could not load a library, and the program did not begin.
            Fault::Error(_) => matches!(code, Some(0 | 1 | 2 | 5 | 75 | 127)),
        };
        let is_calm = !self.run.err().contains("panicked");
        if is_right && is_calm { Vec::new() } else { vec![format!("ended wrong: {:?}", self.run)] }
    }

    fn is_wal(&self) -> bool {
        self.env.sql_value("PRAGMA journal_mode") == "wal"
    }
}

#[expect(clippy::print_stdout, reason = "how much was done is for whoever reads the output")]
fn try_all(name: &str, trial: &Trial<'_>) {
    let baseline = copy_of(trial.before);
    let all = points(prepared(&baseline, trial), &baseline.path().join("trace"));
    let total = all.len();
    let mut dice = Dice::new();
    let chosen = chosen(all, FEW, &mut dice);
    let mut complaints = Vec::new();
    let mut killed = 0;
    for point in &chosen {
        let env = copy_of(trial.before);
        let run = point.inject(prepared(&env, trial)).run();
        killed += usize::from(run.signal == Some(9));
        let after = After { env: &env, run: &run, point };
        let found = after.ended().into_iter().chain((trial.check)(&after));
        complaints.extend(found.map(|complaint| format!("{point}: {complaint}")));
    }
    println!("{name}: {} of {total} points, {killed} kills, {} complaints", chosen.len(), complaints.len());
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
    assert!(total > 100 && killed > 0, "{total} points, {killed} kills");
}

fn prepared(env: &TestEnv, trial: &Trial<'_>) -> Hookctl {
    let command = env.hookctl(trial.command.iter().copied()).now(&moment(0));
    if trial.key.is_empty() { command } else { command.env("HOOKCTL_KEY_FILE", env.path().join(trial.key)) }
}

fn copy_of(before: &TestEnv) -> TestEnv {
    let env = TestEnv::new();
    for entry in fs::read_dir(before.path()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, env.path().join(path.file_name().unwrap())).unwrap();
    }
    env
}

/// Who sends everything to a receiver, and owes it these events.
fn owing(receiver: &TestReceiver, events: &[&str]) -> TestEnv {
    let env = TestEnv::new();
    subscribe(&env, receiver, &["crm"], &["--timeout", "5s", "--retry-delay", "60s"]);
    for id in events {
        env.hookctl(["emit", "invoice.paid", "--enqueue", "--event-id", id]).now(&moment(-60)).run().ok();
    }
    env
}

/// What must hold of events and deliveries after a command that sends, and after the drain that follows it.
fn check_deliveries(after: &After<'_>, receiver: &TestReceiver, before: usize, owed: &[&str]) -> Vec<String> {
    let mut complaints = Vec::new();
    let in_run = requests(receiver, before);
    after.ok(&["db", "check"], 0, &mut complaints);
    if let Fault::Error(_) = after.point.fault {
        let charged = "SELECT error_type || ': ' || error_message FROM attempts WHERE error_type IS NOT NULL";
        let charged = after.env.sql(charged);
        complaints.extend(charged.iter().map(|row| format!("charged to the receiver: {}", row[0])));
    }
    let drained = after.ok(&["drain"], LATER, &mut complaints);
    after.ok(&["db", "check"], LATER, &mut complaints);
    let rows = after.env.sql(
        "SELECT e.event_id, coalesce(d.status, 'none'), (SELECT count(*) FROM attempts a WHERE a.delivery_id = d.id)
         FROM events e LEFT JOIN deliveries d ON d.event_id = e.id",
    );
    let all = requests(receiver, before);
    let sent = |id: &str, requests: &[String]| requests.iter().filter(|sent| *sent == id).count();
    for row in &rows {
        let (id, status) = (row[0].as_str(), row[1].as_str());
        let (first, total) = (sent(id, &in_run), sent(id, &all));
        if drained.is_some() && status != "success" {
            complaints.push(format!("{id} is {status} after the drain"));
        }
        if first > 1 || total > 2 || total == 0 {
            complaints.push(format!("{id} was sent {first} times by the command, {total} in all"));
        }
        if row[2] != "1" {
            complaints.push(format!("{id} has {} attempts in its log", row[2]));
        }
    }
    for id in owed {
        if !rows.iter().any(|row| row[0] == *id) {
            complaints.push(format!("{id} is lost"));
        }
    }
    if !after.is_wal() {
        complaints.push("the write-ahead log is lost".to_owned());
    }
    complaints
}

/// The event ids of the requests that came since, in order.
fn requests(receiver: &TestReceiver, since: usize) -> Vec<String> {
    receiver.requests()[since..].iter().map(|request| request.header("webhook-id").unwrap().to_owned()).collect()
}

#[test]
fn at_each_call_of_emit_the_event_is_accepted_whole_or_not_at_all() {
    only_on_files!();
    if !can_trace() {
        return;
    }
    let receiver = TestReceiver::start(200);
    let before = owing(&receiver, &[]);
    let seen = Cell::new(1); // the run in which nothing happens has sent it
    let check = |after: &After<'_>| {
        let told_accepted =
            after.run.code == Some(0) || (after.run.code == Some(75) && after.run.err().contains("accepted"));
        // A result that cannot be recorded is told in its own words.
        let told_nothing =
            after.run.err().contains("nothing of this step was stored") && !after.run.err().contains("results of");
        let stored = after.env.sql("SELECT event_id FROM events").len();
        let mut complaints = Vec::new();
        if told_nothing && stored > 0 {
            complaints.push(format!("stored, and told otherwise: {:?}", after.run));
        }
        let owed: &[&str] = if told_accepted { &["e-1"] } else { &[] };
        complaints.extend(check_deliveries(after, &receiver, seen.get(), owed));
        seen.set(receiver.count());
        complaints
    };
    let command = ["emit", "invoice.paid", "--event-id", "e-1", "--data", "{}"];
    try_all("emit", &Trial { command: &command, before: &before, key: "", check: &check });
}

#[test]
fn at_each_call_of_drain_nothing_is_lost_charged_or_sent_twice() {
    only_on_files!();
    if !can_trace() {
        return;
    }
    let receiver = TestReceiver::start(200);
    let owed = ["e-1", "e-2", "e-3"];
    let before = owing(&receiver, &owed);
    let seen = Cell::new(owed.len());
    let check = |after: &After<'_>| {
        let complaints = check_deliveries(after, &receiver, seen.get(), &owed);
        seen.set(receiver.count());
        complaints
    };
    try_all("drain", &Trial { command: &["drain", "--concurrency", "2"], before: &before, key: "", check: &check });
}

#[test]
fn at_each_call_of_the_first_command_the_file_is_made_whole_by_the_next() {
    only_on_files!();
    if !can_trace() {
        return;
    }
    let before = TestEnv::new();
    let check = |after: &After<'_>| {
        let mut complaints = Vec::new();
        let create = ["webhook", "create", "next", "--url", "http://127.0.0.1:9/", "-e", "*"];
        after.ok(&create, 0, &mut complaints);
        after.ok(&["db", "check"], 0, &mut complaints);
        let names = names(after.env, &after.env.database());
        let expected: &[&str] = if after.run.code == Some(0) { &["first", "next"] } else { &["next"] };
        // A kill may come after the commit and before the word.
        if names != expected && !(after.run.code != Some(0) && names == ["first", "next"]) {
            complaints.push(format!("{names:?} are there"));
        }
        if !after.is_wal() {
            complaints.push("the write-ahead log is lost".to_owned());
        }
        complaints
    };
    let command = ["webhook", "create", "first", "--url", "http://127.0.0.1:9/", "-e", "*"];
    try_all("first creation", &Trial { command: &command, before: &before, key: "", check: &check });
}

#[test]
fn at_each_call_of_backup_the_copy_is_whole_or_not_there() {
    only_on_files!();
    if !can_trace() {
        return;
    }
    let before = TestEnv::new();
    create(&before, "old");
    let check = |after: &After<'_>| {
        let mut complaints = Vec::new();
        let copy = after.env.path().join("copy.db");
        after.ok(&["db", "check"], 0, &mut complaints);
        match copy.exists() {
            true => {
                after.ok(&["--db", "copy.db", "db", "check"], 0, &mut complaints);
                if names(after.env, &copy) != ["old"] {
                    complaints.push("the copy is not the database".to_owned());
                }
            }
            false if after.run.code == Some(0) => complaints.push("no copy was made, and it ended with 0".to_owned()),
            false => {}
        }
        after.ok(&["db", "backup", "next.db"], 0, &mut complaints);
        complaints.extend(strays(after, &["hookctl.db", "copy.db", "next.db"]));
        complaints
    };
    try_all("backup", &Trial { command: &["db", "backup", "copy.db"], before: &before, key: "", check: &check });
}

#[test]
fn an_emit_that_is_delivered_costs_three_fsyncs_and_one_in_eight_writes_the_log_back() {
    only_on_files!();
    if !can_trace() {
        return;
    }
    let receiver = TestReceiver::start(200);
    let env = owing(&receiver, &[]);
    let fsyncs = |number: usize| {
        let trace = env.path().join(format!("trace-{number}"));
        let strace = ["strace", "-f", "-qq", "-e", "trace=fsync,fdatasync", "-o", trace.to_str().unwrap()];
        env.hookctl(["emit", "invoice.paid"]).under(&strace).run().ok();
        fs::read_to_string(trace).unwrap().matches("sync(").count()
    };
    let each: Vec<usize> = (0..12).map(fsyncs).collect();
    // The first makes the log; the event and its result are a commit each, and the folder is the third.
    assert!(each.iter().filter(|count| **count == 3).count() >= 8, "{each:?}");
    assert!(each.iter().all(|count| *count <= 5), "{each:?}");
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE status = 'success'"), "12");
}

#[test]
fn at_each_call_of_restore_the_database_is_the_old_one_or_the_new_one() {
    only_on_files!();
    if !can_trace() {
        return;
    }
    let before = TestEnv::new();
    create(&before, "new");
    before.hookctl(["db", "backup", "copy.db"]).now(&moment(-60)).run().ok();
    before.hookctl(["webhook", "delete", "new", "--yes"]).now(&moment(-60)).run().ok();
    create(&before, "old");
    let check = |after: &After<'_>| {
        let mut complaints = Vec::new();
        after.ok(&["db", "check"], 0, &mut complaints);
        let found = names(after.env, &after.env.database());
        if found != ["new"] && (after.run.code == Some(0) || found != ["old"]) {
            complaints.push(format!("the database holds {found:?}"));
        }
        after.ok(&["webhook", "update", &found.concat(), "--timeout", "7s"], 0, &mut complaints);
        if !after.is_wal() {
            complaints.push("the write-ahead log is lost".to_owned());
        }
        after.ok(&["db", "restore", "copy.db", "--yes"], 60, &mut complaints);
        complaints.extend(strays(after, &["hookctl.db", "copy.db"]));
        complaints
    };
    try_all(
        "restore",
        &Trial { command: &["db", "restore", "copy.db", "--yes"], before: &before, key: "", check: &check },
    );
}

fn create(env: &TestEnv, name: &str) {
    env.hookctl(["webhook", "create", name, "--url", "http://127.0.0.1:9/", "-e", "*"]).now(&moment(-60)).run().ok();
}

/// The names of the webhooks in a file.
fn names(env: &TestEnv, database: &Path) -> Vec<String> {
    let run = env.hookctl(["webhook", "list", "-o", "json"]).env("HOOKCTL_DB", database).run();
    let rows = if run.code == Some(0) { run.json() } else { return vec![format!("{run:?}")] };
    let mut names: Vec<String> =
        rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

/// Files that nobody asked for. What restore keeps beside the database, and what SQLite does, is no stray.
fn strays(after: &After<'_>, known: &[&str]) -> Vec<String> {
    let entries = fs::read_dir(after.env.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let is_known = |name: &str| {
        let name = ["-wal", "-shm", "-journal"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        known.contains(&name) || name.starts_with("hookctl.db.bak-")
    };
    let names = entries.map(|name| name.into_string().unwrap());
    names.filter(|name| !is_known(name)).map(|name| format!("left behind: {name}")).collect()
}

//! What scripts are told without having to guess: whole lists, rejected lines, what was not delivered, what was made.

use std::time::Duration;

use crate::support::{TestEnv, TestReceiver, closed_port};

const START: &str = "2026-11-25T12:00:00Z";

/// A webhook with so many deliveries that wait.
fn with_deliveries(count: usize) -> TestEnv {
    let env = TestEnv::new();
    env.create("crm", "http://127.0.0.1:9/", &[]);
    env.enqueue(1, count);
    env
}

#[test]
fn a_list_for_programs_is_whole_and_one_that_is_cut_says_how_many_there_are() {
    let env = with_deliveries(143);
    for list in ["delivery", "event"] {
        let run = |more: &[&str]| env.hookctl([&[list, "list"], more].concat()).run().ok();
        assert_eq!(run(&["-o", "json"]).json().as_array().unwrap().len(), 143);
        assert_eq!(run(&["-o", "jsonl"]).jsonl().len(), 143);
        assert_eq!(run(&["-o", "csv"]).text().lines().count(), 144);
        assert_eq!(run(&["-o", "jsonl", "--limit", "7"]).jsonl().len(), 7);
        let table = run(&[]);
        assert_eq!(table.text().lines().count(), 51);
        assert!(table.err().starts_with("note: 50 of 143 shown; "), "{table:?}");
        assert!(run(&["--limit", "100"]).err().starts_with("note: 100 of 143 shown; "));
        assert_eq!(run(&["-q"]).err(), "");
        for whole in ["all", "143", "200"] {
            let table = run(&["--limit", whole]);
            assert_eq!((table.text().lines().count(), table.err().as_str()), (144, ""), "{whole}");
        }
    }
    let filtered = env.hookctl(["delivery", "list", "--status", "success"]).run().ok();
    assert!(!filtered.err().contains(" of "), "{filtered:?}");
}

#[test]
fn the_list_of_webhooks_says_how_many_there_are_too() {
    let env = TestEnv::new();
    for number in 0..4 {
        env.create(&format!("w{number}"), "http://127.0.0.1:9/", &["-e", if number == 0 { "a.b" } else { "*" }]);
    }
    let list = |more: &[&str]| env.hookctl([&["webhook", "list"], more].concat()).run().ok();
    assert!(list(&["--limit", "2"]).err().starts_with("note: 2 of 4 shown; "));
    assert!(list(&["--limit", "2", "--type", "c.d"]).err().starts_with("note: 2 of 3 shown; "));
    assert_eq!(list(&["--limit", "4"]).err(), "");
    assert_eq!(list(&["--limit", "2", "-o", "json"]).err(), "");
}

#[test]
fn a_long_count_ends_early() {
    let env = with_deliveries(2);
    env.sql_write(
        "INSERT INTO events (event_id, event_type, payload, fingerprint, created_at)
         SELECT a.name || b.name || c.name, 'a.b', payload, fingerprint, 0
         FROM events, event_types a, event_types b, (SELECT name FROM event_types LIMIT 5) c
         WHERE events.id = (SELECT min(id) FROM events)",
    );
    let run = env.hookctl(["event", "list"]).run().ok();
    assert!(run.err().starts_with("note: 50 of more than 10000 shown; "), "{run:?}");
}

#[test]
fn a_date_is_midnight_utc() {
    let env = TestEnv::new();
    for (time, id) in [("2026-11-24T23:59:59.999Z", "before"), ("2026-11-25T00:00:00Z", "midnight"), (START, "noon")] {
        env.hookctl(["emit", "task.created", "--data", "{}", "--event-id", id]).now(time).run().ok();
    }
    let ids = |more: &[&str]| {
        let rows = env.hookctl([&["event", "list", "-o", "jsonl"], more].concat()).env("TZ", "America/New_York");
        rows.now(START)
            .run()
            .ok()
            .jsonl()
            .iter()
            .map(|row| row["event_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&["--since", "2026-11-25"]), ["noon", "midnight"]);
    assert_eq!(ids(&["--until", "2026-11-25"]), ["before"]);
    env.hookctl(["event", "list", "--since", "2026-11-31"]).run().fails(2);
    env.hookctl(["event", "list", "--since", "20261125"]).now(START).run().ok();
}

#[test]
fn rejected_lines_are_told_with_quiet_too_and_end_in_65() {
    let receiver = TestReceiver::start([200, 500]);
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &[]);
    let batch = |lines: &str, more: &[&str]| {
        env.hookctl([&["emit", "--batch", "-", "-q"], more].concat()).stdin(lines.to_owned()).run()
    };
    let good = r#"{"type":"task.created","data":{}}"#;
    let run = batch(&format!("{good}\nnot json\n"), &[]).fails(65);
    assert!(run.err().starts_with("warning: line 2 rejected: "), "{run:?}");
    assert_eq!(env.statuses(), "success 1", "the other line was taken");
    let run = batch(&format!("{{}}\n{good}\n"), &["--strict"]).fails(65);
    assert!(run.err().starts_with("warning: line 1 rejected: "), "it wins over 5\n{run:?}");
    let run = batch("[]\n", &["--enqueue", "-o", "json"]).fails(65);
    assert_eq!(run.json()["rejected"], 1);
    batch(&format!("{good}\n"), &["--enqueue"]).ok();
}

#[test]
fn strict_means_that_every_delivery_ended_in_success() {
    let (good, bad) = (TestReceiver::start(200), TestReceiver::start(500));
    let env = TestEnv::new();
    let emit = |id: &str, more: &[&str]| {
        env.hookctl([&["emit", "task.created", "--data", "{}", "--strict", "--event-id", id], more].concat()).run()
    };
    emit("nobody", &[]).fails(5);
    env.create("good", &good.url(), &[]);
    emit("one", &[]).ok();
    env.create("bad", &bad.url(), &["-e", "task.*", "--max-retries", "0"]);
    emit("two", &[]).fails(5);
    // A duplicate is judged by what became of it.
    emit("one", &[]).ok();
    emit("two", &[]).fails(5);
    emit("nobody", &[]).fails(5);
    let run = emit("three", &["--enqueue"]).fails(2);
    assert!(run.err().contains("--strict") && run.err().contains("--enqueue"), "{run:?}");
    assert_eq!(env.sql_value("SELECT count(*) FROM events WHERE event_id = 'three'"), "0");
}

#[test]
fn strict_judges_a_batch_line_by_line() {
    let (good, bad) = (TestReceiver::start(200), TestReceiver::start(500));
    let env = TestEnv::new();
    env.create("good", &good.url(), &["-e", "task.*"]);
    env.create("bad", &bad.url(), &["-e", "invoice.*", "--max-retries", "0"]);
    let batch = |ids: &[(&str, &str)]| {
        let line = |(event_type, id): &(&str, &str)| {
            format!("{{\"type\":\"{event_type}\",\"event_id\":\"{id}\",\"data\":1}}\n")
        };
        let lines: String = ids.iter().map(line).collect();
        env.hookctl(["emit", "--batch", "-", "--strict"]).stdin(lines).run()
    };
    batch(&[("task.created", "a"), ("task.updated", "b")]).ok();
    batch(&[("task.created", "c"), ("client.created", "d")]).fails(5);
    batch(&[("task.created", "e"), ("invoice.paid", "f")]).fails(5);
    batch(&[("task.created", "a"), ("task.created", "e")]).ok();
    batch(&[("invoice.paid", "f")]).fails(5);
    // A line that says again what an earlier line said goes by how that ended.
    batch(&[("task.created", "g"), ("task.created", "g")]).ok();
    batch(&[("invoice.paid", "h"), ("invoice.paid", "h")]).fails(5);
}

#[test]
fn a_database_that_was_made_is_told_with_quiet_too() {
    let env = TestEnv::new();
    let emit = |more: &[&str]| env.hookctl([&["emit", "task.created", "--enqueue", "-q"], more].concat()).run().ok();
    let other = env.path().join("mistyped.db");
    let first = emit(&["--db", other.to_str().unwrap()]);
    assert_eq!(first.err(), format!("made {}\n", other.display()));
    assert_eq!(emit(&["--db", other.to_str().unwrap()]).err(), "");
    let run = env.hookctl(["drain", "-q", "-o", "json"]).run().ok();
    let made = if env.is_on_server() { String::new() } else { format!("made {}\n", env.database().display()) };
    assert_eq!(run.err(), made);
    run.json();
    env.hookctl(["webhook", "list", "--db", "none.db"]).run().ok();
    assert!(!env.path().join("none.db").exists());
}

#[test]
fn a_database_that_is_not_there_does_not_look_like_one_where_all_is_well() {
    only_on_files!();
    let env = TestEnv::new();
    let place = env.database().display().to_string();
    for args in [&["webhook", "list"][..], &["delivery", "list"], &["stats"], &["export"], &["drain", "--dry-run"]] {
        let run = env.hookctl(args.iter().copied()).run().ok();
        assert!(run.err().contains(&format!("note: there is no database at {place} yet")), "{args:?}: {run:?}");
        assert_eq!(env.hookctl(args.iter().copied()).arg("-q").run().ok().err(), "");
    }
    assert!(env.hookctl(["status"]).run().ok().text().contains(&format!("there is none at {place}")));
    let check = env.hookctl(["db", "check"]).run().fails(1);
    assert!(check.err().starts_with(&format!("error: there is no database at {place}\n")), "{check:?}");
    assert!(!env.database().exists());
}

#[test]
fn a_drain_says_of_what_it_does_not_send_why_and_what_sends_it() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for (name, options) in [("off", &[][..]), ("my hook", &[]), ("rated", &["--rate-limit", "1/h"])] {
        env.create(name, &receiver.url(), options);
    }
    env.enqueue(0, 3);
    env.at(0, &["webhook", "disable", "off"]).ok();
    env.at(0, &["webhook", "pause", "my hook"]).ok();
    let drained = env.at(0, &["drain"]).ok();
    assert!(drained.err().starts_with("1 attempted") && drained.err().contains("; 2 held back"), "{drained:?}");
    let idle = "note: my hook: 3 not sent: it is paused; `hookctl webhook resume 'my hook'`\n\
        note: off: 3 not sent: it is disabled; `hookctl webhook enable off`\n";
    assert!(
        drained.err().ends_with(&format!("note: rated: 2 not sent: its rate limit is used up\n{idle}")),
        "{drained:?}"
    );
    assert!(env.at(0, &["drain", "--dry-run"]).ok().err().contains(idle));
    let retried = env.at(0, &["delivery", "retry", "-w", "my hook", "--status", "pending", "--yes"]);
    assert!(retried.err().contains("my hook: 3 not sent: it is paused"), "{retried:?}");
}

#[test]
fn a_secret_given_as_an_argument_is_refused_with_the_ways_to_give_it() {
    let run =
        TestEnv::new().hookctl(["webhook", "create", "crm", "--url", "http://x/", "--secret", "abc"]).run().fails(2);
    assert!(run.err().contains("--secret-env, --secret-file or --secret-stdin") && !run.err().contains("no-secret"));
}

#[test]
fn a_rotation_that_a_scheme_cannot_overlap_warns() {
    let env = TestEnv::new();
    env.create("both", "http://127.0.0.1:9/", &[]);
    env.create("lists", "http://127.0.0.1:9/", &["--signature", "standard"]);
    let rotate = |more: &[&str]| env.hookctl([&["webhook", "secret", "rotate"], more].concat()).run().ok().err();
    let told = rotate(&["both"]);
    assert!(told.starts_with("warning: a header of timetracker holds one signature"), "{told}");
    assert_eq!(rotate(&["lists"]), "");
    let shown = |name: &str| env.hookctl(["webhook", "show", name]).run().ok().text();
    assert!(shown("lists").contains("Old secret until"), "{}", shown("lists"));
    assert_eq!(rotate(&["both", "--overlap", "0"]), "", "no overlap was asked for");
    assert!(!shown("both").contains("Old secret"), "{}", shown("both"));
}

#[test]
fn a_check_of_a_receiver_that_refuses_everything_warns() {
    let receiver = TestReceiver::start(502);
    let env = TestEnv::new();
    env.create("crm", &receiver.url(), &[]);
    env.create("other", &TestReceiver::start(200).url(), &["-e", "other.*", "--owner", "acme"]);
    let check = |more: &[&str]| env.hookctl([&["check"], more].concat()).now("2026-01-01T00:30:00Z").run();
    assert!(check(&[]).ok().text().starts_with("OK - "));
    env.emit_at(60, "one");
    let run = check(&[]).fails(1);
    assert!(run.text().starts_with("WARNING - failing: crm, "), "{run:?}");
    assert!(check(&["--owner", "acme"]).ok().text().starts_with("OK - "));
    let run = check(&["--since", "10m"]).fails(1);
    assert!(!run.text().contains("failing"), "the failure was before, and its retry is due\n{run:?}");
}

#[test]
fn a_wrong_command_line_of_check_is_unknown_to_a_monitor() {
    let env = TestEnv::new();
    let cases: [&[&str]; 5] = [
        &["check", "--max-failed", "x"],
        &["check", "--max-lagg", "1m"],
        &["-o", "json", "check", "more"],
        &["--db", "x.db", "check", "--since", "yesterday"],
        &["check", "-o", "xml"],
    ];
    for arguments in cases {
        let run = env.hookctl(arguments.iter().copied()).time_limit(Duration::from_secs(20)).run().fails(3);
        assert!(run.text().to_lowercase().contains("unknown"), "{run:?}");
    }
    let run = env.hookctl(["check"]).env("HOOKCTL_NOW", "soon").run().fails(3);
    assert!(run.text().starts_with("UNKNOWN - HOOKCTL_NOW: "), "{run:?}");
    env.hookctl(["check", "--help"]).run().ok();
}

#[test]
fn one_name_means_event_types_in_every_list() {
    let env = TestEnv::new();
    env.create("crm", &format!("http://{}/", closed_port()), &[]);
    env.enqueue(1, 2);
    for list in ["delivery", "event", "webhook"] {
        for name in ["--type", "--event", "--event-type"] {
            let rows = env.hookctl([list, "list", name, "task.created", "-o", "jsonl"]).run().ok().jsonl();
            assert!(!rows.is_empty(), "{list} {name}");
        }
        let help = env.hookctl([list, "list", "--help"]).run().ok().text();
        assert!(
            help.contains("--type <TYPE>") && !help.contains("--event-type") && !help.contains("--event "),
            "{help}"
        );
    }
}

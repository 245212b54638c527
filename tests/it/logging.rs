//! The log of a run on stderr: -v, -vv, `HOOKCTL_LOG_FORMAT=json`, `drain --watch`, and the units that log so.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Run, TestEnv, TestReceiver, closed_port, installed};

const PATIENCE: Duration = Duration::from_secs(30);

/// Three webhooks that want everything: one answers 200, one 503, one refuses connections.
fn three() -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200).on("/busy", 503));
    let dead = format!("http://{}/", closed_port());
    for (name, url) in [("good one", &receiver.url()), ("busy", &receiver.url_at("/busy")), ("dead", &dead)] {
        env.hookctl(["webhook", "create", name, "--url", url, "-e", "invoice.*"]).run().ok();
    }
    (env, receiver)
}

/// The lines of that message, by their webhook's name.
fn lines<'a>(run: &'a str, message: &str, webhook: &str) -> Vec<&'a str> {
    let is_meant = |line: &&str| line.contains(&format!("Z {message} ")) && line.contains(webhook);
    run.lines().filter(is_meant).collect()
}

#[track_caller]
fn objects(run: &Run) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{run:?}"));
    run.err().lines().map(parse).collect()
}

#[test]
fn each_attempt_is_one_line_with_time_delivery_webhook_type_number_result_and_duration() {
    let (env, _receiver) = three();
    let emit = ["emit", "invoice.paid", "--event-id", "evt-1", "--color", "always", "-v"];
    let run = env.hookctl(emit).env("CLICOLOR_FORCE", "1").run().ok();
    let log: String = run.err().lines().filter(|line| line.contains("Z attempt ")).collect::<Vec<_>>().join("\n");
    assert!(!log.contains('\u{1b}'), "a line of the log has no colour: {run:?}");
    for (webhook, result) in [
        ("webhook=\"good one\"", "result=success status_code=200"),
        ("webhook=busy", "result=http_error status_code=503"),
        ("webhook=dead", "result=connection_error error=\""),
    ] {
        let found = lines(&log, "attempt", webhook);
        let [line] = found[..] else { panic!("one line for {webhook}: {run:?}") };
        let time = line.split(' ').next().unwrap();
        assert!(time.starts_with("20") && time.ends_with('Z') && time.len() == 24, "{line}");
        let parts =
            ["delivery=", webhook, "event_type=invoice.paid", "event_id=evt-1", "attempt=1", result, "duration_ms="];
        let mut rest = line;
        for part in parts {
            rest = rest.split_once(part).unwrap_or_else(|| panic!("no {part} in its place: {line}")).1;
        }
    }
    assert!(!run.err().contains(" claim ") && !run.err().contains(" connection "), "that is for -vv: {run:?}");
    for quiet in [&["-q", "-v"][..], &[]] {
        let run = env.hookctl(["emit", "invoice.paid"]).args(quiet.iter().copied()).run().ok();
        assert!(!run.err().contains(" attempt "), "{run:?}");
    }
}

#[test]
fn twice_v_adds_claims_look_ups_and_connections_and_json_makes_each_line_an_object() {
    let (env, receiver) = three();
    let named = format!("http://localhost:{}/?key=MARK-query", receiver.address().port());
    let secret = ["--secret-env", "SECRET", "-H", "Authorization: Bearer MARK-header"];
    let create = ["webhook", "create", "named", "-e", "invoice.*", "--url", &named];
    env.hookctl(create).args(secret).env("SECRET", "MARK-secret").run().ok();
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();

    let run = env.hookctl(["drain", "-vv"]).env("HOOKCTL_LOG_FORMAT", "json").run().ok();
    assert!(!run.err().contains("MARK"), "{run:?}");
    let log = objects(&run);
    let of = |message: &str| log.iter().filter(|entry| entry["message"] == message).collect::<Vec<_>>();
    assert_eq!((of("attempt").len(), of("claim").len()), (4, 4), "{run:?}");
    for entry in of("attempt") {
        assert_eq!((&entry["level"], &entry["event_type"]), (&"info".into(), &"invoice.paid".into()), "{entry}");
        for number in ["delivery", "attempt", "duration_ms"] {
            assert!(entry[number].is_u64(), "{number}: {entry}");
        }
        assert!(entry["time"].as_str().is_some_and(|time| time.len() == 24), "{entry}");
    }
    let busy = of("attempt").into_iter().find(|entry| entry["webhook"] == "busy").unwrap();
    assert_eq!((&busy["result"], &busy["status_code"]), (&"http_error".into(), &503.into()));
    assert_eq!(of("look-up")[0]["host"], "localhost");
    let address = receiver.address().to_string();
    assert!(of("connection").iter().any(|entry| entry["address"] == address.as_str()), "{run:?}");
    assert!(of("connection").iter().any(|entry| entry["error"].is_string()), "that of the dead one: {run:?}");
    assert!(log.iter().any(|entry| entry["message"].as_str().unwrap().contains("4 attempted")), "{run:?}");

    let fails = |format| env.hookctl(["drain", "-w", "nobody", "-v"]).env("HOOKCTL_LOG_FORMAT", format).run();
    let refused = objects(&fails("json").fails(3));
    let error = refused.iter().find(|entry| entry["level"] == "error").unwrap();
    assert!(error["message"].as_str().unwrap().contains("nobody"), "{error}");
    assert!(fails("text").fails(3).err().contains("error: "), "and for people a line");
    let wrong = objects(&env.hookctl(["drain", "--nonsense"]).env("HOOKCTL_LOG_FORMAT", "json").run().fails(2));
    assert_eq!(wrong[0]["level"], "error", "{wrong:?}");
    assert!(wrong[0]["message"].as_str().unwrap().contains("--nonsense"), "{wrong:?}");
    assert!(fails("xml").fails(2).err().contains("HOOKCTL_LOG_FORMAT"), "with the values that it takes");
}

#[test]
fn a_drain_that_watches_logs_each_attempt_without_being_asked_unless_it_is_told_not_to() {
    let (env, receiver) = three();
    let watch = |options: &[&str], log: Option<&str>| {
        let drain = env.hookctl(["drain", "--watch", "50ms"]).args(options.iter().copied());
        let drain = log.into_iter().fold(drain, |drain, log| drain.env("HOOKCTL_LOG", log)).spawn();
        let before = receiver.count();
        env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
        receiver.wait_for(before + 1, PATIENCE);
        drain
    };
    let drain = watch(&[], None);
    drain.wait_for_stderr("webhook=\"good one\"", PATIENCE);
    drain.signal("TERM");
    let run = drain.wait_timeout(PATIENCE).fails(143);
    assert_eq!(lines(&run.err(), "attempt", "webhook=\"good one\"").len(), 1, "{run:?}");
    assert!(!run.err().contains('\u{1b}'), "{run:?}");
    for (options, log) in [(&["-q"][..], None), (&[], Some("off"))] {
        let drain = watch(options, log);
        drain.signal("TERM");
        let run = drain.wait_timeout(PATIENCE).fails(143);
        assert!(!run.err().contains(" attempt "), "{run:?}");
    }
}

#[test]
fn the_image_and_the_unit_that_watches_log_attempts_and_the_units_are_sound() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let image = file("Dockerfile");
    assert!(image.contains("HOOKCTL_LOG_FORMAT=json") && image.contains("CMD [\"drain\", \"--watch\", \"-v\"]"));
    assert!(
        file("packaging/systemd/hookctl-watch.service").contains("\nExecStart=/usr/bin/hookctl drain --watch -v\n")
    );
    let manifest = file("Cargo.toml");
    for unit in ["hookctl-drain", "hookctl-watch"] {
        assert!(manifest.contains(&format!("unit-name = \"{unit}\"")), "the package has {unit}");
    }
    // It looks whether the program is there; the package is not installed here.
    let env = TestEnv::new();
    let units = ["hookctl-drain.service", "hookctl-watch.service", "hookctl-drain.timer"];
    let units = units.map(|name| {
        let unit = file(&format!("packaging/systemd/{name}"));
        env.file(name, unit.replace("/usr/bin/hookctl", env!("CARGO_BIN_EXE_hookctl")))
    });
    if installed(&["systemd-analyze"], "systemd").is_none() {
        return;
    }
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(units).output().unwrap();
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && told.is_empty(), "{told}");
}

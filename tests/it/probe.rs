//! `probe`: what a receiver must do, and what each kind of wrong receiver is found by.

use std::fs;

use serde_json::Value;

use crate::support::{Fault, Reply, Run, TestEnv, TestReceiver, closed_port, installed, verifying};

const SECRET: &str = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ=";

/// The checks, in their order.
const CHECKS: [&str; 17] = [
    "valid",
    "missing",
    "wrong",
    "other-secret",
    "changed-body",
    "changed-id",
    "changed-timestamp",
    "too-old",
    "from-future",
    "raw-bytes",
    "rotation",
    "wrong-is-4xx",
    "large-body",
    "empty-body",
    "content-type",
    "answer-time",
    "duplicate",
];

/// What no scheme of the matrix that lacks it can say.
fn not_judged(scheme: &str) -> Vec<&'static str> {
    let mut names = Vec::new();
    if scheme != "standard" {
        names.push("changed-id");
    }
    if ["timetracker", "github"].contains(&scheme) {
        names.extend(["changed-timestamp", "too-old", "from-future"]);
    }
    if !["standard", "stripe"].contains(&scheme) {
        names.push("rotation");
    }
    names
}

/// The checks that a fault must fail, where the scheme can say them.
fn found_by(fault: Fault) -> &'static [&'static str] {
    match fault {
        Fault::None => &[],
        Fault::ChecksNothing => &[
            "missing",
            "wrong",
            "other-secret",
            "changed-body",
            "changed-id",
            "changed-timestamp",
            "too-old",
            "from-future",
            "wrong-is-4xx",
        ],
        Fault::TakesWhatIsUnsigned => &["missing"],
        Fault::TakesEverySignature => &["wrong", "other-secret", "changed-body", "changed-id", "changed-timestamp"],
        Fault::TakesTheIdFromTheBody => &["changed-id"],
        Fault::IgnoresTheTime => &["too-old", "from-future"],
        Fault::TakesTheFuture => &["from-future"],
        Fault::ReadsTheJson => &["raw-bytes"],
        Fault::KnowsOneSignature => &["rotation"],
        Fault::Answers500 | Fault::Fails500OnMalformed => &["wrong-is-4xx"],
        Fault::LimitsBodiesTo64KiB => &["large-body"],
        Fault::Fails500OnEmpty => &["empty-body"],
        Fault::WantsJson => &["content-type"],
        Fault::IsSlowOnce => &["answer-time"],
        Fault::HandlesEachTime => &["duplicate"],
    }
}

const FAULTS: [Fault; 16] = [
    Fault::None,
    Fault::ChecksNothing,
    Fault::TakesWhatIsUnsigned,
    Fault::TakesEverySignature,
    Fault::TakesTheIdFromTheBody,
    Fault::IgnoresTheTime,
    Fault::TakesTheFuture,
    Fault::ReadsTheJson,
    Fault::KnowsOneSignature,
    Fault::Answers500,
    Fault::Fails500OnMalformed,
    Fault::LimitsBodiesTo64KiB,
    Fault::Fails500OnEmpty,
    Fault::WantsJson,
    Fault::IsSlowOnce,
    Fault::HandlesEachTime,
];

#[test]
fn a_receiver_of_timetracker_fails_exactly_what_it_does_wrong() {
    matrix("timetracker");
}

#[test]
fn a_receiver_of_standard_fails_exactly_what_it_does_wrong() {
    matrix("standard");
}

#[test]
fn a_receiver_of_github_fails_exactly_what_it_does_wrong() {
    matrix("github");
}

#[test]
fn a_receiver_of_stripe_fails_exactly_what_it_does_wrong() {
    matrix("stripe");
}

#[test]
fn a_receiver_of_slack_fails_exactly_what_it_does_wrong() {
    matrix("slack");
}

fn matrix(scheme: &'static str) {
    let unsaid = not_judged(scheme);
    for fault in FAULTS {
        let env = TestEnv::new();
        let receiver = verifying(scheme, SECRET, fault, env.path());
        let once = "test $(grep -c \"$HOOKCTL_EVENT_ID\" events.log) = 1";
        let within = if fault == Fault::IsSlowOnce { "2s" } else { "30s" };
        let run = probe(&env, &receiver, scheme, &["--duplicate-check", once, "--answer-within", within]);
        let report = run.json();
        assert_eq!(named(&report, "not_judged"), unsaid, "{scheme} {fault:?}: {run:?}");
        let expected: Vec<_> = found_by(fault).iter().copied().filter(|name| !unsaid.contains(name)).collect();
        assert_eq!(named(&report, "fail"), expected, "{scheme} {fault:?}: {run:?}");
        assert_eq!(run.code, Some(if expected.is_empty() { 0 } else { 4 }), "{scheme} {fault:?}: {run:?}");
        let names: Vec<&str> = checks(&report).iter().map(|check| check["name"].as_str().unwrap()).collect();
        assert_eq!(names, CHECKS);
        assert_eq!(report["scheme"], scheme);
        assert!(!env.is_made(), "nothing is stored");
    }
}

#[test]
fn the_report_says_of_each_check_what_was_expected_and_what_was_seen() {
    let env = TestEnv::new();
    let receiver = verifying("standard", SECRET, Fault::KnowsOneSignature, env.path());
    let run = probe(&env, &receiver, "standard", &["--only", "valid,rotation", "--only", "duplicate"]).fails(4);
    let report = run.json();
    assert_eq!(report["url"], receiver.url());
    let expected = serde_json::json!([
        {"name": "valid", "result": "pass", "expected": "2xx to a right signature", "seen": "200"},
        {"name": "rotation", "result": "fail", "expected": "2xx when one of two signatures is right",
            "seen": "401 to each of 2"},
        {"name": "duplicate", "result": "not_judged", "expected": "2xx to an event that comes twice, handled once",
            "seen": "without --duplicate-check only the receiver knows"},
    ]);
    assert_eq!(report["checks"], expected);
    assert_eq!(receiver.count(), 3);

    let table = command(&env, &receiver, "standard").args(["--only", "valid,rotation"]).run().fails(4);
    assert!(table.text().contains("rotation"), "{table:?}");
    assert!(table.text().ends_with("1 passed, 1 failed, 0 not judged\n"), "{table:?}");
    let lines = command(&env, &receiver, "standard").args(["--only", "valid", "-o", "jsonl"]).run().ok();
    assert_eq!(lines.jsonl()[0]["checks"][0]["result"], "pass");
    assert!(
        command(&env, &receiver, "standard").args(["--only", "valid", "-o", "csv"]).run().ok().text().contains("url")
    );
}

#[test]
fn a_junit_report_is_written_whole_and_is_xml() {
    let env = TestEnv::new();
    let receiver = verifying("github", SECRET, Fault::Answers500, env.path());
    probe(&env, &receiver, "github", &["--junit", "report.xml"]).fails(4);
    let report = fs::read_to_string(env.path().join("report.xml")).unwrap();
    assert!(report.contains(" tests=\"17\" failures=\"1\" errors=\"0\" skipped=\"6\""), "{report}");
    let failure = "<failure message=\"expected 4xx, not 5xx, to what is refused; seen: 500";
    assert!(report.contains(failure), "{report}");
    if let Some(python) = installed(&["python3"], "python3") {
        let parse =
            "import sys, xml.etree.ElementTree as tree; print(len(tree.parse(sys.argv[1]).findall('*/testcase')))";
        let parsed = std::process::Command::new(python).args(["-c", parse]).arg(env.path().join("report.xml")).output();
        assert_eq!(String::from_utf8(parsed.unwrap().stdout).unwrap(), "17\n");
    }
}

#[test]
fn a_junit_report_that_cannot_be_written_is_refused_before_anything_is_sent() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.file("secret", SECRET);
    for (file, code, told) in [
        ("no/such/report.xml", 1, "--junit: the folder 'no/such' does not exist"),
        (".", 2, "--junit: not the name of a file"),
        ("", 2, "--junit: not the name of a file"),
    ] {
        let run = command(&env, &receiver, "github").args(["--only", "valid", "--junit", file]).run().fails(code);
        assert!(run.err().contains(told) && run.stdout.is_empty(), "{run:?}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn a_webhook_gives_its_secrets_method_headers_and_content_type() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    env.file("secret", SECRET);
    let create = ["webhook", "create", "crm", "-e", "*", "--url", "https://crm.example/", "--method", "PUT", "-H"];
    let rest = ["X-Team: sales", "--content-type", "application/vnd.crm+json", "--secret-file", "secret"];
    env.hookctl(create).args(rest).run().ok();
    let run = env.hookctl(["probe", &receiver.url(), "-w", "crm", "--only", "valid", "-o", "json"]).run().ok();
    assert_eq!(run.json()["scheme"], "standard", "the one that signs most, where both are taken");
    assert!(run.err().contains("the webhook signs with timetracker and standard; probing standard"), "{run:?}");
    let request = receiver.requests().pop().unwrap();
    assert_eq!(request.method, "PUT");
    assert_eq!(request.header("x-team"), Some("sales"));
    assert_eq!(request.header("content-type"), Some("application/vnd.crm+json"));
    assert_eq!(request.header("x-webhook-event"), Some("webhook.test"));
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "0", "nothing is stored");

    let receiver = verifying("timetracker", SECRET, Fault::None, env.path());
    let run = env.hookctl(["probe", &receiver.url(), "-w", "crm", "-q", "-o", "json"]).run().ok();
    assert_eq!((run.json()["scheme"].as_str(), run.err().as_str()), (Some("timetracker"), ""));
}

#[test]
fn type_and_data_are_those_of_the_options() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let more = ["--only", "valid", "--type", "invoice.paid", "--data", "{\"amount\":1.50}"];
    probe(&env, &receiver, "github", &more).ok();
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("x-webhook-event"), Some("invoice.paid"));
    assert!(request.text().ends_with(",\"data\":{\"amount\":1.50}}"), "{request:?}");
}

#[test]
fn a_receiver_that_is_not_there_is_said_in_one_line() {
    let env = TestEnv::new();
    let url = format!("http://{}/", closed_port());
    let unreachable = [(url.as_str(), "refused the connection"), ("http://no-such-host.invalid/", "cannot find")];
    for (url, reason) in unreachable {
        let run = at(&env, url, "github").run().fails(1);
        assert_eq!(run.text(), "");
        let error = run.err().lines().next().unwrap().to_owned();
        assert!(error.starts_with("error: cannot reach the receiver: ") && error.contains(reason), "{run:?}");
    }
}

#[test]
fn what_this_machine_lacks_is_no_receivers_fault() {
    let Some(strace) = installed(&["strace"], "strace") else { return };
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let trace = env.path().join("trace");
    let inject = ["-f", "-o", trace.to_str().unwrap(), "-e", "trace=socket", "-e", "inject=socket:error=EMFILE"];
    let run = command(&env, &receiver, "github").under(&[&[strace], &inject[..]].concat()).run().fails(1);
    assert_eq!((run.text().as_str(), receiver.count()), ("", 0), "nothing is judged");
    assert!(run.err().starts_with("error: too many open files"), "{run:?}");
}

#[test]
fn a_receiver_that_says_nothing_or_garbage_or_hangs_up_fails_and_nothing_panics() {
    let env = TestEnv::new();
    let garbage = TestReceiver::start(Reply::Raw(b"\x00\xffgarbage\r\n\r\n".to_vec()));
    let report = probe(&env, &garbage, "github", &["--only", "valid,missing"]).fails(4).json();
    assert_eq!(named(&report, "fail"), ["valid", "missing"], "no answer is not a refusal: {report}");
    assert!(report["checks"][0]["seen"].as_str().unwrap().contains("is not HTTP"), "{report}");

    let hangs_up = TestReceiver::start([Reply::Status(200), Reply::CloseBeforeAnswer]);
    let report = probe(&env, &hangs_up, "github", &["--only", "valid,missing"]).fails(4).json();
    assert_eq!(named(&report, "fail"), ["missing"], "{report}");

    let broken = TestReceiver::start(Reply::ShortBody);
    let report = probe(&env, &broken, "github", &["--only", "valid"]).fails(4).json();
    assert!(report["checks"][0]["seen"].as_str().unwrap().contains("in the middle of its answer"), "{report}");
}

#[test]
fn a_receiver_that_never_answers_is_given_up_after_two_requests() {
    let env = TestEnv::new();
    let silent = TestReceiver::start(Reply::Stall);
    let run = probe(&env, &silent, "standard", &["--answer-within", "500ms"]).fails(4);
    let report = run.json();
    assert_eq!(silent.count(), 2);
    assert_eq!(named(&report, "fail"), ["valid", "missing", "answer-time"], "{report}");
    assert!(report["checks"][2]["seen"].as_str().unwrap().starts_with("not sent: 2 requests"), "{report}");
}

#[test]
fn the_guard_of_addresses_holds_and_loopback_needs_no_flag() {
    let env = TestEnv::new();
    let bare = |url: &str, more: &[&str]| {
        at(&env, url, "github").args(more.iter().copied()).without_env("HOOKCTL_ALLOW_NETWORKS").run()
    };
    let receiver = TestReceiver::start(200);
    let named = format!("http://localhost:{}/", receiver.address().port());
    bare(&receiver.url(), &["--only", "valid"]).ok();
    bare(&named, &["--only", "valid"]).ok();
    let refused = [
        ("http://10.0.0.1/", &[][..], "10.0.0.1 is a private address; --allow-private would allow it"),
        ("http://169.254.169.254/", &["--allow-private"], "only --allow-network 169.254.169.254/32 would allow it"),
        ("http://10.0.0.1/", &["--allow-network", "10.1.0.0/16"], "is a private address"),
    ];
    for (url, more, reason) in refused {
        let run = bare(url, more).fails(2);
        assert!(run.err().contains("URL: ") && run.err().contains(reason), "{run:?}");
    }
}

#[test]
fn wrong_usage_is_refused_before_anything_is_sent() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let url = receiver.url();
    let cases: [(&[&str], &str); 10] = [
        (&["ftp://a.example/"], "URL: "),
        (&[&url, "--only", "no-such-check"], "--only"),
        (&[&url, "--type", "a b"], "--type: "),
        (&[&url, "--data", "{"], "--data: "),
        (&[&url, "--answer-within", "0"], "--answer-within: "),
        (&[&url, "--allow-network", "10.0.0.0/33"], "--allow-network: "),
        (&[&url, "--method", "TRACE"], "--method: "),
        (&[&url, "--scheme", "no-such"], "--scheme: "),
        (&[&url, "--scheme", "standard-v1a"], "ed25519"),
        (&[&url, "--data", "-", "--secret-stdin"], "cannot"),
    ];
    for (arguments, reason) in cases {
        let run = env.hookctl(["probe"]).args(arguments.iter().copied()).env("SECRET", SECRET);
        let is_given = arguments.contains(&"--secret-stdin");
        let run = if is_given { run } else { run.args(["--secret-env", "SECRET"]) }.run().fails(2);
        assert!(run.err().contains(reason) && !run.err().contains(SECRET), "{run:?}");
    }
    env.hookctl(["probe", &url]).run().fails(2);
    env.hookctl(["probe", &url, "-w", "no-such"]).run().fails(3);
    assert_eq!(receiver.count(), 0);
}

#[test]
fn a_command_that_finds_the_event_handled_twice_is_told_with_what_it_said() {
    let env = TestEnv::new();
    let receiver = verifying("github", SECRET, Fault::None, env.path());
    let command = "echo \"$HOOKCTL_EVENT_ID was seen twice\" >&2; exit 3";
    let report =
        probe(&env, &receiver, "github", &["--only", "duplicate", "--duplicate-check", command]).fails(4).json();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2);
    assert_eq!(requests[0].body, requests[1].body, "one event, twice");
    let event_id = requests[0].json()["event_id"].as_str().unwrap().to_owned();
    let seen = format!("200 to each of 2; the command exited with 3: {event_id} was seen twice");
    assert_eq!(report["checks"][0]["seen"], seen);
}

fn at(env: &TestEnv, url: &str, scheme: &str) -> crate::support::Hookctl {
    env.hookctl(["probe", url, "--scheme", scheme, "--secret-env", "SECRET"]).env("SECRET", SECRET)
}

fn command(env: &TestEnv, receiver: &TestReceiver, scheme: &str) -> crate::support::Hookctl {
    at(env, &receiver.url(), scheme)
}

fn probe(env: &TestEnv, receiver: &TestReceiver, scheme: &str, more: &[&str]) -> Run {
    command(env, receiver, scheme).args(["-o", "json"]).args(more.iter().copied()).run()
}

fn checks(report: &Value) -> &[Value] {
    report["checks"].as_array().unwrap()
}

/// The names of the checks with that result.
fn named(report: &Value, result: &str) -> Vec<String> {
    let those = checks(report).iter().filter(|check| check["result"] == result);
    those.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

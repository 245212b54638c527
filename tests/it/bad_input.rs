//! Bad input, each kind of it: one line that says what was wrong and with which option, the right exit code, nothing
//! stored and nothing sent.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use crate::support::{Run, TestEnv, TestReceiver};

/// A line of arguments, split at blanks; what has blanks in it, or nothing, stands between `'` and `'`. `words` tells
/// what stands for a receiver that counts, for long values, and for control characters.
struct Case {
    line: &'static str,
    code: i32,
    /// What standard error must hold: the option, or the word that says what was wrong.
    told: &'static str,
}

const fn case(line: &'static str, code: i32, told: &'static str) -> Case {
    Case { line, code, told }
}

/// `webhook create x -e * --url {url}` and one thing wrong.
const CREATE: &[Case] = &[
    // Names.
    case("webhook create '' -e * --url {url}", 2, "NAME"),
    case("webhook create ' ' -e * --url {url}", 2, "NAME"),
    case("webhook create {long} -e * --url {url}", 2, "NAME: a name has 201 characters"),
    case("webhook create 12345 -e * --url {url}", 2, "NAME"),
    case("webhook create a{lf}b -e * --url {url}", 2, "NAME"),
    case("webhook create a{esc}[31mb -e * --url {url}", 2, "NAME"),
    case("webhook create a{rlo}b -e * --url {url}", 2, "NAME"),
    case("webhook create a{zwsp}b -e * --url {url}", 2, "NAME: a name holds the invisible character U+200B"),
    case("webhook create x -e * --url {url} --owner a{zwsp}b", 2, "--owner: an owner holds the invisible character"),
    case("webhook create x -e * --url {url} --description a{zwsp}b", 2, "--description"),
    case("webhook create x -e * --url {url}{zwsp}", 2, "--url: the URL holds the invisible character U+200B"),
    case("webhook create x -e {101} --url {url}", 2, "--event: an event type has 101 characters; the limit is 100"),
    case("webhook create -e * --url {url}", 2, "NAME"),
    case("webhook create known -e * --url {url}", 6, "'known'"),
    // URLs.
    case("webhook create x -e *", 2, "--url"),
    case("webhook create x -e * --url ''", 2, "--url"),
    case("webhook create x -e * --url ftp://example.com/", 2, "--url: the URL's scheme is ftp"),
    case("webhook create x -e * --url file:///etc/passwd", 2, "--url"),
    case("webhook create x -e * --url javascript:alert(1)", 2, "--url"),
    case("webhook create x -e * --url example.com/hook", 2, "--url"),
    case("webhook create x -e * --url //example.com/", 2, "--url"),
    case("webhook create x -e * --url http://", 2, "--url"),
    case("webhook create x -e * --url http://example.com:0/", 2, "--url: the URL's port"),
    case("webhook create x -e * --url http://example.com:65536/", 2, "--url: the URL's port"),
    case("webhook create x -e * --url http://example.com:99999/", 2, "--url: the URL's port"),
    case("webhook create x -e * --url http://example.com:-1/", 2, "--url: the URL's port"),
    case("webhook create x -e * --url http://user:hunter2@example.com/", 2, "--url"),
    case("webhook create x -e * --url http://example.com/#part", 2, "--url"),
    case("webhook create x -e * --url 'http://example.com/a b'", 2, "--url"),
    case("webhook create x -e * --url {url}{cr}{lf}X:y", 2, "--url"),
    case("webhook create x -e * --url {url}{esc}[2J", 2, "--url"),
    case("webhook create x -e * --url {url}{c1}", 2, "--url"),
    case("webhook create x -e * --url {url}{rlo}", 2, "--url"),
    case("webhook create x -e * --url http://[::1", 2, "--url"),
    case("webhook create x -e * --url http://256.1.1.1/", 2, "--url"),
    case("webhook create x -e * --url http://a..b/", 2, "--url: the URL's host"),
    case("webhook create x -e * --url http://*.example.com/", 2, "--url: the URL's host"),
    case("webhook create x -e * --url {url}{2048}", 2, "--url: the URL is too long"),
    case("webhook create x -e * --url http://10.0.0.1/", 2, "--allow-private"),
    case("webhook create x -e * --url http://169.254.169.254/", 2, "--allow-network 169.254.169.254/32"),
    case("webhook create x -e * --url http://169.254.169.254/ --allow-private", 2, "--allow-network"),
    // Patterns.
    case("webhook create x --url {url}", 2, "--event"),
    case("webhook create x --url {url} -e ''", 2, "--event"),
    case("webhook create x --url {url} -e 'a b'", 2, "--event: 'a b'"),
    case("webhook create x --url {url} -e a,,b", 2, "--event"),
    case("webhook create x --url {url} -e a{esc}b", 2, r"--event: 'a\u{1b}b'"),
    case("webhook create x --url {url} -e {long}", 2, "--event"),
    // Requests.
    case(
        "webhook create x -e * --url {url} --method DELETE",
        2,
        "--method: not a method for webhooks; use POST, PUT, PATCH",
    ),
    case("webhook create x -e * --url {url} --method TRACE", 2, "--method"),
    case("webhook create x -e * --url {url} --method ''", 2, "--method"),
    case("webhook create x -e * --url {url} --content-type text", 2, "--content-type"),
    case("webhook create x -e * --url {url} --content-type a/b{lf}c", 2, "--content-type"),
    case("webhook create x -e * --url {url} -H nocolon", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'X-A: 1' -H 'x-a: 2'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'Host: example.com'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'content-length: 1'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'Transfer-Encoding: chunked'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'Proxy-Authorization: x'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'X-Webhook-Event: x'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'webhook-signature: x'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'X-A: 1{cr}{lf}X-B: 2'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'X A: 1'", 2, "--header"),
    case("webhook create x -e * --url {url} -H ': 1'", 2, "--header"),
    case("webhook create x -e * --url {url} -H 'X-A: ü'", 2, "--header"),
    case("webhook create x -e * --url {url} --timeout 0", 2, "--timeout"),
    case("webhook create x -e * --url {url} --timeout -1", 2, "--timeout"),
    case("webhook create x -e * --url {url} --timeout 2h", 2, "--timeout"),
    case("webhook create x -e * --url {url} --timeout soon", 2, "--timeout"),
    case("webhook create x -e * --url {url} --timeout", 2, "--timeout"),
    // Retries and limits.
    case("webhook create x -e * --url {url} --max-retries -1", 2, "--max-retries"),
    case("webhook create x -e * --url {url} --max-retries 1e3", 2, "--max-retries"),
    case("webhook create x -e * --url {url} --max-retries 100000000000", 2, "--max-retries"),
    case("webhook create x -e * --url {url} --max-retries +3", 2, "--max-retries"),
    case("webhook create x -e * --url {url} --retry-delay -5s", 2, "--retry-delay"),
    case("webhook create x -e * --url {url} --retry-delay 25h", 2, "--retry-delay"),
    case("webhook create x -e * --url {url} --retry-delay 99999999999999999999d", 2, "--retry-delay"),
    case("webhook create x -e * --url {url} --retry-schedule ''", 2, "--retry-schedule"),
    case("webhook create x -e * --url {url} --retry-schedule 5s,soon", 2, "--retry-schedule: 'soon'"),
    case("webhook create x -e * --url {url} --disable-after 9999999d", 2, "--disable-after"),
    case("webhook create x -e * --url {url} --rate-limit 0/s", 2, "--rate-limit"),
    case("webhook create x -e * --url {url} --rate-limit -1/s", 2, "--rate-limit"),
    case("webhook create x -e * --url {url} --rate-limit 1/year", 2, "--rate-limit"),
    case("webhook create x -e * --url {url} --concurrency 0", 2, "--concurrency"),
    case("webhook create x -e * --url {url} --concurrency -1", 2, "--concurrency"),
    case(
        "webhook create x -e * --url {url} --ordered=maybe",
        2,
        "--ordered: 'maybe' is not an order; write webhook, key, or false for none",
    ),
    // Addresses and trust.
    case("webhook create x -e * --url {url} --allow-network 10.0.0.0/33", 2, "--allow-network"),
    case("webhook create x -e * --url {url} --allow-network {esc}", 2, r#"--allow-network: "\u{1b}""#),
    case("webhook create x -e * --url {url} --ca-cert /nowhere", 2, "--ca-cert"),
    case("webhook create x -e * --url {url} --ca-cert /dev/zero", 2, "--ca-cert"),
    case("webhook create x -e * --url {url} --ca-cert /dev/null", 2, "--ca-cert"),
    // Signatures and secrets.
    case("webhook create x -e * --url {url} --signature md5", 2, "timetracker, standard"),
    case("webhook create x -e * --url {url} --secret-file empty", 2, "--secret-file: the secret is empty"),
    case("webhook create x -e * --url {url} --secret-file /nowhere", 2, "--secret-file: cannot read the file"),
    case(
        "webhook create x -e * --url {url} --secret-file .",
        2,
        "--secret-file: cannot read the file: it is a directory",
    ),
    case("webhook create x -e * --url {url} --secret-file /dev/zero", 2, "--secret-file"),
    case("webhook create x -e * --url {url} --secret-file -", 2, "--secret-stdin"),
    case("webhook create x -e * --url {url} --secret-file lines", 2, "--secret-file"),
    case("webhook create x -e * --url {url} --secret-file plain --signature standard", 2, "--secret-file"),
    case("webhook create x -e * --url {url} --secret-file short --signature standard", 2, "a key of 3 bytes"),
    case("webhook create x -e * --url {url} --secret-stdin", 2, "--secret-stdin: the secret is empty"),
    case("webhook create x -e * --url {url} --secret-env NOT_SET", 2, "--secret-env"),
    case("webhook create x -e * --url {url} --secret-env A=B", 2, "--secret-env"),
    case("webhook create x -e * --url {url} --secret-stdin --secret-env A", 2, "--secret-stdin"),
    case("webhook create x -e * --url {url} --no-secret --secret-stdin", 2, "--no-secret"),
    case("webhook create x -e * --url {url} --owner ''", 2, "--owner"),
    case("webhook create x -e * --url {url} --owner {long}", 2, "--owner"),
    case("webhook create x -e * --url {url} --description a{esc}b", 2, "--description"),
];

/// Everything else.
const OTHERS: &[Case] = &[
    case("webhook show nobody", 3, "nobody"),
    case("webhook show 99", 3, "99"),
    case("webhook show know", 3, "did you mean 'known'?"),
    case("webhook show {esc}]0;x", 3, r"\u{1b}]0;x"),
    case("webhook update known --url http://10.0.0.1/", 2, "--url"),
    case("webhook update known --name 123", 2, "--name"),
    case("webhook update known", 2, "nothing to change"),
    case("webhook update known --remove-event nope", 2, "--remove-event"),
    case("webhook update known --remove-event *", 2, "--remove-event"),
    case("webhook update known --remove-header nope", 2, "--remove-header"),
    case("webhook update known --add-event 'a b'", 2, "--add-event"),
    case("webhook update nobody --timeout 5s", 3, "nobody"),
    case("webhook delete known", 2, "--yes"),
    case("webhook delete nobody -y", 3, "nobody"),
    case("webhook disable known nobody", 3, "nobody"),
    case("webhook test nobody", 3, "nobody"),
    case("webhook test known --data {", 2, "--data"),
    case("webhook list --active --inactive", 2, "--active"),
    case("webhook list --limit 0", 2, "--limit"),
    case("webhook list --before x", 2, "--before"),
    // Events.
    case("emit", 2, "TYPE"),
    case("emit ''", 2, "TYPE"),
    case("emit 'a b'", 2, "TYPE: 'a b'"),
    case("emit task.*", 2, "TYPE"),
    case("emit {long}", 2, "TYPE"),
    case("emit task.created --data {\"a\":{lf}x}", 2, "--data: not valid JSON: expected value at line 2 column 1"),
    case("emit task.created --data {", 2, "line 1 column 1"),
    case("emit task.created --data ''", 2, "--data"),
    case("emit task.created --data -", 2, "--data"),
    case("emit task.created --data '{} {}'", 2, "--data"),
    case("emit task.created --data {deep}", 2, "--data: not accepted: the JSON is nested deeper"),
    case("emit task.created --data \"\\ud800\"", 2, r"--data: not valid JSON: a lone surrogate \ud800"),
    case("emit task.created --data NaN", 2, "--data"),
    case("emit task.created --data @/nowhere", 2, "--data: cannot read '/nowhere'"),
    case("emit task.created --data @.", 2, "--data: cannot read '.': it is a directory"),
    case("emit task.created --data @/dev/zero", 2, "--data"),
    case("emit task.created --data @bytes", 2, "--data"),
    case("emit task.created --data @large", 2, "--data"),
    case("emit task.created --payload large", 2, "--payload: 'large' holds more than 1048576 bytes"),
    case("emit task.created --payload /nowhere", 2, "--payload"),
    case("emit task.created --payload /dev/zero", 2, "--payload"),
    case("emit task.created --payload - --data {}", 2, "--payload"),
    case("emit task.created --data - --user -", 2, "--user"),
    case("emit task.created --user {", 2, "or read it from a file: --user @FILE"),
    case("emit task.created --event-id a.b", 2, "--event-id: an event id holds a dot"),
    case("emit task.created --event-id 'a b'", 2, "--event-id"),
    case("emit task.created --event-id ''", 2, "--event-id"),
    case("emit task.created --event-id {long}", 2, "--event-id"),
    case("emit task.created --event-id a{cr}{lf}b", 2, "--event-id"),
    case("emit task.created --event-id known --data 2", 6, "--event-id: 'known'"),
    case("emit task.created --entity invoice", 2, "--entity"),
    case("emit task.created --entity a:{esc}", 2, "--entity"),
    case("emit task.created --action ''", 2, "--action"),
    case("emit task.created --description {esc}", 2, "--description"),
    case("emit task.created --dedupe -1", 2, "--dedupe"),
    case("emit task.created --owner {esc}", 2, "--owner"),
    case("emit task.created --concurrency 0", 2, "--concurrency"),
    case("emit task.created -w nobody", 3, "nobody"),
    case("emit --batch /nowhere", 2, "--batch"),
    case("emit --batch .", 2, "--batch"),
    case("emit --batch /dev/zero", 2, "--batch: cannot read: a line does not end"),
    case("emit --batch - --data 1", 2, "--batch"),
    case("event show nothing", 3, "nothing"),
    case("event list --since 2026-13-01", 2, "--since: not a time"),
    case("event list --event-id nothing", 3, "no event 'nothing'"),
    case("event list --type 'a b'", 2, "--type"),
    case("event resend nothing", 3, "nothing"),
    case("event-type add 'a b'", 2, "TYPE"),
    case("event-type add {101}", 2, "TYPE: an event type has 101 characters; the limit is 100"),
    case("event-type add a.b --description a{zwsp}b", 2, "--description"),
    case("event-type add task.created", 6, "task.created"),
    case("event-type remove nothing.known", 3, "nothing.known"),
    case("event-type remove task.created", 2, "task.created"),
    // The log.
    case(
        "delivery list --status lost",
        2,
        "--status: no such status; use pending, retrying, success, failed, cancelled",
    ),
    case("delivery list --error-type lost", 2, "--error-type: no such error type; use http_error"),
    case("delivery list --status-code 6", 2, "--status-code"),
    case("delivery list --status-code 0xx", 2, "--status-code"),
    case("delivery list --since 2026-13-01", 2, "--since"),
    case("delivery list --since 2026-02-30T00:00:00Z", 2, "--since"),
    case("delivery list --since -1h", 2, "--since"),
    case("delivery list --until yesterday", 2, "--until"),
    case("delivery list --limit 0", 2, "--limit"),
    case("delivery list --limit -1", 2, "--limit"),
    case("delivery list --limit 99999999999999999999", 2, "--limit"),
    case("delivery list --type 'a b'", 2, "--type"),
    case("delivery list --event-id nothing", 3, "nothing"),
    case("delivery list -w nobody", 3, "nobody"),
    case("delivery list --key ''", 2, "--key: a value is missing"),
    case("event list --key ''", 2, "--key: a value is missing"),
    case("delivery show x", 2, "ID: not an id"),
    case("delivery show -1", 2, "ID: not an id"),
    case("delivery show 1.5", 2, "ID: not an id"),
    case("delivery show 99999999999999999999", 2, "ID: not an id"),
    case("delivery show 99", 3, "99"),
    case("delivery retry", 2, "ID"),
    case("delivery retry x", 2, "ID: not an id"),
    case("delivery retry 99", 3, "99"),
    case("delivery retry 1 --status failed", 2, "--status"),
    case("delivery retry 1 --limit 1", 2, "--limit"),
    case("delivery cancel 1 2 --limit 1", 2, "--limit"),
    case("delivery cancel x -y", 2, "ID: not an id"),
    case("delivery cancel 1 -w known", 2, "--webhook"),
    case("drain --limit 0", 2, "--limit"),
    case("drain --concurrency 1000", 2, "--concurrency"),
    case("drain --max-time soon", 2, "--max-time"),
    case("drain -w nobody", 3, "nobody"),
    case("drain --watch --dry-run", 2, "--watch"),
    case("drain --outbox ''", 2, "--outbox: a value is missing"),
    case("drain --dry-run --outbox ''", 2, "--outbox: a value is missing"),
    case("outbox init ''", 2, "SOURCE: a value is missing"),
    case("outbox status ''", 2, "SOURCE: a value is missing"),
    case("outbox discard '' -y", 2, "SOURCE: a value is missing"),
    // Signatures.
    case("sign", 2, "--secret-file"),
    case("sign -w nobody", 3, "nobody"),
    case("sign -w known --scheme md5 plain", 2, "timetracker, standard"),
    case("sign -w known --id a.b plain", 2, "--id"),
    case("sign -w known --timestamp 2026-13-01 plain", 2, "--timestamp"),
    case("sign -w known /nowhere", 2, "FILE"),
    case("sign -w known /dev/zero", 2, "FILE"),
    case("sign -w known --secret-env A plain", 2, "--secret-env"),
    case("sign --secret-stdin", 2, "--secret-stdin: "),
    case("sign --secret-stdin -", 2, "--secret-stdin: "),
    case("verify --secret-stdin - --signature x", 2, "--secret-stdin: "),
    case("verify --secret-stdin --headers-file - plain", 2, "--secret-stdin: "),
    case("verify -w known --headers-file - -", 2, "--headers-file: "),
    case("verify -w known -H nocolon plain", 2, "-H"),
    case("verify -w known --tolerance -5 plain", 2, "--tolerance"),
    case("verify -w known --now 2026-13-01 plain", 2, "--now"),
    case("webhook secret rotate nobody", 3, "nobody"),
    case("webhook secret rotate known --overlap -1", 2, "--overlap"),
    case("webhook secret rotate known --secret-file /dev/zero", 2, "--secret-file"),
    // Looking after it.
    case("stats --by colour", 2, "--by: no such value 'colour'; use webhook, event-type, hour, error-type"),
    case("stats --since 2026-13-01", 2, "--since"),
    case("metrics --file .", 2, "--file"),
    case("delivery prune", 2, "--older-than"),
    case("delivery prune --older-than -1d -y", 2, "--older-than"),
    case("db restore /nowhere -y", 2, "FILE"),
    case("db copy ''", 2, "PATH|URL: a value is missing"),
    case("listen --record ''", 2, "--record: a value is missing"),
    case("listen --port 65536", 2, "--port"),
    case("listen --respond 99", 2, "--respond"),
    case("apply", 2, "FILE"),
    case("apply /nowhere -y", 2, "FILE: cannot read '/nowhere'"),
    case("apply . -y", 2, "FILE: cannot read '.': it is a directory"),
    case("apply /dev/zero -y", 2, "FILE"),
    case("apply broken.json -y", 2, "FILE: "),
    case("apply text.json -y", 2, "FILE: invalid type: string"),
    case("apply loopback.json -y", 2, "FILE: webhooks[0] (evil): url: "),
    // The command line itself.
    case("webhok list", 2, "did you mean 'webhook'?"),
    case("webhook creat", 2, "did you mean 'create'?"),
    case("emit", 2, "TYPE is missing"),
    case("webhook", 2, "hookctl webhook: a command is missing"),
    case("--color never webhook -y secret", 2, "see `hookctl webhook secret --help`"),
    case("webhook {esc}[2J", 2, r"no such command '\u{1b}[2J'"),
    case("webhook list --frobnicate", 2, "--frobnicate"),
    case("webhook list --out{esc}put", 2, r"--out\u{1b}put"),
    case("webhook list extra", 2, "extra"),
    case("-o xml webhook list", 2, "--output: no such value 'xml'; use table, json, jsonl, csv"),
    case("--color blue webhook list", 2, "--color: no such value 'blue'; use auto, always, never"),
    case("-o", 2, "--output"),
];

#[test]
fn there_are_enough_cases() {
    assert!(CREATE.len() + OTHERS.len() >= 110);
}

#[test]
fn a_webhook_that_cannot_be_is_refused_and_nothing_is_stored_or_sent() {
    check(CREATE);
}

#[test]
fn every_other_bad_input_is_refused_and_nothing_is_stored_or_sent() {
    check(OTHERS);
}

#[test]
fn bad_settings_of_the_environment_are_refused_by_name() {
    let env = TestEnv::new();
    let cases = [
        ("HOOKCTL_NOW", "2026-13-01"),
        ("HOOKCTL_ALLOW_NETWORKS", "everything"),
        ("HOOKCTL_LOG", "loud"),
        ("HOOKCTL_OWNER", "a\u{1b}[31m"),
        ("HOOKCTL_OUTPUT", "xml"),
        ("HOOKCTL_DB", ""),
    ];
    for (name, value) in cases {
        let run = env.hookctl(["emit", "task.created"]).env(name, value).run().fails(2);
        assert!(run.err().starts_with(&format!("error: {name}: ")), "{run:?}");
        assert!(!env.is_made());
    }
}

#[test]
fn jq_is_refused_where_no_json_is_written() {
    let env = TestEnv::new();
    for command in [&["metrics"][..], &["man"], &["completions", "bash"], &["outbox", "init", "--print", "app.db"]] {
        let run = env.hookctl(command.iter().copied()).args(["--jq", "."]).run().fails(2);
        json_error(&run, 2);
        assert!(run.err().contains("--jq: this command writes no JSON") && run.stdout.is_empty(), "{run:?}");
    }
}

#[test]
fn a_file_that_is_no_backup_is_refused_by_the_name_of_its_argument() {
    only_on_files!();
    let env = TestEnv::new();
    env.file("notes", "not a database");
    for file in ["notes", "."] {
        let told = one_error(&env.hookctl(["db", "restore", file, "-y"]).run().fails(1));
        assert!(told.starts_with("error: FILE: ") && told.contains("db backup") && !told.contains("--db "), "{told}");
    }
    assert!(!env.is_made());
}

#[test]
fn arguments_that_are_no_text_are_refused() {
    let env = TestEnv::new();
    for words in [vec![b"\xff".to_vec()], vec![b"webhook".to_vec(), b"show".to_vec(), b"a\xff".to_vec()]] {
        one_error(&env.hookctl(words.into_iter().map(OsString::from_vec)).run().fails(2));
    }
}

#[test]
fn very_long_and_odd_arguments_end_in_an_error_of_one_line() {
    let env = TestEnv::new();
    let long = "x".repeat(100_000);
    let odd =
        ["\u{0301}\u{0301}", "\u{1f468}\u{200d}\u{1f469}", "\u{fdfa}\u{feff}", "\u{10ffff}", "%00", "İ", long.as_str()];
    let places: [&[&str]; 8] = [
        &["webhook", "show"],
        &["webhook", "create", "x", "-e", "*", "--url"],
        &["webhook", "create", "x", "--url", "http://127.0.0.1/", "-e"],
        &["emit"],
        &["emit", "task.created", "--data"],
        &["delivery", "list", "--since"],
        &["delivery", "show"],
        &["--output"],
    ];
    for place in places {
        for value in odd {
            let run = env.hookctl(place.iter().copied().chain([value])).run();
            assert!(matches!(run.code, Some(2 | 3)), "{run:?}");
            one_error(&run);
        }
    }
    assert!(!env.is_made());
}

/// Runs every case, as text and as JSON, and compares the database before and after.
fn check(cases: &[Case]) {
    let receiver = TestReceiver::start(200);
    let env = TestEnv::new();
    env.file("empty", "");
    env.file("lines", "one\ntwo\n");
    env.file("broken.json", "{");
    env.file("text.json", "\"webhooks\"");
    env.file("loopback.json", r#"{"webhooks":[{"name":"evil","url":"http://10.0.0.1/","events":["*"]}]}"#);
    env.file("plain", "not base64!");
    env.file("short", "whsec_AAAA");
    env.file("bytes", b"\"\xff\"");
    env.file("large", format!("\"{}\"", "x".repeat(1 << 20)));
    env.hookctl(["webhook", "create", "known", "-e", "*", "--url", &receiver.url()]).run().ok();
    env.hookctl(["emit", "task.created", "--event-id", "known", "--data", "1", "--enqueue"]).run().ok();
    let before = dump(&env);
    for case in cases {
        let words = words(case.line, &receiver.url());
        let run = env.hookctl(&words).run().fails(case.code);
        let told = one_error(&run);
        assert!(told.contains(case.told), "{:?} is not told\n{run:?}", case.told);
        let as_json = env.hookctl(&words).env("HOOKCTL_OUTPUT", "json").run();
        if !case.line.starts_with("-o") {
            json_error(&as_json.fails(case.code), case.code);
        }
        assert_eq!(receiver.connections(), 0, "{run:?}");
    }
    assert_eq!(dump(&env), before);
}

/// The message and hint of a run that failed: one line each, nothing on stdout, nothing that steers a terminal.
#[track_caller]
fn one_error(run: &Run) -> String {
    let text = run.err();
    let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with("note: ")).collect();
    assert!(run.stdout.is_empty(), "{run:?}");
    let is_right = match lines.as_slice() {
        [error] => error.starts_with("error: "),
        [error, hint] => error.starts_with("error: ") && hint.starts_with("hint: "),
        _ => false,
    };
    assert!(is_right, "one error and at most one hint are expected\n{run:?}");
    assert!(!text.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{text:?}");
    assert!(!text.contains("panicked") && !text.contains("hunter2"), "{run:?}");
    text
}

/// With `-o json` the error is one object with a stable code.
#[track_caller]
fn json_error(run: &Run, code: i32) {
    let text = run.err();
    let line = text.lines().filter(|line| line.starts_with('{')).collect::<Vec<_>>();
    assert_eq!(line.len(), 1, "{run:?}");
    let error = &serde_json::from_str::<serde_json::Value>(line[0]).unwrap()["error"];
    let name = match code {
        2 => "invalid_input",
        3 => "not_found",
        _ => "conflict",
    };
    assert_eq!((error["code"].as_str(), error["exit_code"].as_i64()), (Some(name), Some(i64::from(code))), "{run:?}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{run:?}");
}

fn words(line: &str, url: &str) -> Vec<String> {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let fill = [
        ("{url}", url),
        ("{long}", &"x".repeat(201)),
        ("{2048}", &"x".repeat(2_048)),
        ("{deep}", &deep),
        ("{101}", &"x".repeat(101)),
        ("{esc}", "\u{1b}"),
        ("{zwsp}", "\u{200b}"),
        ("{c1}", "\u{9b}"),
        ("{rlo}", "\u{202e}"),
        ("{cr}", "\r"),
        ("{lf}", "\n"),
    ];
    let filled = |word: &str| fill.iter().fold(word.to_owned(), |word, (name, value)| word.replace(name, value));
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        match index % 2 {
            0 => words.extend(part.split(' ').filter(|word| !word.is_empty()).map(filled)),
            _ => words.push(filled(part)),
        }
    }
    words
}

/// Every row of every table.
fn dump(env: &TestEnv) -> Vec<Vec<Vec<String>>> {
    let tables = ["webhooks", "secrets", "events", "deliveries", "attempts", "event_types"];
    tables.iter().map(|table| env.sql(&format!("SELECT * FROM {table} ORDER BY 1"))).collect()
}

//! Nothing that came from outside steers a terminal, reorders a line or runs in a spreadsheet: in no format, on no stream.

use crate::support::{Reply, Run, TestEnv, TestReceiver, closed_port};

const FORMATS: [&str; 4] = ["table", "json", "jsonl", "csv"];
/// A query value that no output may show.
const TOKEN: &str = "hunter2";

/// Every command that shows something from outside; `{evil}` is all that steers, `{id}` a webhook, `{at}` a delivery.
const COMMANDS: &[&str] = &[
    "webhook list",
    "webhook show {id}",
    "webhook show nobody{evil}",
    "webhook update {id} --remove-header x{evil}",
    "webhook update {id} --url http://x{evil}/",
    "webhook update {id} --timeout 5s",
    "webhook test {id}",
    "webhook disable {id}",
    "webhook enable {id}",
    "webhook delete {id}",
    "webhook secret rotate {id} --overlap 0",
    "delivery list",
    "delivery show {at}",
    "delivery retry {at}",
    "delivery retry --status failed --dry-run",
    "delivery list -w nobody{evil}",
    "delivery list --status {evil}",
    "event list",
    "event show known",
    "event show bytes",
    "event show nothing{evil}",
    "event resend known -w {id}",
    "event-type list",
    "event-type show type{evil}",
    "event-type add x{evil}",
    "emit task.created",
    "emit task.created --dry-run",
    "emit x{evil}",
    "emit task.created --data {evil}",
    "emit --batch lines",
    "drain --all",
    "drain --dry-run",
    "stats",
    "stats --by webhook",
    "stats --by event-type",
    "check",
    "metrics",
    "db info",
    "db check",
    "sign -w {id} lines",
    "verify -w {id} lines --signature x{evil}",
    "{evil}",
    "--{evil}",
    "--db {evil}/x/y webhook list",
];

#[test]
fn no_byte_that_steers_a_terminal_is_ever_written() {
    let (env, _receiver) = haunted();
    let delivery = env.sql_value("SELECT min(delivery_id) FROM attempts");
    let evil = evil();
    for command in COMMANDS {
        for format in FORMATS {
            let words = command
                .split(' ')
                .map(|word| word.replace("{evil}", &evil).replace("{id}", "1").replace("{at}", &delivery));
            let run = env.hookctl(["--color", "always", "-vv", "-o", format]).args(words).run();
            assert!(run.code.is_some() && !run.err().contains("panicked"), "{run:?}");
            harmless(&run, &run.text());
            harmless(&run, &run.err());
        }
    }
}

#[test]
fn json_holds_the_very_characters_escaped() {
    let (env, _receiver) = haunted();
    let shown = env.hookctl(["webhook", "show", "1", "-o", "json"]).run().ok().json();
    assert_eq!(shown["description"], format!("=1+1{}", evil()));
    let delivery = env.sql_value("SELECT min(delivery_id) FROM attempts");
    let shown = env.hookctl(["delivery", "show", &delivery, "-o", "json"]).run().ok().json();
    let body = shown["attempts"][0]["response_body"].as_str().unwrap();
    assert!(body.starts_with(&format!("answer {}", evil())), "{body:?}");
}

#[test]
fn no_cell_of_a_csv_file_begins_a_formula() {
    let env = TestEnv::new();
    for (index, start) in ["=", "+", "-", "@", "\t", "\r"].iter().enumerate() {
        env.hookctl(["webhook", "create", &format!("n{index}"), "--url", "http://127.0.0.1:9/", "-e", "*"]).run().ok();
        let id = index + 1;
        env.sql_write(&format!("UPDATE webhooks SET name = '{start}SUM(A1)x', owner = '{start}cmd' WHERE id = {id}"));
    }
    let csv = env.hookctl(["webhook", "list", "-o", "csv"]).run().ok().text();
    assert_eq!(csv.lines().count(), 7);
    for cell in csv.lines().flat_map(|line| line.split(',')) {
        let cell = cell.trim_start_matches('"');
        assert!(!cell.starts_with(['=', '+', '-', '@', '\t', '\r']), "{cell:?} in\n{csv}");
    }
    assert!(csv.contains("'=SUM(A1)x") && csv.contains("'@cmd"), "{csv}");
}

#[test]
fn the_values_of_a_query_are_masked_wherever_a_url_is_told() {
    let env = TestEnv::new();
    let refused = format!("http://{}/hook?key={TOKEN}&{TOKEN}", closed_port());
    let hosts =
        ["http://name.invalid/", "https://127.0.0.1:9/", "http://[::1]:9/"].map(|url| format!("{url}?k={TOKEN}"));
    let urls: Vec<&str> = [&refused].into_iter().chain(&hosts).map(String::as_str).collect();
    for (index, url) in urls.iter().enumerate() {
        let name = format!("hook{index}");
        for format in FORMATS {
            let create = ["webhook", "create", &name, "-e", "*", "--timeout", "1s", "--url", url, "-o", format];
            // Created once; then the name is taken. `name.invalid` is looked up, and does not exist.
            no_token(&env.hookctl(create).run());
            no_token(&env.hookctl(["webhook", "test", &name, "-o", format, "-vv"]).run());
            no_token(&env.hookctl(["webhook", "show", &name, "-o", format]).run());
        }
    }
    for format in FORMATS {
        no_token(&env.hookctl(["webhook", "list", "-o", format]).run().ok());
        no_token(&env.hookctl(["delivery", "list", "-o", format]).run().ok());
        for id in env.sql("SELECT id FROM deliveries") {
            no_token(&env.hookctl(["delivery", "show", &id[0], "-o", format]).run().ok());
        }
    }
    assert!(env.sql("SELECT error_message FROM attempts").iter().all(|row| !row[0].contains(TOKEN)));
    let shown = env.hookctl(["webhook", "show", "hook0", "-o", "json"]).run().ok().json();
    assert!(shown["url"].as_str().unwrap().ends_with("/hook?key=***&***"), "{shown}");
    for url in [
        format!("http://user:{TOKEN}@127.0.0.1/"),
        format!("http://127.0.0.1:99999/?k={TOKEN}"),
        format!("ftp://x/?k={TOKEN}"),
    ] {
        no_token(&env.hookctl(["webhook", "create", "new", "-e", "*", "--url", &url]).run().fails(2));
    }
}

#[test]
fn a_closed_or_full_stdout_ends_quietly_or_in_one_error() {
    let (env, _receiver) = haunted();
    for command in [
        &["webhook", "list"][..],
        &["delivery", "show", "1", "-o", "json"],
        &["event-type", "list", "-o", "csv"],
        &["--help"],
    ] {
        let run = env.hookctl(command.iter().copied()).run_into_closed_pipe().ok();
        assert!(run.stderr.is_empty(), "{run:?}");
        let quoted = command.join(" ");
        let binary = env!("CARGO_BIN_EXE_hookctl");
        let full = std::process::Command::new("sh")
            .args(["-c", &format!("'{binary}' {quoted} > /dev/full")])
            .env("HOOKCTL_DB", env.address())
            .output()
            .unwrap();
        let told = String::from_utf8(full.stderr).unwrap();
        assert_eq!(full.status.code(), Some(1), "{quoted}: {told}");
        assert_eq!(
            told.lines().filter(|line| line.starts_with("error: ") || line.starts_with("{\"error\"")).count(),
            1,
            "{quoted}: {told}"
        );
        assert!(!told.contains("panicked"), "{quoted}: {told}");
    }
}

/// C0 but for the line feed and NUL, DEL, C1, bidirectional controls, separators, invisible ones.
fn evil() -> String {
    let controls = (1..32_u32).chain(127..160).filter(|code| *code != 10).filter_map(char::from_u32);
    let others = "\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\u{feff}\u{e0041}";
    controls.chain(others.chars()).collect()
}

/// A database in which every text steers, and an answer that does.
fn haunted() -> (TestEnv, TestReceiver) {
    let env = TestEnv::new();
    let evil = evil();
    let mut answer = b"HTTP/1.1 500 A\tB\r\nX-Evil: ".to_vec();
    answer.extend((0x80..=0xff_u8).collect::<Vec<_>>());
    answer.extend_from_slice(format!("\r\nConnection: close\r\n\r\nanswer {evil}").as_bytes());
    answer.extend_from_slice(b"\x9b2J\xff");
    let receiver = TestReceiver::start(Reply::Raw(answer));
    let url = receiver.url_at(&format!("/?token={TOKEN}"));
    env.hookctl(["webhook", "create", "hook", "-e", "*", "--url", &url]).run().ok();
    env.hookctl(["emit", "task.created", "--event-id", "known", "--data", "\"\u{202e}\u{9b}\""]).run().ok();
    env.hookctl(["emit", "task.created", "--event-id", "bytes", "--payload", "-"])
        .stdin([evil.as_bytes(), b"\x9b\xff"].concat())
        .run()
        .ok();
    env.file("lines", format!("{{\"type\":\"x{evil}\"}}\n{evil}\n"));
    env.sql_write(&format!(
        "UPDATE webhooks SET name = 'n{evil}', owner = 'o{evil}';
         UPDATE webhook_state SET disabled_reason = 'r{evil}';
         UPDATE events SET event_type = 't{evil}' WHERE event_id = 'known';
         UPDATE deliveries SET event_type = 't{evil}', error_message = 'm{evil}' WHERE id = 1;
         INSERT INTO event_types (name, description, is_builtin) VALUES ('type{evil}', 'd{evil}', FALSE);"
    ));
    env.set_settings(&serde_json::json!({"description": format!("=1+1{evil}")}));
    (env, receiver)
}

/// No character that steers; colours of our own are the only escape sequences.
#[track_caller]
fn harmless(run: &Run, text: &str) {
    let mut rest = text;
    let mut plain = String::new();
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        plain.push_str(before);
        let end = after.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(after.len());
        assert!(after[end..].starts_with('m'), "an escape sequence that is no colour\n{run:?}");
        rest = &after[end + 1..];
    }
    plain.push_str(rest);
    let evil = evil();
    let found: Vec<char> = plain.chars().filter(|c| evil.contains(*c)).collect();
    assert!(found.is_empty(), "{found:?} was written\n{run:?}");
}

#[track_caller]
fn no_token(run: &Run) {
    assert!(run.code.is_some(), "{run:?}");
    assert!(!run.text().contains(TOKEN) && !run.err().contains(TOKEN), "{run:?}");
}

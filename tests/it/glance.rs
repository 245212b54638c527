//! What fails is seen: no list, status or report makes a receiver that fails look like a healthy one.

use std::time::Duration;

use console::measure_text_width;
use serde_json::Value;

use crate::support::{TestEnv, TestReceiver, closed_port, wait_until};

const RED: &str = "\u{1b}[31m";
const NOW: &str = "2026-01-01T00:10:00Z";

/// Three receivers, and seven events for each: one that is well, one that answers 502 to everything, one that nobody listens at.
fn troubled() -> TestEnv {
    let (good, bad) = (TestReceiver::start(200), TestReceiver::start(502));
    let env = TestEnv::new();
    env.create("good", &good.url(), &[]);
    env.create("bad-gateway", &bad.url(), &["-e", "*"]);
    env.create("gone-silent", &format!("http://{}/", closed_port()), &["-e", "*", "--retry-delay", "1h"]);
    for second in 0..7 {
        // The hold that a 502 sets is over by then.
        env.emit_at(second * 65, &format!("e-{second}"));
    }
    env
}

fn colored(env: &TestEnv, arguments: &[&str]) -> String {
    env.hookctl(arguments.iter().copied()).args(["--color", "always"]).now(NOW).run().ok().text()
}

fn line(text: &str, name: &str) -> String {
    text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
}

#[test]
fn a_receiver_that_answers_502_to_everything_does_not_look_like_a_healthy_one() {
    let env = troubled();
    let list = colored(&env, &["webhook", "list"]);
    let bad = line(&list, "bad-gateway");
    assert!(bad.contains(&format!("{RED}failing")) && bad.contains(&format!("{RED}failed ")), "{list}");
    let silent = line(&list, "gone-silent");
    assert!(silent.contains(&format!("{RED}unreachable")), "{list}");
    let good = line(&list, "good");
    assert!(good.contains("\u{1b}[32mactive") && !good.contains(RED), "{list}");
    let views = env.hookctl(["webhook", "list", "-o", "json"]).now(NOW).run().ok().json();
    let of = |name: &str| views.as_array().unwrap().iter().find(|view| view["name"] == name).unwrap().clone();
    let told = |name: &str| ["state", "condition", "waiting"].map(|key| of(name)[key].clone());
    assert_eq!(told("bad-gateway"), [Value::from("active"), "failing".into(), 7.into()]);
    assert_eq!(told("gone-silent"), [Value::from("active"), "unreachable".into(), 7.into()]);
    assert_eq!(told("good"), [Value::from("active"), Value::Null, 0.into()]);
}

#[test]
fn a_first_failure_is_not_green_either() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(500);
    env.create("crm", &receiver.url(), &[]);
    env.emit_at(0, "one");
    let crm = line(&colored(&env, &["webhook", "list"]), "crm");
    let is_warned = crm.contains("\u{1b}[33mactive") && crm.contains(&format!("{RED}failed "));
    assert!(is_warned && !crm.contains("\u{1b}[32m"), "{crm}");
}

#[test]
fn statistics_head_with_what_failed_though_nothing_has_finished() {
    let env = troubled();
    let text = colored(&env, &["stats"]);
    let success = line(&text, "Success");
    assert!(success.contains("of attempts, 100% of finished deliveries") && success.contains(RED), "{text}");
    let rate = env.hookctl(["stats", "-o", "json"]).now(NOW).run().ok().json();
    assert!(rate["attempt_success_rate"].as_f64().unwrap() < 0.6, "{rate}");
    let (webhooks, failures) = (rate["by_webhook"].as_array().unwrap(), rate["last_failures"].as_array().unwrap());
    let bad = webhooks.iter().find(|row| row["webhook"] == "bad-gateway").unwrap();
    assert_eq!((&bad["condition"], &bad["attempt_success_rate"]), (&"failing".into(), &0.0.into()), "{bad}");
    assert!(bad["last_error"].as_str().unwrap().contains("502"), "{bad}");
    assert_eq!(failures.len(), 5);
    let command = format!("hookctl delivery show {}", failures[0]["delivery_id"]);
    assert!(text.contains(&command), "{text}");
    let shown = env.hookctl(command.split(' ').skip(1)).run().ok().text();
    assert!(shown.contains("Error:"), "{shown}");
    for part in ["Webhooks whose last attempt failed", "Last failures", "WAITING", &format!("{RED}bad-gateway")] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_report_heads_with_what_failed_though_nothing_has_finished() {
    let env = troubled();
    env.hookctl(["stats", "--html", "report.html"]).now(NOW).run().ok();
    let page = std::fs::read_to_string(env.path().join("report.html")).unwrap();
    let at = |part: &str| page.find(part).unwrap_or_else(|| panic!("{part}: {page}"));
    assert!(at("success of attempts") < at("success of finished deliveries"));
    assert!(at("Webhooks whose last attempt failed") < at("Over time"));
    for part in
        ["<td class=\"low\">bad-gateway</td>", ">failing<", ">unreachable<", "hookctl delivery show ", ">waiting<"]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains(">other<"), "what waits is named");
}

#[test]
fn status_says_on_one_screen_what_waits_who_fails_and_why() {
    let env = troubled();
    env.hookctl(["drain", "-w", "good"]).now(NOW).run().ok();
    let status = |more: &[&str]| env.hookctl([&["status"], more].concat()).now("2026-01-01T00:12:00Z").run().ok();
    let text = status(&[]).text();
    for part in [
        "Waiting:     14 deliveries, ",
        "Webhooks:    3: 1 well, 2 not",
        "Last hour:   ",
        "Last drain:  2m ago, 0 attempted, 0 delivered",
        "unreachable",
        "failing",
        "502",
        "hookctl delivery show ",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(text.lines().count() <= 24, "one screen\n{text}");
    let json = status(&["-o", "json"]).json();
    let names: Vec<_> =
        json["webhooks_not_well"].as_array().unwrap().iter().map(|row| row["webhook"].clone()).collect();
    assert_eq!(names, ["gone-silent", "bad-gateway"]);
    assert_eq!((&json["waiting"], &json["last_drain"]["attempted"]), (&14.into(), &0.into()));
    assert!(json["database"]["place"].is_string());
    assert_eq!(status(&["--owner", "nobody", "-o", "json"]).json()["webhooks"], 0);
}

#[test]
fn status_is_shown_again_until_it_is_stopped() {
    let env = troubled();
    let child = env.hookctl(["status", "--watch", "200ms", "-o", "json"]).spawn();
    wait_until("it is shown twice", || child.lines() >= 2);
    child.signal("INT");
    let lines = child.wait_timeout(Duration::from_secs(20)).fails(130).jsonl();
    assert!(lines.len() >= 2 && lines.iter().all(|line| line["waiting"] == 14), "{lines:?}");
}

#[test]
fn lists_status_and_statistics_fit_terminals_of_80_and_120_columns() {
    let env = troubled();
    for columns in [80, 120] {
        for command in [&["webhook", "list"][..], &["status"], &["stats"], &["delivery", "list"], &["event", "list"]] {
            let shown = env.hookctl(command.iter().copied()).now(NOW).at_terminal_of(columns).ends();
            let text = shown.ended_with(0).text();
            let long = text.lines().find(|line| measure_text_width(line) > usize::from(columns));
            assert_eq!(long, None, "{command:?}\n{text}");
        }
        let list = env.hookctl(["webhook", "list"]).now(NOW).at_terminal_of(columns).ends().text();
        assert!(list.contains("STATE") && list.contains("WAITING") && list.contains("LAST"), "{list}");
    }
}

#[test]
fn the_columns_of_a_tail_stay_in_their_places() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    env.create("a", &receiver.url(), &[]);
    env.create("a-webhook-with-a-name-that-is-much-longer", &format!("http://{}/", closed_port()), &["-e", "*.*"]);
    env.emit_at(0, "one");
    env.hookctl(["emit", "project_template.created", "--data", "1"]).run().ok();
    for columns in [80, 120] {
        let mut terminal = env.hookctl(["delivery", "tail", "--last", "4"]).at_terminal_of(columns);
        terminal.shows("following").shows("connection_error").shows("connection_error");
        let shown = terminal.interrupted().text();
        let rows = shown.lines().skip_while(|line| !line.starts_with("TIME")).filter(|line| line.len() > 40);
        let rows: Vec<&str> = rows.collect();
        let place = rows[0].find("STATUS").unwrap();
        assert!(rows.len() >= 5, "{shown}");
        for row in &rows {
            assert!(measure_text_width(row) <= usize::from(columns), "{row}");
            let here: String = row.chars().skip(place).take(7).collect();
            assert!(["STATUS ", "success", "retryin"].contains(&here.as_str()), "{row:?}\n{shown}");
        }
    }
}

//! What a person sees at a terminal: lines that fit it, colour by meaning, and what to do where there is nothing yet.

use console::measure_text_width;

use crate::support::{TestEnv, TestReceiver};

const LONG: &str = "billing-export-to-the-accounting-department-of-the-whole-group";

/// A database with long names and wide ones, and deliveries that failed, wait and went well.
fn filled() -> TestEnv {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let create = |name: &str, url: &str, events: &str| {
        env.hookctl(["webhook", "create", name, "--url", url, "-e", events]).run().ok();
    };
    create(LONG, &receiver.url_at("/a/long/path/that/goes/on/and/on/and/on?token=1&customer=2"), "*");
    create(
        "請求書の受信",
        "http://127.0.0.1:9/",
        "invoice.paid,invoice.sent,invoice.created,invoice.approval_requested",
    );
    for event_type in ["invoice.approval_requested", "invoice.paid", "project_template.created"] {
        env.hookctl(["emit", event_type, "--data", "{}"]).run().ok();
    }
    env
}

#[test]
fn every_line_of_a_table_fits_a_terminal_of_80_columns() {
    let env = filled();
    let commands: [&[&str]; 8] = [
        &["webhook", "list"],
        &["delivery", "list"],
        &["event", "list"],
        &["event-type", "list"],
        &["schemes"],
        &["stats"],
        &["stats", "--by", "webhook"],
        &["emit", "invoice.paid", "--data", "{}", "--enqueue"],
    ];
    for command in commands {
        let shown = env.hookctl(command.iter().copied()).at_terminal().ends().ended_with(0).text();
        let long = shown.lines().find(|line| measure_text_width(line) > 80);
        assert_eq!(long, None, "{command:?}\n{shown}");
        assert!(shown.lines().count() > 2, "{command:?}\n{shown}");
    }
}

#[test]
fn a_pipe_gets_whole_names_all_columns_and_no_colour() {
    let env = filled();
    for command in [["webhook", "list"], ["delivery", "list"], ["stats", "--by=webhook"]] {
        let text = env.hookctl(command).run().ok().text();
        assert!(text.contains(LONG) && !text.contains('…') && !text.contains('\u{1b}'), "{text}");
    }
    let schemes = env.hookctl(["schemes"]).run().ok().text();
    assert!(schemes.starts_with("SCHEME") && schemes.lines().next().unwrap().ends_with("ALSO"), "{schemes}");
}

#[test]
fn a_result_is_the_code_or_the_reason_for_none() {
    let env = filled();
    let text = env.hookctl(["delivery", "list"]).run().ok().text();
    assert!(text.starts_with("ID  WEBHOOK") && text.contains("  RESULT  "), "{text}");
    let of = |name: &str| text.lines().find(|line| line.contains(name)).unwrap().to_owned();
    assert!(of(LONG).contains("success") && of(LONG).contains(" 200 "), "{text}");
    assert!(of("請求書の受信").contains("connection_error"), "{text}");
}

#[test]
fn colour_is_for_terminals_unless_said_otherwise() {
    let env = filled();
    let list = || env.hookctl(["delivery", "list"]);
    let failed = "\u{1b}[33mretrying\u{1b}[0m";
    assert!(list().at_terminal().ends().raw.contains(failed));
    assert!(list().env("CLICOLOR_FORCE", "1").run().text().contains(failed));
    assert!(list().args(["--color", "always"]).env("NO_COLOR", "1").run().text().contains(failed));
    let plain = [list().env("NO_COLOR", "1"), list().args(["--color", "never"]).env("CLICOLOR_FORCE", "1")];
    for run in plain {
        let shown = run.at_terminal().ends().raw;
        assert!(shown.contains("retrying") && !shown.contains('\u{1b}'), "{shown}");
    }
}

#[test]
fn a_question_has_no_colour_where_none_is_wanted() {
    let env = filled();
    let mut terminal = env.hookctl(["webhook", "delete", LONG]).env("NO_COLOR", "1").at_terminal();
    terminal.shows("Delete").types("n");
    let shown = terminal.ends().ended_with(2);
    assert!(!shown.raw.contains("\u{1b}[3"), "{}", shown.raw);
}

#[test]
fn an_empty_list_says_what_to_do_next() {
    let (empty, filled) = (TestEnv::new(), filled());
    let cases: [(&[&str], &str); 5] = [
        (&["webhook", "list"], "hookctl webhook create"),
        (&["delivery", "list"], "hookctl emit"),
        (&["event", "list"], "hookctl emit"),
        (&["stats", "--by", "hour"], "--since"),
        (&["drain", "--dry-run"], "hookctl delivery list"),
    ];
    for (command, advice) in cases {
        let run = empty.hookctl(command.iter().copied()).run().ok();
        assert!(run.text().is_empty() && run.err().starts_with("note: ") && run.err().contains(advice), "{run:?}");
        assert_eq!(empty.hookctl(command.iter().copied()).arg("-q").run().ok().err(), "");
    }
    let filtered: [&[&str]; 3] = [
        &["webhook", "list", "--inactive"],
        &["delivery", "list", "--status", "cancelled"],
        &["event", "list", "--type", "no.such"],
    ];
    for command in filtered {
        let run = filled.hookctl(command.iter().copied()).run().ok();
        assert!(run.err().contains(" match; see "), "{run:?}");
    }
    assert!(empty.hookctl(["stats"]).run().ok().text().contains("nothing was delivered in that time"));
}

#[test]
fn a_slip_of_the_finger_is_answered_with_what_was_meant() {
    let env = filled();
    let cases: [(&[&str], i32, &str); 6] = [
        (&["webhok"], 2, "did you mean 'webhook'?"),
        (&["delivery", "list", "--stauts", "failed"], 2, "did you mean '--status'?"),
        (&["delivery", "list", "--status", "faild"], 2, "did you mean 'failed'?"),
        (&["schemes", "-o", "jsn"], 2, "did you mean 'json'?"),
        (&["sign", "--scheme", "githb", "--secret-stdin", "x"], 2, "did you mean 'github'?"),
        (&["webhook", "show", &LONG.to_uppercase()], 3, "did you mean 'billing-"),
    ];
    for (command, code, advice) in cases {
        let run = env.hookctl(command.iter().copied()).run().fails(code);
        assert!(run.err().contains(advice), "{run:?}");
    }
}

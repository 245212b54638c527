//! Questions at a terminal: what is asked, what an answer does, and that nobody is asked without one.

use crate::support::{TestEnv, TestReceiver};

const ENTER: &str = "\r";
const DOWN: &str = "\u{1b}[B";

fn count(env: &TestEnv, table: &str) -> String {
    env.sql_value(&format!("SELECT count(*) FROM {table}"))
}

/// A database with the webhook `crm` and three deliveries to it that wait.
fn filled() -> TestEnv {
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*"]).run().ok();
    for _ in 0..3 {
        env.hookctl(["emit", "invoice.paid", "--data", "{}", "--enqueue"]).run().ok();
    }
    env
}

#[test]
fn create_asks_for_everything_and_shows_the_command() {
    let env = filled();
    let mut terminal = env.hookctl(["webhook", "create"]).at_terminal();
    terminal.shows("Name").types("crm").types(ENTER).shows("there is a webhook 'crm' already");
    terminal.shows("Name").types("42").types(ENTER).shows("error: NAME: ");
    terminal.shows("Name").types("it's new").types(ENTER);
    terminal.shows("URL").types("ftp://127.0.0.1/").types(ENTER).shows("error: --url: ");
    terminal.shows("URL").types("http://169.254.169.254/").types(ENTER).shows("error: --url: ");
    terminal
        .shows("URL")
        .types("http://10.0.0.1/")
        .types(ENTER)
        .shows("Allow private addresses for this webhook?")
        .types("n");
    terminal.shows("URL").types("http://127.0.0.1:9/new?a=1").types(ENTER);
    terminal.shows("Event types").shows("calendar.synced").types(DOWN).types(" ").types(DOWN).types(" ").types(ENTER);
    terminal.shows("More").types("in voice").types(ENTER).shows("error: --event: ");
    terminal.shows("More").types("invoice.*, task.created").types(ENTER);
    terminal.shows("Signature scheme").shows("github").types(DOWN).types(ENTER);
    terminal.shows("The same without questions:").shows("Create it?").types("y");
    let shown = terminal.ends().ended_with(0);
    assert!(shown.has_cursor(), "{}", shown.raw);

    let made = env.hookctl(["webhook", "show", "it's new", "-o", "json"]).run().ok().json();
    assert_eq!(env.settings().last().unwrap()["url"], "http://127.0.0.1:9/new?a=***");
    let events: Vec<&str> = made["events"].as_array().unwrap().iter().map(|event| event.as_str().unwrap()).collect();
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!(events[2..], ["invoice.*", "task.created"]);
    assert_eq!(made["signature_schemes"], serde_json::json!(["timetracker"]));

    // The command it showed makes the same webhook, in a shell.
    let command = shown.text().lines().find(|line| line.starts_with("  hookctl ")).unwrap().to_owned();
    let other = TestEnv::new();
    let folder = std::path::Path::new(env!("CARGO_BIN_EXE_hookctl")).parent().unwrap();
    let ran = std::process::Command::new("sh")
        .args(["-c", &format!("PATH='{}'\n{command}", folder.display())])
        .env("HOOKCTL_DB", other.address())
        .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{command}: {ran:?}");
    let same = other.hookctl(["webhook", "show", "it's new", "-o", "json"]).run().ok().json();
    for key in ["url", "events", "signature_schemes"] {
        assert_eq!(same[key], made[key], "{key}");
    }
}

#[test]
fn create_asks_only_for_what_is_missing_and_takes_enter_for_the_default() {
    let env = TestEnv::new();
    let mut terminal =
        env.hookctl(["webhook", "create", "crm", "--method", "PUT", "--url", "http://127.0.0.1:9/"]).at_terminal();
    terminal.shows("Event types").types(" ").types(ENTER).shows("Event types: *");
    terminal.shows("Signature scheme").types(ENTER).shows("timetracker, standard (the default)");
    terminal.shows("hookctl webhook create crm --method PUT --url http://127.0.0.1:9/ -e '*'").shows("Create it?");
    let shown = terminal.types(ENTER);
    shown.shows("whsec_");
    let made = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    assert_eq!(made["http_method"], "PUT");
    assert_eq!(made["signature_schemes"], serde_json::json!(["timetracker", "standard"]));
}

#[test]
fn the_url_of_a_chat_that_is_typed_does_not_stay_on_the_screen_and_is_no_argument() {
    let env = TestEnv::new();
    let mut terminal = env.hookctl(["webhook", "create", "desk", "-e", "*", "--preset", "slack"]).at_terminal();
    terminal.shows("URL").types("http://127.0.0.1:9/services/hunter2").types(ENTER).shows("http://127.0.0.1:9/***");
    let later = terminal.shows("--preset slack --secret-url-file FILE").shows("Create it?").types("y");
    later.shows("desk");
    let shown = terminal.ends().ended_with(0);
    let (_, later) = shown.raw.split_once("http://127.0.0.1:9/***").unwrap();
    assert!(!later.contains("hunter2"), "{}", shown.raw);
    assert!(env.holds_any(&["services/hunter2"]));
}

#[test]
fn a_wrong_option_is_told_before_the_first_question() {
    let env = TestEnv::new();
    let shown = env.hookctl(["webhook", "create", "--method", "TRACE"]).at_terminal().ends().ended_with(2);
    assert!(shown.text().contains("--method") && !shown.text().contains("Name"), "{}", shown.raw);
}

#[test]
fn no_to_the_last_question_creates_nothing() {
    let env = TestEnv::new();
    let command = ["webhook", "create", "--url", "http://127.0.0.1:9/", "-e", "*", "--no-secret"];
    let mut terminal = env.hookctl(command).at_terminal();
    terminal.shows("Name").types("crm").types(ENTER).shows("Create it?").types("n");
    terminal.ends().ended_with(2);
    assert!(!env.is_made());
    let mut terminal = env.hookctl(command).arg("--yes").at_terminal();
    terminal.shows("Name").types("-x y").types(ENTER);
    terminal.shows("hookctl webhook create --url http://127.0.0.1:9/ -e '*' --no-secret --yes -- '-x y'");
    terminal.shows("are not signed");
    terminal.ends().ended_with(0);
}

#[test]
fn ctrl_c_at_any_question_leaves_the_terminal_in_order_and_nothing_behind() {
    let env = TestEnv::new();
    for answers in 0..5 {
        let mut terminal = env.hookctl(["webhook", "create"]).at_terminal();
        let steps = [
            ("Name", "crm"),
            ("URL", "http://127.0.0.1:9/"),
            ("Event types", " "),
            ("Signature", ""),
            ("Create it?", ""),
        ];
        for (question, answer) in &steps[..answers] {
            terminal.shows(question).types(answer).types(ENTER);
        }
        terminal.shows(steps[answers].0);
        let shown = terminal.interrupted().ended_with(130);
        assert!(shown.has_cursor(), "{}", shown.raw);
        assert!(shown.text().ends_with("nothing was done\n"), "{}", shown.raw);
    }
    assert!(!env.is_made());
}

#[test]
fn whoever_destroys_is_asked_once_and_told_what_goes() {
    let env = filled();
    let file = env.file("all.toml", "webhooks = []\n");
    let prune = ["apply", file.to_str().unwrap(), "--prune"];
    let mut questions: Vec<(&[&str], &str)> = vec![
        (&["delivery", "cancel", "-w", "crm"], "Cancel 3 deliveries?"),
        (&prune, "Delete the webhook 'crm' with 3 deliveries?"),
        (&["webhook", "delete", "crm"], "Delete 'crm' with 3 deliveries, and events that nobody else got?"),
    ];
    if !env.is_on_server() {
        env.hookctl(["db", "backup", "copy.db"]).run().ok();
        questions.insert(2, (&["db", "restore", "copy.db"], "Replace "));
    }
    let state =
        |env: &TestEnv| env.sql("SELECT w.name, d.status FROM deliveries d JOIN webhooks w ON w.id = webhook_id");
    let before = state(&env);
    for (command, question) in questions.clone() {
        let ask = || {
            let mut terminal = env.hookctl(command.iter().copied()).at_terminal();
            if command[0] == "apply" {
                terminal.shows("- delete webhook crm with 3 deliveries");
            }
            terminal.shows(question);
            terminal
        };
        for key in ["n", ENTER] {
            let mut terminal = ask();
            terminal.types(key);
            assert!(terminal.ends().ended_with(2).text().contains("the answer was no"));
        }
        let shown = ask().interrupted().ended_with(130);
        assert!(shown.has_cursor(), "{}", shown.raw);
        assert_eq!(state(&env), before, "{command:?}");
        // Neither a pipe as stdin nor no terminal at all is somebody to ask.
        let piped = env.hookctl(command.iter().copied()).watched(80).ends().ended_with(2);
        assert!(piped.text().contains("say --yes"), "{}", piped.raw);
        let run = env.hookctl(command.iter().copied()).run().fails(2);
        assert!(run.err().contains(question) && run.err().contains("say --yes"), "{run:?}");
        assert_eq!(state(&env), before, "{command:?}");
    }
    // On a file the backup brings back what apply deleted.
    let is_gone = |command: &[&str]| env.is_on_server() && command[0] == "webhook";
    for (command, question) in questions.into_iter().filter(|(command, _)| !is_gone(command)) {
        let mut terminal = env.hookctl(command.iter().copied()).at_terminal();
        terminal.shows(question).types("y");
        terminal.ends().ended_with(0);
        if command[0] == "apply" {
            assert_eq!(count(&env, "webhooks"), "0");
        }
    }
    assert_eq!((count(&env, "webhooks"), count(&env, "deliveries")), ("0".to_owned(), "0".to_owned()));
}

#[test]
fn prune_asks_with_the_numbers() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.hookctl(["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]).run().ok();
    for _ in 0..2 {
        env.hookctl(["emit", "invoice.paid", "--data", "{}"]).now("2026-01-01T00:00:00Z").run().ok();
    }
    let prune = || env.hookctl(["delivery", "prune", "--older-than", "1d"]).now("2026-02-01T00:00:00Z");
    let mut terminal = prune().at_terminal();
    terminal.shows("Delete 2 deliveries").types("n");
    terminal.ends().ended_with(2);
    assert_eq!(count(&env, "deliveries"), "2");
    prune().run().fails(2);
    let mut terminal = prune().at_terminal();
    terminal.shows("Delete 2 deliveries").types("y");
    terminal.ends().ended_with(0);
    assert_eq!(count(&env, "deliveries"), "0");
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let env = TestEnv::new();
    let piped = env.hookctl(["webhook", "create"]).watched(80).ends().ended_with(2);
    assert!(piped.text().starts_with("error: NAME is missing\nhint: "), "{}", piped.raw);
    let small = env.hookctl(["webhook", "create"]).at_terminal_of(10).ends().ended_with(2);
    assert!(small.text().contains("NAME is missing"), "{}", small.raw);
    assert!(!env.is_made());
}

#[test]
fn create_asks_whether_a_private_address_is_meant() {
    let env = TestEnv::new();
    let mut terminal = env.hookctl(["webhook", "create", "crm", "-e", "task.*", "--no-secret"]).at_terminal();
    terminal.shows("URL").types("http://10.0.0.1/hook").types(ENTER);
    terminal.shows("Allow private addresses for this webhook?").types("y");
    terminal.shows("--allow-private --url http://10.0.0.1/hook").shows("Create it?").types("y");
    terminal.ends().ended_with(0);
    let made = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    assert_eq!(made["allow_private"], true);
    let given = ["webhook", "create", "erp", "--url", "http://10.0.0.2/", "--no-secret"];
    let mut terminal = env.hookctl(given).at_terminal();
    terminal.shows("Allow private addresses for this webhook?").types("n").shows("--url: ");
    terminal.ends().ended_with(2);
}

#[test]
fn the_event_types_of_ones_own_are_offered_first() {
    let env = TestEnv::new();
    for own in ["zebra.seen", "yak.shaved"] {
        env.hookctl(["event-type", "add", own]).run().ok();
    }
    let mut terminal =
        env.hookctl(["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "--no-secret"]).at_terminal();
    terminal.shows("Event types").shows("yak.shaved").shows("zebra.seen").shows("api_token.created");
    terminal.types(DOWN).types(" ").types(ENTER).shows("yak.shaved");
}

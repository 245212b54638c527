//! Profiles, and what else the command line takes for all commands: `--jq`.

use crate::support::{TestEnv, TestReceiver};

const CONFIG: &str = r#"
[work]
db = "~/work.db"
output = "json"
owner = "acme"
allow_networks = "127.0.0.0/8"

[home]
color = "always"
"#;

fn configured(text: &str) -> TestEnv {
    let env = TestEnv::new();
    std::fs::create_dir_all(env.path().join("config/hookctl")).unwrap();
    env.file("config/hookctl/config.toml", text);
    env
}

/// A run that has nothing of its own but the profile.
fn run(env: &TestEnv, arguments: &[&str]) -> crate::support::Hookctl {
    let run = env.hookctl(arguments).env("XDG_CONFIG_HOME", env.path().join("config"));
    ["HOOKCTL_DB", "HOOKCTL_OWNER", "HOOKCTL_ALLOW_NETWORKS"].iter().fold(run, |run, name| run.without_env(name))
}

#[test]
fn a_profile_stands_in_for_what_is_not_given() {
    let (env, receiver) = (configured(CONFIG), TestReceiver::start(200));
    let create = ["-p", "work", "webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"];
    let made = run(&env, &create).run().ok();
    assert_eq!(made.json()["owner"], "acme");
    assert!(env.path().join("work.db").exists());
    run(&env, &["-p", "work", "emit", "a.b", "--strict", "-q"]).run().ok();
    assert_eq!(receiver.count(), 1, "its networks are allowed");
    // Environment and options win.
    let list = |more: &[&str]| run(&env, &[&["webhook", "list"], more].concat()).env("HOOKCTL_PROFILE", "work");
    assert_eq!(list(&[]).run().ok().json()[0]["name"], "crm");
    assert!(list(&[]).env("HOOKCTL_OUTPUT", "csv").run().ok().text().starts_with("id,"));
    assert!(list(&["-o", "csv"]).run().ok().text().starts_with("id,"));
    assert_eq!(list(&["--db", "other.db"]).run().ok().text(), "[]\n");
    let second = ["-p", "work", "webhook", "create", "two", "--url", &receiver.url(), "-e", "*"];
    let owner = |run: crate::support::Hookctl| run.run().ok().json()["owner"].clone();
    assert_eq!(owner(run(&env, &second).env("HOOKCTL_OWNER", "none")), serde_json::Value::Null);
    let third = ["-p", "work", "webhook", "create", "three", "--url", &receiver.url(), "-e", "*", "--owner", "b"];
    assert_eq!(owner(run(&env, &third)), "b");
    let colored = |run: crate::support::Hookctl| run.run().ok().text().contains('\u{1b}');
    assert!(colored(run(&env, &["-p", "home", "schemes"])));
    assert!(!colored(run(&env, &["-p", "home", "schemes"]).env("NO_COLOR", "1")));
    assert!(!colored(run(&env, &["-p", "home", "schemes", "--color", "never"])));
}

#[test]
fn a_profile_names_the_file_with_the_key_of_its_database() {
    let config = "[work]\nkey_file = \"~/work.key\"\n[gone]\nkey_file = \"/nonexistent/key\"\n";
    let (env, receiver) = (configured(config), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    env.hookctl(["db", "encrypt", "--key-file", "work.key"]).run().ok();
    let emit = |more: &[&str]| env.hookctl(more.iter().chain(&["emit", "a.b", "--strict"]).copied());
    let emit = |more: &[&str]| emit(more).env("XDG_CONFIG_HOME", env.path().join("config"));
    emit(&[]).run().fails(1);
    emit(&["-p", "work"]).run().ok();
    assert_eq!(receiver.count(), 1);
    let gone = emit(&["-p", "gone"]).run().fails(1);
    assert!(gone.err().contains("key_file: cannot read '/nonexistent/key'"), "{gone:?}");
    // The environment wins.
    emit(&["-p", "gone"]).env("HOOKCTL_KEY_FILE", env.path().join("work.key")).run().ok();
    let over = emit(&["-p", "work"]).env("HOOKCTL_KEY_FILE", "/nonexistent/other").run().fails(1);
    assert!(over.err().contains("HOOKCTL_KEY_FILE: cannot read"), "{over:?}");
}

#[test]
fn a_wrong_key_is_told_with_file_and_line() {
    let file = |env: &TestEnv| env.path().join("config/hookctl/config.toml").display().to_string();
    for (line, told) in [
        ("databse = \"x\"", "unknown field `databse`"),
        ("output = \"xml\"", "output: "),
        ("color = true", "invalid type: boolean"),
        ("= 1", "keys cannot be empty"),
    ] {
        let env = configured(&format!("[work]\nowner = \"a\"\n{line}\n"));
        let run = run(&env, &["-p", "work", "webhook", "list"]).run().fails(2);
        assert!(run.err().starts_with(&format!("error: {}:3: ", file(&env))) && run.err().contains(told), "{run:?}");
    }
    let env = configured(CONFIG);
    let run_err = |arguments: &[&str]| run(&env, arguments).run().fails(2).err();
    let told = run_err(&["-p", "wrok", "webhook", "list"]);
    assert!(told.contains("no profile 'wrok'") && told.contains("did you mean 'work'?"), "{told}");
    let none = run(&env, &["-p", "work", "webhook", "list"]).env("XDG_CONFIG_HOME", "/nowhere").run().fails(2).err();
    assert!(none.contains("--profile: cannot read /nowhere/hookctl/config.toml"), "{none}");
    run(&env, &["-p", "wrok", "check"]).run().fails(3);
}

#[test]
fn json_goes_through_a_jq_expression_one_result_a_line() {
    let env = TestEnv::new();
    for name in ["one", "two"] {
        env.create(name, "http://127.0.0.1:9/?a=1", &[]);
    }
    let jq = |arguments: &[&str]| env.hookctl(arguments.iter().copied()).run();
    assert_eq!(jq(&["webhook", "list", "--jq", ".[].name"]).ok().text(), "two\none\n");
    assert_eq!(
        jq(&["webhook", "list", "--jq", ".[] | {name, id}"]).ok().text().lines().next(),
        Some(r#"{"name":"two","id":2}"#)
    );
    assert_eq!(jq(&["webhook", "list", "-o", "jsonl", "--jq", "[.id]"]).ok().text(), "[2]\n[1]\n");
    assert_eq!(jq(&["--jq", "length", "webhook", "list", "-o", "csv"]).ok().text(), "2\n");
    assert_eq!(
        jq(&["emit", "a.b", "--enqueue", "-q", "--jq", ".deliveries[].status"]).ok().text(),
        "pending\npending\n"
    );
    assert_eq!(jq(&["drain", "--dry-run", "--jq", "map(.due) | add"]).ok().text(), "2\n");
    assert_eq!(jq(&["event-type", "list", "--jq", "empty"]).ok().text(), "");
    assert_eq!(jq(&["check", "--jq", ".status"]).text(), "ok\n");
    let bad = jq(&["webhook", "create", "x", "--url", "http://127.0.0.1:9/", "-e", "*", "--jq", ".a |"]).fails(2);
    assert!(bad.err().starts_with("{\"error\"") || bad.err().contains("--jq: not a jq expression"), "{bad:?}");
    assert_eq!(env.sql_value("SELECT count(*) FROM webhooks"), "2", "nothing was done");
    let failed = jq(&["webhook", "list", "--jq", ".[0].id, (.[0].name + 1)"]).fails(1);
    assert!(failed.text() == "2\n" && failed.err().contains("--jq: "), "{failed:?}");
    let run = env.hookctl(["webhook", "list", "--jq", "repeat(1)"]).run_into_closed_pipe().ok();
    assert_eq!(run.err(), "");
}

#[test]
fn what_an_expression_gives_holds_no_control_character_but_lines_and_tabs() {
    let env = TestEnv::new();
    let strings = r#""a\u001b[31mb\u202e\nc\td", ["\u009b"]"#;
    let run = env.hookctl(["webhook", "list", "--jq", strings]).run().ok();
    assert_eq!(run.text(), "a\\u{1b}[31mb\\u{202e}\nc\td\n[\"\\u009b\"]\n");
}

#[test]
fn a_guide_at_a_terminal_is_rendered_and_goes_through_a_pager() {
    let env = TestEnv::new();
    let guide =
        |pager: &str| env.hookctl(["help", "monitoring"]).env("PAGER", pager).at_terminal().ends().ended_with(0);
    let shown = guide("cat > paged.txt").raw;
    assert!(shown.is_empty(), "{shown}");
    let paged = std::fs::read_to_string(env.path().join("paged.txt")).unwrap();
    assert!(
        paged.starts_with("\u{1b}[1mMonitoring, and running the drain\u{1b}[0m\n") && !paged.contains("```"),
        "{paged}"
    );
    for direct in ["", "cat", "no-such-pager"] {
        let shown = guide(direct).raw;
        assert!(shown.contains("Monitoring") && !shown.contains("```") && !shown.contains("##"), "{direct}: {shown}");
    }
    let left = env.hookctl(["help", "receiving"]).env("PAGER", "head -1").at_terminal().ends().ended_with(0);
    assert_eq!(left.raw.lines().count(), 1, "{}", left.raw);
}

#[test]
fn help_completes_commands_and_guides() {
    let env = configured(CONFIG);
    let offered = |words: &[&str]| {
        let run = run(&env, &[&["complete", "fish", "--", "hookctl"], words].concat()).run().ok();
        run.text().lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = offered(&["help", ""]);
    assert!(
        ["webhook", "emit", "receiving", "monitoring"].iter().all(|word| first.iter().any(|found| found == word)),
        "{first:?}"
    );
    assert_eq!(offered(&["help", "rec"]), ["receiving"]);
    assert_eq!(offered(&["help", "webhook", "secret", "ro"]), ["rotate"]);
    assert_eq!(offered(&["help", "emit", ""]), Vec::<String>::new());
    assert_eq!(offered(&["-p", ""]), ["home", "work"]);
}

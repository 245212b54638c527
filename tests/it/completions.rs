//! Completion in the real shells: a line is typed with Tabs in it, and what the shell then runs is what it completed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Child, Run, TestEnv, installed};

/// A name that only a shell's own quoting makes one word.
const ODD: &str = "odd 'name' \"$(touch pwned)\"; x:y `z` \\";

/// Two webhooks and an event, and the shells' own folder of scripts.
fn prepared() -> TestEnv {
    let env = TestEnv::new();
    for name in ["crm-eu", ODD] {
        env.create(name, "http://127.0.0.1:9/", &[]);
    }
    env.hookctl(["emit", "invoice.paid", "--enqueue", "--event-id", "order-7"]).run().ok();
    env.file("key.txt", "key");
    env.file("body.json", "{}");
    env
}

fn script(name: &str) -> String {
    format!("{}/completions/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A program in the environment, with the binary under test as `hookctl`.
fn program(env: &TestEnv, name: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_hookctl")).parent().unwrap();
    let mut command = Command::new(name);
    command.env_clear().current_dir(env.path()).stdout(Stdio::piped());
    command.env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()));
    command.env("HOME", env.path()).env("ZDOTDIR", env.path()).env("HOOKCTL_DB", env.address());
    command.env("TERM", "dumb").env("LC_ALL", "C.UTF-8").env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8");
    command
}

/// Types lines into an interactive shell in a terminal of its own.
fn type_into(env: &TestEnv, shell: &str, lines: &[&str]) -> Run {
    let mut command = program(env, "script");
    command.args(["-qec", shell, "/dev/null"]);
    Child::start(command, format!("{}\nexit\n", lines.join("\n")).into_bytes()).wait_timeout(Duration::from_secs(30))
}

/// The lines that are typed in a shell, `\t` being the Tab key, and what the files that they write hold.
fn assert_completes(env: &TestEnv, shell: &str) {
    let run = type_into(
        env,
        shell,
        &[
            "hookctl web\tli\t-o json > list.json",
            "hookctl webhook show cr\t-o json > plain.json",
            "hookctl webhook show od\t-o json > odd.json",
            "hookctl webhook show \"od\t-o json > quoted.json",
            "hookctl webhook show 'od\t-o json > single.json",
            "hookctl sign --scheme=github-s\t--secret-file ke\tbody.json > signed.txt",
            "hookctl event show or\t-o json > event.json",
            "hookctl delivery list --status pen\t-o json > pending.json",
        ],
    );
    let read = |name: &str| fs::read_to_string(env.path().join(name)).unwrap_or_default();
    let json = |name: &str| -> serde_json::Value {
        serde_json::from_str(&read(name)).unwrap_or_else(|error| panic!("{shell}: {name}: {error}\n{run:?}"))
    };
    assert_eq!(json("list.json").as_array().unwrap().len(), 2);
    assert_eq!(json("plain.json")["name"], "crm-eu");
    for name in ["odd.json", "quoted.json", "single.json"] {
        assert_eq!(json(name)["name"], ODD, "{name}");
    }
    assert!(read("signed.txt").starts_with("X-Hub-Signature: sha1="), "{run:?}");
    assert_eq!(json("event.json")["event_id"], "order-7");
    assert_eq!(json("pending.json").as_array().unwrap().len(), 2);
    assert!(!env.path().join("pwned").exists(), "a name was run");
}

#[test]
fn bash_completes() {
    let (Some(_), Some(_)) = (installed(&["bash"], "bash"), installed(&["script"], "bsdutils")) else { return };
    let env = prepared();
    env.file("rc", format!("source {}\n", script("hookctl.bash")));
    assert_completes(&env, "bash --rcfile rc -i");
}

#[test]
fn zsh_completes() {
    let (Some(_), Some(_)) = (installed(&["zsh"], "zsh"), installed(&["script"], "bsdutils")) else { return };
    let env = prepared();
    fs::create_dir(env.path().join("functions")).unwrap();
    fs::copy(script("_hookctl"), env.path().join("functions/_hookctl")).unwrap();
    env.file(".zshrc", "fpath=($ZDOTDIR/functions $fpath)\nautoload -U compinit\ncompinit -u -D\n");
    assert_completes(&env, "zsh -i");
}

#[test]
fn fish_completes() {
    let Some(_) = installed(&["fish"], "fish") else { return };
    let env = prepared();
    let completed = |line: &str| {
        let mut command = program(&env, "fish");
        command.args(["-c", &format!("source {}; complete -C $argv[1]", script("hookctl.fish")), line]);
        Child::start(command, Vec::new()).wait_timeout(Duration::from_secs(30)).ok().text()
    };
    let values = |line: &str| -> Vec<String> {
        completed(line).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    assert_eq!(completed("hookctl web"), "webhook\tCreate, change, test and remove webhooks\n");
    assert_eq!(values("hookctl webhook show "), ["crm-eu", ODD]);
    assert_eq!(values("hookctl webhook show 'od"), [ODD]);
    assert_eq!(values("hookctl sign --scheme github-"), ["github-sha1"]);
    assert_eq!(values("hookctl delivery list --status f"), ["failed"]);
    assert_eq!(completed("hookctl event show or"), "order-7\tinvoice.paid\n");
    assert_eq!(values("hookctl sign --secret-file ke"), ["key.txt"], "files are the shell's own");
    // Run, the completed name is one word.
    let line = "hookctl webhook show (complete -C 'hookctl webhook show od') -o json";
    let mut command = program(&env, "fish");
    command.args(["-c", &format!("source {}; {line}", script("hookctl.fish"))]);
    let run = Child::start(command, Vec::new()).wait_timeout(Duration::from_secs(30)).ok();
    assert_eq!(run.json()["name"], ODD);
    assert!(!env.path().join("pwned").exists(), "a name was run");
}

/// What the scripts are answered, whatever the shell.
fn offered(env: &TestEnv, words: &[&str]) -> Vec<String> {
    let run = env.hookctl(["complete", "fish", "--", "hookctl"]).args(words.iter().copied()).run().ok();
    assert_eq!(run.err(), "");
    run.text().lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

#[test]
fn values_come_from_the_database_that_the_line_names() {
    let env = prepared();
    let other = env.path().join("other.db");
    let create = ["webhook", "create", "elsewhere", "--url", "http://127.0.0.1:9/", "-e", "*", "--db"];
    env.hookctl(create).arg(&other).run().ok();
    assert_eq!(offered(&env, &["webhook", "show", ""]), ["crm-eu", ODD]);
    let other = other.to_str().unwrap();
    assert_eq!(offered(&env, &["--db", other, "webhook", "show", ""]), ["elsewhere"]);
    assert_eq!(offered(&env, &[&format!("--db={other}"), "webhook", "test", "e"]), ["elsewhere"]);
    assert_eq!(
        offered(&env, &["webhook", "create", "x", "-e", "task.created,invoice.pa"]),
        ["task.created,invoice.paid"]
    );
    assert_eq!(offered(&env, &["webhook", "update", "x", "--add-event", "*,!invoice.pa"]), ["*,!invoice.paid"]);
    assert_eq!(offered(&env, &["webhook", "create", "x", "--preset", "s"]), ["slack"]);
    assert_eq!(offered(&env, &["webhook", "create", "x", "--ordered=k"]), ["--ordered=key"]);
    assert_eq!(offered(&env, &["delivery", "retry", ""]), ["2", "1"]);
}

#[test]
fn where_something_is_wrong_nothing_is_said_and_nothing_made() {
    let env = TestEnv::new();
    assert!(offered(&env, &["webhook", "show", "x"]).is_empty());
    assert_eq!(offered(&env, &["emit", "invoice.pai"]), ["invoice.paid"], "the catalogue needs no database");
    assert!(!env.is_made());
    env.file("hookctl.db", "not a database");
    for words in
        [&["webhook", "show", "x"][..], &["no", "such", "x"], &["--db"], &["--db", "", "webhook", "show", "x"], &[]]
    {
        offered(&env, words);
    }
    env.hookctl(["complete", "bash", "--"]).run().ok();
}

#[test]
fn a_name_that_no_line_can_hold_is_not_offered() {
    let env = prepared();
    env.sql_write("UPDATE webhooks SET name = 'crm\nrm -rf\u{1b}' WHERE name = 'crm-eu'");
    assert_eq!(offered(&env, &["webhook", "show", ""]), [ODD]);
}

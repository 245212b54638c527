//! Credentials set up in every way, and searched for in every output of every command: new commands are found by the lists of
//! commands in the help.

use std::time::Duration;

use crate::support::{Identity, Run, TestEnv, TestReceiver, closed_port};

/// The marks in the credentials.
const MARKS: [&str; 8] = [
    "MARK-of-the-argument",
    "MARK-of-the-variable",
    "MARK-of-the-file",
    "MARK-of-the-chat",
    "MARK-of-the-query",
    "MARK-of-the-proxy",
    "MARK-of-the-secret",
    "PRIVATE KEY",
];

/// Commands that are made to hand credentials over, or that only end when they are told to.
const LEFT_OUT: [&str; 4] = ["webhook secret reveal", "listen", "demo", "delivery tail"];

/// What a command may ask for: nothing, a webhook, an id, an event type, a receiver.
const GUESSES: [&[&str]; 7] =
    [&[], &["chat"], &["1"], &["evt-1"], &["invoice.paid"], &["-w", "chat"], &["http://127.0.0.1:9/", "-w", "chat"]];

struct World {
    env: TestEnv,
    _receiver: TestReceiver,
}

impl World {
    /// Webhooks with every kind of credential, and deliveries that ended in every kind of error.
    fn new() -> World {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(200).on("/500", 500);
        let identity = Identity::local();
        env.file("client.pem", identity.pem());
        env.file("client.key", identity.key_pem());
        env.file("token", "MARK-of-the-file");
        env.file("chat", receiver.url_at("/MARK-of-the-chat"));
        let (dead, plain) = (closed_port(), receiver.address());
        let chat: &[&str] = &["--secret-url-file", "chat"];
        let url = |name: &str, url: String| (name.to_owned(), vec!["--url".to_owned(), url]);
        let owned = |options: &[&str]| options.iter().map(|option| (*option).to_owned()).collect::<Vec<_>>();
        let mut webhooks = vec![("chat".to_owned(), owned(chat))];
        webhooks.push(url("http-error", format!("http://{plain}/500?key=MARK-of-the-query")));
        webhooks.push(url("refused", format!("http://{dead}/?key=MARK-of-the-query")));
        webhooks.push(url("unknown", "http://no-such-name.invalid/?key=MARK-of-the-query".to_owned()));
        let (name, mut tls) = url("tls", format!("https://{plain}/?key=MARK-of-the-query"));
        tls.extend(owned(&["--client-cert", "client.pem", "--client-key", "client.key"]));
        webhooks.push((name, tls));
        let (name, mut proxied) = url("proxied", format!("http://{plain}/?key=MARK-of-the-query"));
        proxied.extend(owned(&["--proxy", &format!("http://me@{dead}"), "--proxy-password-env", "P"]));
        webhooks.push((name, proxied));
        for (name, options) in webhooks {
            let create = ["webhook", "create", &name, "-e", "invoice.*", "-vv", "--secret-env", "S", "-o", "jsonl"];
            let run = env.hookctl(create).args(options).args(["--header-env", "X-Tenant=T", "--header-file"]);
            let run = run.args(["X-Custom=token", "-H", "Authorization: Bearer MARK-of-the-argument"]);
            let run = with_credentials(run).run().ok();
            let shown_once: Vec<&str> = MARKS.into_iter().filter(|mark| *mark != "MARK-of-the-secret").collect();
            assert_none(&run, &shown_once);
            assert!(run.err().contains("--header-env Authorization=VAR"), "the better way is named: {run:?}");
        }
        let emit = ["emit", "invoice.paid", "--event-id", "evt-1", "--data", "{}", "-vv"];
        assert_none(&env.hookctl(emit).run().ok(), &MARKS);
        World { env, _receiver: receiver }
    }
}

fn with_credentials(run: crate::support::Hookctl) -> crate::support::Hookctl {
    run.env("T", "MARK-of-the-variable").env("P", "MARK-of-the-proxy").env("S", "MARK-of-the-secret")
}

#[track_caller]
fn assert_none(run: &Run, marks: &[&str]) {
    let (out, err) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    for mark in marks {
        // The file that `webhook create` was given is named so.
        assert!(!out.contains(mark) && !err.contains(mark), "{mark}\n{run:?}");
    }
}

/// Every command that has none below it, by the lists in the help.
fn leaves(env: &TestEnv) -> Vec<Vec<String>> {
    let (mut leaves, mut open) = (Vec::new(), vec![Vec::<String>::new()]);
    while let Some(words) = open.pop() {
        let help = env.hookctl(words.clone()).arg("--help").run().ok().text();
        let list = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
        let names: Vec<&str> =
            list.filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help").collect();
        match names.is_empty() {
            true => leaves.push(words),
            false => open.extend(names.iter().map(|name| [&words[..], &[(*name).to_owned()]].concat())),
        }
    }
    leaves
}

#[test]
fn no_command_shows_a_credential_in_any_format_log_or_error() {
    let World { env, .. } = &World::new();
    let leaves = leaves(env);
    assert!(leaves.len() > 40, "{leaves:?}");
    let run = |words: &[String], more: &[&str]| {
        let run = env.hookctl(words.to_vec()).args(more.iter().copied()).arg("-vv");
        let run = run.time_limit(Duration::from_secs(50)).run();
        assert_none(&run, &MARKS);
        run.code
    };
    let mut answered = 0;
    for words in leaves.iter().filter(|words| !LEFT_OUT.contains(&words.join(" ").as_str())) {
        for guess in GUESSES {
            if run(words, guess) == Some(2) {
                continue;
            }
            answered += 1;
            for format in ["json", "jsonl", "csv"] {
                run(words, &[guess, &["-o", format]].concat());
            }
        }
    }
    assert!(answered > 40, "only {answered} commands did more than refuse");
    env.hookctl(["stats", "--html", "report.html"]).run().ok();
    let html = std::fs::read_to_string(env.path().join("report.html")).unwrap();
    assert!(MARKS.iter().all(|mark| !html.contains(mark)));
}

#[test]
fn reveal_and_export_show_what_they_are_asked_for_and_read_only_refuses_both() {
    let World { env, .. } = &World::new();
    let mut shown = env.hookctl(["export", "--with-secrets"]).run().ok().text();
    assert!(MARKS.iter().all(|mark| shown.contains(mark)), "{shown}");
    shown.clear();
    for webhook in ["chat", "tls", "proxied"] {
        shown += &env.hookctl(["webhook", "secret", "reveal", webhook]).run().ok().text();
    }
    assert!(MARKS.iter().all(|mark| shown.contains(mark)), "{shown}");
    for command in [&["export", "--with-secrets"][..], &["webhook", "secret", "reveal", "chat"]] {
        assert_none(&env.hookctl(command.iter().copied()).arg("--read-only").run().fails(1), &MARKS);
    }
}

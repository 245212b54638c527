//! Credentials set up in every way, and searched for in every output of every command: new commands are found by the lists of
//! commands in the help.

use std::time::Duration;

use crate::support::{Child, Hookctl, Identity, Reply, Run, TestEnv, TestReceiver, closed_port, files_with};

/// The marks in the credentials.
const MARKS: [&str; 10] = [
    "MARK-of-the-argument",
    "MARK-of-the-variable",
    "MARK-of-the-file",
    "MARK-of-the-chat",
    "MARK-of-the-query",
    "MARK-of-the-proxy",
    "MARK-of-the-secret",
    "MARK-of-the-event",
    // The first half of a whsk_ key; its public key is no secret.
    "HpPea21PS1N9VY",
    "PRIVATE KEY",
];

const KEY_PAIR: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

/// Commands that are made to hand credentials over, or that only end when they are told to: each has a test of its own.
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
        let receiver = TestReceiver::start(200)
            .on("/500", 500)
            .on("/stall", Reply::Stall)
            .on("/garbage", Reply::Raw(b"garbage\r\n\r\n".to_vec()));
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
        let (name, mut stalling) = url("stalling", format!("http://{plain}/stall?key=MARK-of-the-query"));
        stalling.extend(owned(&["--timeout", "300ms"]));
        webhooks.push((name, stalling));
        webhooks.push(url("garbage", format!("http://{plain}/garbage?key=MARK-of-the-query")));
        let (name, mut blocked) = url("blocked", "http://10.0.0.1/?key=MARK-of-the-query".to_owned());
        blocked.extend(owned(&["--allow-network", "10.0.0.1"]));
        webhooks.push((name, blocked));
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
        let shop = ["webhook", "create", "shop", "--url", &format!("http://{plain}/"), "-e", "invoice.*"];
        let shop = env.hookctl(shop).args(["--signature", "standard-v1a,hmac", "--secret-env", "K"]);
        shop.env("K", KEY_PAIR).run().ok();
        env.set_settings(&serde_json::json!({"allow_networks": []}));
        let emit =
            ["emit", "invoice.paid", "--data", "{}", "-vv", "-H", "X-Event-Token: MARK-of-the-event", "--event-id"];
        assert_none(&env.hookctl(emit).arg("evt-1").run().ok(), &MARKS);
        env.hookctl(emit).args(["evt-2", "--enqueue", "-w", "chat"]).run().ok();
        env.sql_write("UPDATE events SET headers = 'MARK-of-the-event' WHERE event_id = 'evt-2'");
        assert_none(&env.hookctl(["drain", "-vv", "-w", "chat"]).run().ok(), &MARKS);
        World { env, _receiver: receiver }
    }
}

fn with_credentials(run: Hookctl) -> Hookctl {
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
    let failed = "SELECT count(DISTINCT error_type) FROM attempts WHERE error_type IS NOT NULL";
    assert_eq!(env.sql_value(failed), "9", "attempts failed in every way");
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
    let of_webhooks = || MARKS.iter().filter(|mark| **mark != "MARK-of-the-event");
    assert!(of_webhooks().all(|mark| shown.contains(mark)), "{shown}");
    shown.clear();
    for webhook in ["chat", "tls", "proxied", "shop"] {
        shown += &env.hookctl(["webhook", "secret", "reveal", webhook]).run().ok().text();
    }
    assert!(of_webhooks().all(|mark| shown.contains(mark)), "{shown}");
    for command in [&["export", "--with-secrets"][..], &["webhook", "secret", "reveal", "chat"]] {
        assert_none(&env.hookctl(command.iter().copied()).arg("--read-only").run().fails(1), &MARKS);
    }
}

const SOON: Duration = Duration::from_secs(30);

/// A log that is followed, in each format, while every attempt fails or not.
#[test]
fn a_log_that_is_followed_shows_no_credential() {
    let World { env, .. } = &World::new();
    let tails: Vec<Child> = ["table", "json", "jsonl", "csv"]
        .into_iter()
        .map(|format| {
            let tail = env.hookctl(["delivery", "tail", "-vv", "-o", format]).spawn();
            tail.wait_for_stderr("following", SOON);
            tail
        })
        .collect();
    let emit =
        ["emit", "invoice.paid", "--data", "{}", "--event-id", "evt-3", "-H", "X-Event-Token: MARK-of-the-event"];
    env.hookctl(emit).run().ok();
    for tail in tails {
        for webhook in ["proxied", "http-error", "tls", "shop", "stalling"] {
            tail.wait_for_stdout(webhook, SOON);
        }
        tail.signal("INT");
        assert_none(&tail.wait_timeout(SOON), &MARKS);
    }
}

#[test]
fn what_listen_shows_and_records_and_the_tour_hold_no_credential() {
    let World { env, .. } = &World::new();
    let listen = env.hookctl(["listen", "--count", "1", "-vv", "-o", "json", "--record", "recorded"]).spawn();
    let line = listen.wait_for_stderr("listening on", SOON);
    let url = line.strip_prefix("listening on ").unwrap();
    env.hookctl(["webhook", "create", "here", "--url", url, "-e", "*", "--header-file", "X-Api-Key=token"]).run().ok();
    let emit = ["emit", "a.b", "--data", "{}", "-w", "here", "-H", "X-Event-Token: MARK-of-the-event"];
    env.hookctl(emit).run().ok();
    let run = listen.wait_timeout(SOON).ok();
    assert_eq!(run.json()["headers"]["x-api-key"], "***", "{run:?}");
    assert_none(&run, &MARKS);
    assert_eq!(files_with(&env.path().join("recorded"), &MARKS), [""; 0]);
    assert_none(&env.hookctl(["replay", "recorded", "--to", url, "--dry-run", "-vv"]).run().ok(), &MARKS);
    let tour = env.hookctl(["demo", "-vv"]).run().ok();
    assert_none(&tour, &MARKS);
}

#[test]
fn the_process_list_shows_no_credential_while_requests_are_under_way() {
    let World { env, .. } = &World::new();
    let slow = TestReceiver::start(Reply::Stall);
    let create = ["webhook", "create", "slow", "-e", "slow.one", "--secret-url-env", "U", "--header-env", "X-Tenant=T"];
    let create = env.hookctl(create).args(["--signature", "github,standard-v1a", "--secret-env", "K"]);
    create.env("U", slow.url_at("/MARK-of-the-chat")).env("T", "MARK-of-the-variable").env("K", KEY_PAIR).run().ok();
    let mut child = env.hookctl(["emit", "slow.one", "--data", "{}"]).spawn();
    slow.wait_for(1, SOON);
    for file in ["cmdline", "environ", "comm"] {
        let Ok(bytes) = std::fs::read(format!("/proc/{}/{file}", child.id())) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        assert!(MARKS.iter().all(|mark| !text.contains(mark)), "{file}: {text}");
    }
    assert!(child.is_running(), "the request is under way");
    child.kill();
}

#[test]
fn once_encrypted_no_file_of_the_database_nor_a_copy_holds_a_credential() {
    only_on_files!();
    let World { env, .. } = &World::new();
    env.sql_write("DELETE FROM attempts WHERE delivery_id IN (SELECT d.id FROM deliveries d JOIN events e ON e.id = d.event_id WHERE e.event_id = 'evt-2')");
    env.sql_write("UPDATE events SET headers = NULL WHERE event_id = 'evt-2'");
    assert!(!files_with(env.path(), &MARKS).is_empty(), "the test looks where they are");
    for given in ["token", "chat", "client.key"] {
        std::fs::remove_file(env.path().join(given)).unwrap();
    }
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    let with_key =
        |arguments: &[&str]| env.hookctl(arguments.iter().copied()).env("HOOKCTL_KEY_FILE", env.path().join("key"));
    let emit = ["emit", "invoice.paid", "--data", "{}", "-H", "X-Event-Token: MARK-of-the-event"];
    with_key(&emit).run().ok();
    with_key(&["db", "backup", "copy.db"]).run().ok();
    with_key(&["metrics", "--file", "metrics.prom"]).run().ok();
    with_key(&["stats", "--html", "report.html"]).run().ok();
    assert_eq!(files_with(env.path(), &MARKS), [""; 0]);
    let shown = with_key(&["webhook", "secret", "reveal", "tls"]).run().ok().text();
    assert!(shown.contains("PRIVATE KEY") && shown.contains("MARK-of-the-variable"), "{shown}");
}

#[test]
fn an_answer_that_repeats_the_credentials_of_its_request_is_stored_masked() {
    let receiver = TestReceiver::start(crate::support::Script::each(|request| {
        let said = |name: &str| request.header(name).unwrap_or_default().to_owned();
        let body = format!("Cannot POST {}, {} {}", request.path, said("authorization"), said("x-event-token"));
        Reply::StatusWith {
            status: 404,
            headers: vec![("Location".to_owned(), request.path.clone())],
            body: body.into_bytes(),
        }
    }));
    let env = TestEnv::new();
    let chat = receiver.url_at("/services/MARK-of-the-chat");
    let create = ["webhook", "create", "chat", "--secret-url-env", "CHAT", "-e", "*", "--allow-private", "--no-secret"];
    let token = ["--header-env", "Authorization=TOKEN"];
    env.hookctl(create).args(token).env("CHAT", &chat).env("TOKEN", "Bearer MARK-of-the-variable").run().ok();
    env.hookctl(["emit", "a.b", "-H", "X-Event-Token: MARK-of-the-event"]).run().ok();
    assert!(receiver.requests()[0].header("authorization").is_some_and(|value| value.contains("MARK")));
    let shown = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok();
    let shown = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.contains("Cannot POST") && !shown.contains("MARK-of"), "{shown}");
}

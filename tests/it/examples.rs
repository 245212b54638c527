//! The examples of every command's help, which are those of the manual pages too, run as they stand there.

use std::process::{Command, Stdio};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use console::measure_text_width;

use crate::support::{Child, Engine, Run, TestEnv, TestReceiver, installed};

/// How long an example may take before it counts as one that goes on until it is stopped.
const GOES_ON: Duration = Duration::from_secs(4);

/// The words of a command, and its help.
struct Page {
    command: String,
    help: String,
    is_leaf: bool,
}

/// The help of every command that is shown, found as a reader finds it: by the list of commands in the help above.
static PAGES: LazyLock<Vec<Page>> = LazyLock::new(|| {
    let env = TestEnv::new();
    let mut found = Vec::new();
    let mut open = vec![Vec::<String>::new()];
    while let Some(words) = open.pop() {
        let help = env.hookctl(words.clone()).arg("--help").run().ok().text();
        let names = section(&help, "Commands").into_iter().filter_map(|line| line.split(' ').next());
        let below: Vec<Vec<String>> =
            names.filter(|name| *name != "help").map(|name| [&words[..], &[name.to_owned()]].concat()).collect();
        found.push(Page { command: words.join(" "), is_leaf: below.is_empty(), help });
        open.extend(below);
    }
    found
});

/// The lines below a heading, without the blanks that set them in.
fn section<'a>(help: &'a str, heading: &str) -> Vec<&'a str> {
    let start = format!("{heading}:");
    let lines = help.lines().skip_while(|line| *line != start).skip(1);
    lines.take_while(|line| !line.is_empty()).map(str::trim_start).collect()
}

/// The examples, each on one line: one that goes on in the next line ends in a backslash or a pipe.
fn examples(help: &str) -> Vec<String> {
    let mut joined: Vec<String> = Vec::new();
    for line in section(help, "Examples") {
        match joined.last_mut() {
            Some(last) if last.ends_with(['\\', '|']) => {
                *last = format!("{} {line}", last.trim_end_matches(['\\', ' ']));
            }
            _ => joined.push(line.to_owned()),
        }
    }
    joined
}

/// A database with what the examples name, the files that they read, and a receiver that takes everything.
struct World {
    receiver: TestReceiver,
    template: TestEnv,
    github: String,
    stripe: String,
}

impl World {
    fn new() -> World {
        let receiver = TestReceiver::start(200).on("/down", 500);
        let env = TestEnv::new();
        let run = |words: &[&str]| env.hookctl(words.iter().copied()).env("SECRET", "abc").run();
        for (name, text) in [
            ("event.json", r#"{"id":7}"#),
            ("order.json", r#"{"type":"object","required":["id"]}"#),
            ("order-7.json", r#"{"id":7}"#),
            ("body.json", r#"{"id":7}"#),
            ("body.txt", "token=x"),
            ("slack.url", "http://127.0.0.1:9/services/x"),
            ("body.bin", "\u{1}\u{2}"),
            ("key.txt", "whsec_abc"),
            ("new.txt", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwQ2ZZDYyUYhY="),
            (
                "events.jsonl",
                "{\"type\":\"task.created\",\"data\":1}\n{\"type\":\"invoice.paid\",\"data\":{\"id\":7}}\n",
            ),
        ] {
            env.file(name, text);
        }
        let create = |name: &str, path: &str, retries: &str| {
            let url = receiver.url_at(path);
            run(&["webhook", "create", name, "--url", &url, "-e", "*,invoice.paid", "--max-retries", retries]).ok();
        };
        create("crm", "/hooks", "3");
        let shop = ["webhook", "create", "shop", "--url", &receiver.url(), "-e", "shop.opened"];
        run(&[&shop[..], &["--signature", "standard-v1a"]].concat()).ok();
        let batch = "{\"type\":\"task.created\",\"data\":7}\n".repeat(39);
        env.hookctl(["emit", "--batch", "-"]).stdin(batch).run().ok();
        run(&["emit", "invoice.paid", "--event-id", "order-7-paid"]).ok();
        run(&["emit", "invoice.paid", "--event-id", "evt_01JD0000000000000000000000"]).ok();
        // Deliveries 42 and 43 wait for their first retry.
        run(&["webhook", "update", "crm", "--url", &receiver.url_at("/down")]).ok();
        run(&["emit", "task.created"]).ok();
        run(&["emit", "task.deleted"]).ok();
        run(&["webhook", "update", "crm", "--url", &receiver.url_at("/hooks")]).ok();
        for name in ["old-1", "old-2"] {
            create(name, "/down", "0");
            run(&["emit", "task.updated", "-w", name]).ok();
            run(&["webhook", "update", name, "--url", &receiver.url_at("/hooks")]).ok();
        }
        run(&["event-type", "add", "order.shipped"]).ok();
        run(&["outbox", "init", "app.db"]).ok();
        let rejected =
            "INSERT INTO hookctl_outbox (id, event_type, rejected) VALUES (17, 'a b', 'no'), (18, 'c d', 'no')";
        rusqlite::Connection::open(env.path().join("app.db")).unwrap().execute_batch(rejected).unwrap();
        if !env.is_on_server() {
            run(&["db", "backup", "hookctl-2026-01-31.db"]).ok();
        }
        env.file("hookctl.toml", run(&["export"]).ok().stdout);
        std::fs::create_dir(env.path().join("requests")).unwrap();
        let at = receiver.url();
        let at = at.trim_end_matches('/');
        let recorded = format!(
            "hookctl-recording: 1\nreceived: 2026-11-26T09:00:00.123Z\nat: {at}\n\nPOST / HTTP/1.1\nContent-Length: 11\n\n{{\"data\":{{}}}}\n"
        );
        env.file("requests/000007.http", recorded);
        env.file("head.txt", run(&["sign", "-w", "crm", "body.bin"]).ok().stdout);
        let slack = ["sign", "--scheme", "slack", "--secret-env", "SECRET", "--timestamp", "1531420618"];
        let slack = run(&[&slack[..], &["body.txt", "-o", "json"]].concat()).ok().json();
        env.file("head.json", slack["headers"].to_string());
        let value = |words: &[&str]| run(words).ok().text().trim_end().split_once(": ").unwrap().1.to_owned();
        let github = value(&["sign", "--scheme", "github", "--secret-env", "SECRET", "body.json"]);
        let stripe = value(&["sign", "--scheme", "stripe", "--secret-file", "key.txt", "body.json"]);
        World { receiver, template: env, github, stripe }
    }

    /// Runs one line of a shell in a copy of its own. What goes on by itself is stopped by Ctrl-C.
    fn run(&self, line: &str) -> Run {
        let env = self.template.copy();
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_hookctl")).parent().unwrap();
        let (code, _) = line.split_once("  # ").unwrap_or((line, ""));
        // Ctrl-C reaches the program alone, not the shell that waits for it.
        let is_simple = !code.contains(['|', '&', ';', '(']);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{}{}", if is_simple { "exec " } else { "" }, self.to_loopback(line))]);
        command.env_clear().current_dir(env.path()).stdout(Stdio::piped());
        command.env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()));
        command.env("HOME", env.path()).env("HOOKCTL_DB", env.address());
        command.env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8");
        command.env("SECRET", "abc").env("CI_SECRET", "abc").env("signature", &self.github).env("value", &self.stripe);
        let mut child = Child::start(command, Vec::new());
        let started = Instant::now();
        while child.is_running() && started.elapsed() < GOES_ON {
            thread::sleep(Duration::from_millis(5));
        }
        if child.is_running() {
            child.signal("INT");
        }
        child.wait_timeout(Duration::from_secs(30))
    }

    /// The receivers of the examples are this one, and a port is any that is free.
    fn to_loopback(&self, line: &str) -> String {
        let address = self.receiver.url();
        let address = address.trim_end_matches('/');
        let words = line.split(' ').map(|word| match word.strip_prefix("https://") {
            Some(rest) => format!("{address}/{}", rest.split_once('/').expect("an address with a path").1),
            None => ["http://127.0.0.1:8000", "http://localhost:8000", "http://localhost:3000"]
                .iter()
                .fold(word.to_owned(), |word, example| word.replace(example, address)),
        });
        words.collect::<Vec<_>>().join(" ").replace("--port 8000", "--port 0")
    }
}

/// Why a run is not what an example promises.
fn complaint(line: &str, run: &Run) -> Option<String> {
    let is_asked = run.code == Some(2) && run.err().contains("no terminal to ask at") && line.ends_with("# asks first");
    let is_stopped = run.code == Some(130) && run.took >= GOES_ON;
    let is_well = run.code == Some(0) && !run.err().lines().any(|line| line.starts_with("error: "));
    // The receiver of the examples takes everything, which a probe says.
    let is_judged = run.code == Some(4) && line.starts_with("hookctl probe ") && run.text().contains("missing");
    // Failures are what a monitor is told of, and the servers of examples are not there.
    let is_warned = run.code == Some(1) && line.starts_with("hookctl check") && run.text().starts_with("WARNING");
    let is_elsewhere =
        run.code == Some(75) && run.err().contains("@db.example/") && run.err().contains(": failed to lookup");
    let is_itself = line.starts_with("hookctl db copy hookctl.db ") && run.err().contains("it is the database itself");
    (!is_well && !is_asked && !is_stopped && !is_judged && !is_warned && !is_elsewhere && !is_itself)
        .then(|| format!("$ {line}\n{run:?}"))
}

#[test]
fn every_command_has_examples_and_each_of_them_runs() {
    assert!(PAGES.iter().filter(|page| page.is_leaf).count() > 40, "the commands are listed elsewhere");
    let mut lines = Vec::new();
    for page in PAGES.iter() {
        let examples = examples(&page.help);
        let own = format!("hookctl {}", page.command);
        assert!(examples.iter().any(|line| line.contains(own.trim_end())), "`{own}` has no example of its own");
        lines.extend(examples);
    }
    lines.sort();
    lines.dedup();
    for (program, package) in [("jq", "jq"), ("curl", "curl")] {
        if installed(&[program], package).is_none() {
            lines.retain(|line| !line.contains(&format!("| {program} ")));
        }
    }
    if Engine::of_run() == Engine::Server {
        lines.retain(|line| {
            !["db backup", "db copy", "db restore", "db vacuum", "--max-size"]
                .iter()
                .any(|command| line.contains(command))
        });
    }
    let world = World::new();
    let next = Mutex::new(lines.iter());
    let complaints = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                loop {
                    let Some(line) = next.lock().unwrap().next() else { return };
                    let found = complaint(line, &world.run(line));
                    complaints.lock().unwrap().extend(found);
                }
            });
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{} of {} examples:\n{}", complaints.len(), lines.len(), complaints.join("\n"));
}

#[test]
fn the_first_line_of_help_is_the_one_in_the_list() {
    let env = TestEnv::new();
    for page in PAGES.iter() {
        let first = page.help.lines().next().unwrap();
        assert!(first.len() > 10 && first.len() <= 90 && !first.ends_with('.'), "{}: {first}", page.command);
        let Some((above, name)) = page.command.rsplit_once(' ') else { continue };
        let list = &PAGES.iter().find(|page| page.command == above).unwrap().help;
        let told = section(list, "Commands").into_iter().find(|line| line.split(' ').next() == Some(name)).unwrap();
        assert!(told.contains(first), "{}: {told}", page.command);
        let by_help = env.hookctl(["help"]).args(page.command.split(' ')).run().ok().text();
        assert_eq!(by_help, page.help);
    }
}

#[test]
fn help_fits_100_columns_and_a_terminal_of_80_without_a_broken_word_or_example() {
    let env = TestEnv::new();
    let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    for page in PAGES.iter() {
        for option in ["-h", "--help"] {
            let arguments = || page.command.split_whitespace().chain([option]);
            let wide = match option {
                "--help" => page.help.clone(),
                _ => env.hookctl(arguments()).run().ok().text(),
            };
            let narrow = env.hookctl(arguments()).at_terminal().ends().ended_with(0).text();
            for (shown, most) in [(&wide, 100), (&narrow, 80)] {
                let long = shown.lines().find(|line| measure_text_width(line) > most);
                assert_eq!(long, None, "hookctl {} {option} at {most} columns", page.command);
            }
            assert_eq!(words(&wide), words(&narrow), "hookctl {} {option}", page.command);
            assert_eq!(section(&wide, "Examples"), section(&narrow, "Examples"), "hookctl {} {option}", page.command);
        }
    }
}

#[test]
fn alone_it_prints_a_short_overview_of_all_commands() {
    let env = TestEnv::new();
    let overview = env.hookctl([""; 0]).run().ok().text();
    assert!(overview.lines().count() <= 54 && overview.lines().all(|line| line.len() <= 80), "{overview}");
    for page in PAGES.iter().filter(|page| !page.command.is_empty() && !page.command.contains(' ')) {
        assert!(overview.contains(&format!("\n  {} ", page.command)), "{}", page.command);
    }
    assert!(!env.is_made());
}

//! `listen`: the receiver to try things with.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::support::{Child, TestEnv};

const SOON: Duration = Duration::from_secs(20);

/// Starts a listener; it and its URL.
fn listen(env: &TestEnv, arguments: &[&str]) -> (Child, String) {
    let child = env.hookctl([&["listen"], arguments].concat()).spawn();
    let line = child.wait_for_stderr("listening on", SOON);
    let url = line.strip_prefix("listening on ").expect("nothing before it").to_owned();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with('/'), "{url}");
    (child, url)
}

fn create(env: &TestEnv, name: &str, url: &str) {
    env.hookctl(["webhook", "create", name, "--url", url, "-e", "*"]).run().ok();
}

/// Sends these bytes and returns all that comes back.
fn exchange(url: &str, request: &str) -> String {
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

const REQUEST: &str = "POST /hook?a=1 HTTP/1.1\r\nHost: h\r\nX-Evil: a\u{9b}b\r\nContent-Length: 5\r\nConnection: close\r\n\r\n\u{1b}[2J\n";

#[test]
fn each_request_is_a_json_object_a_line_and_the_count_ends_it() {
    let env = TestEnv::new();
    let (child, url) = listen(&env, &["--respond", "500,200", "--count", "2", "-o", "json", "-q"]);
    create(&env, "crm", &format!("{url}in?key=1"));
    env.hookctl(["emit", "a.b", "--data", "{\"n\":1.0}", "--event-id", "one"]).run().ok();
    env.hookctl(["drain", "--all"]).run().ok();
    let lines = child.wait_timeout(SOON).ok().jsonl();
    assert_eq!(lines.len(), 2);
    for (index, (line, answered)) in lines.iter().zip([500, 200]).enumerate() {
        assert_eq!(line["number"], index + 1);
        assert_eq!((&line["method"], &line["path"]), (&"POST".into(), &"/in?key=1".into()));
        assert_eq!(line["answered"], answered);
        assert_eq!(line["headers"]["x-webhook-event"], "a.b");
        assert!(line["body"].as_str().unwrap().contains("\"data\":{\"n\":1.0}"), "{line}");
        assert!(line["received_at"].as_str().unwrap().ends_with('Z'), "{line}");
        assert!(line.get("verification").is_none(), "nobody asked");
    }
}

#[test]
fn a_request_reads_as_a_block_without_control_characters() {
    let env = TestEnv::new();
    let (child, url) = listen(&env, &["--count", "1"]);
    let answer = exchange(&url, REQUEST);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let run = child.wait_timeout(SOON).ok();
    let text = run.text();
    assert!(text.starts_with("POST /hook?a=1\n") && text.contains("Answered:  200\n"), "{text}");
    assert!(text.contains("X-Evil: a\\u{9b}b\n") && text.contains("  \\u{1b}[2J\n"), "{text}");
    assert!(!text.contains(['\u{1b}', '\u{9b}']), "{text:?}");
}

#[test]
fn it_answers_late_and_tells_when_to_come_back() {
    let env = TestEnv::new();
    let (child, url) =
        listen(&env, &["--respond", "429", "--delay", "150ms", "--retry-after", "1500ms", "--count", "1"]);
    let started = Instant::now();
    let answer = exchange(&url, REQUEST);
    assert!(started.elapsed() >= Duration::from_millis(150));
    assert!(answer.starts_with("HTTP/1.1 429 ") && answer.contains("\r\nRetry-After: 2\r\n"), "{answer}");
    child.wait_timeout(SOON).ok();
}

#[test]
fn a_signal_ends_it_soon() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let env = TestEnv::new();
        let (child, _) = listen(&env, &[]);
        child.signal(signal);
        child.wait_timeout(SOON).fails(code);
    }
}

#[test]
fn signatures_are_judged_as_verify_does() {
    let env = TestEnv::new();
    let secret = env.file("secret", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n");
    let other = env.file("other", "whsec_ISEhISEhISEhISEhISEhISEhISEhISEhISEhISEhISE=\n");
    let (secret, other) = (secret.to_str().unwrap(), other.to_str().unwrap());
    for (name, file, scheme, code) in
        [("right", secret, "standard", 0), ("old", secret, "timetracker", 0), ("wrong", other, "standard", 4)]
    {
        let arguments = ["--verify", "--scheme", scheme, "--secret-file", secret, "--count", "1", "-o", "jsonl"];
        let (child, url) = listen(&env, &arguments);
        env.hookctl(["webhook", "create", name, "--url", &url, "-e", "*", "--secret-file", file]).run().ok();
        env.hookctl(["webhook", "test", name]).run().ok();
        let line = &child.wait_timeout(SOON).fails(code).jsonl()[0];
        let verification = &line["verification"];
        assert_eq!((&verification["valid"], &verification["scheme"]), (&(code == 0).into(), &scheme.into()), "{line}");
        assert_eq!(verification["reason"].as_str(), (code != 0).then_some("no-match"), "{line}");
    }
}

#[test]
fn a_webhooks_own_schemes_and_secrets_are_taken_by_its_name() {
    let env = TestEnv::new();
    create(&env, "crm", "http://127.0.0.1:1/");
    let (child, url) = listen(&env, &["--verify", "-w", "crm", "--count", "2"]);
    env.hookctl(["webhook", "update", "crm", "--url", &url]).run().ok();
    env.hookctl(["webhook", "test", "crm"]).run().ok();
    exchange(&url, REQUEST);
    let text = child.wait_timeout(SOON).fails(4).text();
    assert!(text.contains("Signature:  valid (timetracker, standard)"), "{text}");
    assert!(text.contains("Signature:  not valid: missing-header: "), "{text}");
}

#[test]
fn what_cannot_be_listened_to_is_refused_before_anything_is() {
    let env = TestEnv::new();
    for (arguments, part) in [
        (&["--port", "65536"][..], "--port"),
        (&["--port", "-1"], "--port"),
        (&["--respond", "100"], "--respond"),
        (&["--respond", ""], "--respond"),
        (&["--delay", "soon"], "--delay"),
        (&["--count", "0"], "--count"),
        (&["--verify"], "a secret is missing"),
        (&["--secret-env", "S"], "--verify"),
        (&["--verify", "--scheme", "none", "--secret-env", "S"], "--scheme"),
        (&["--verify", "--scheme", "standard", "--secret-env", "S"], "--secret-env"),
    ] {
        let run = env.hookctl([&["listen"], arguments].concat()).env("S", "not-base64").run().fails(2);
        assert!(run.err().contains(part) && !run.err().contains("listening"), "{run:?}");
    }
    env.hookctl(["listen", "--verify", "-w", "nobody"]).run().fails(3);
    let (_child, url) = listen(&env, &[]);
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    let run = env.hookctl(["listen", "--port", port]).run().fails(1);
    assert!(run.err().contains("choose another port"), "{run:?}");
}

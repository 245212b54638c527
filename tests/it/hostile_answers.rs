//! Receivers that answer to do harm: each ends as the right error type, in bounded time and memory, and none as a crash.

use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Identity, OnConnect, Reply, TestEnv, TestReceiver, closed_port};

/// What a receiver that never finishes its answer gets.
const SHORT: [&str; 2] = ["--timeout", "1s"];
/// How long an attempt of that time-out may take on a machine that does much else.
const LONG: Duration = Duration::from_secs(15);

#[test]
fn an_answer_that_drips_or_stalls_ends_as_a_timeout_at_the_deadline() {
    let every = Duration::from_millis(200);
    let replies = [
        Reply::DripHead(every),
        Reply::DripBody(every),
        Reply::DripBody(Duration::from_millis(5)),
        Reply::Stall,
        Reply::StallInHead,
        Reply::StallInBody,
    ];
    std::thread::scope(|scope| {
        for reply in replies {
            scope.spawn(|| {
                let name = format!("{reply:?}");
                timed_out(&tested(&TestReceiver::start(reply), &SHORT), &name);
            });
        }
    });
}

#[test]
fn a_receiver_that_accepts_and_says_nothing_ends_as_a_timeout_with_tls_too() {
    let receiver = TestReceiver::start(200).on_connect(|_| OnConnect::Stall);
    timed_out(&tested(&receiver, &SHORT), "plain");
    let identity = Identity::local();
    let env = TestEnv::new();
    let authority = env.file("ca.pem", identity.pem());
    let receiver = TestReceiver::start_tls(identity, 200).on_connect(|_| OnConnect::Stall);
    let trusted = ["--ca-cert", authority.to_str().unwrap()];
    timed_out(&tested_in(&env, &receiver.url(), &[SHORT, trusted].concat()), "TLS");
}

#[test]
fn an_answer_of_a_gigabyte_is_cut_at_64_kib_and_costs_no_memory() {
    let receiver = TestReceiver::start(Reply::HugeBody(1 << 30));
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "hook", "-e", "*", "--url", &receiver.url()]).run().ok();
    let mut child = env.hookctl(["webhook", "test", "hook"]).spawn();
    let status = format!("/proc/{}/status", child.id());
    let mut peak_kib = 0;
    while child.is_running() {
        peak_kib = peak_kib.max(fs::read_to_string(&status).ok().as_deref().and_then(peak_memory).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    child.wait_timeout(Duration::from_secs(30)).ok();
    assert!((1_000..40 * 1_024).contains(&peak_kib), "{peak_kib} KiB at the most");
    assert_eq!(env.sql("SELECT length(response_body), response_truncated FROM attempts"), [["65536", "1"]]);
    let shown = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    assert_eq!(shown["attempts"][0]["response_truncated"], true);
}

#[test]
fn a_body_of_64_kib_is_kept_whole_and_one_byte_more_is_cut() {
    for (length, is_cut) in [(65_536, false), (65_537, true)] {
        let delivery = answered(Reply::with_body(200, vec![b'x'; length]));
        let attempt = &delivery["attempts"][0];
        assert_eq!(attempt["response_truncated"], is_cut);
        assert_eq!(attempt["response_body"].as_str().unwrap().len(), 65_536);
    }
}

#[test]
fn a_head_too_large_to_hold_is_a_protocol_error() {
    let few_bytes = (0..300).fold(String::new(), |mut head, number| {
        write!(head, "X-{number}: v\r\n").unwrap();
        head
    });
    let many = (0..300).fold(String::new(), |mut head, number| {
        write!(head, "X-{number}: {}\r\n", "v".repeat(100)).unwrap();
        head
    });
    for (what, head) in [
        ("300 short headers", few_bytes),
        ("300 long headers", many),
        ("a head of 200 KB", format!("X-Long: {}\r\n", "v".repeat(200_000))),
        ("a head without an end", "X: y\r\n".repeat(100_000)),
    ] {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}Content-Length: 0\r\n\r\n");
        failed_with(&answered(Reply::Raw(answer.into_bytes())), "protocol_error", what);
    }
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    for answer in [
        &b"SSH-2.0-OpenSSH_9.6\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nx",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
    ] {
        failed_with(&answered(Reply::Raw(answer.to_vec())), "protocol_error", &String::from_utf8_lossy(answer));
    }
}

#[test]
fn a_status_that_no_standard_knows_is_an_http_error_with_that_status() {
    for status in [299, 418, 599, 600, 999] {
        let delivery = answered(Reply::Status(status));
        assert_eq!(delivery["response_status_code"], status);
        if status != 299 {
            failed_with(&delivery, "http_error", &status.to_string());
        }
    }
}

#[test]
fn a_connection_that_breaks_is_told_by_how_it_broke() {
    for (reply, error_type) in [
        (Reply::Reset, "connection_error"),
        (Reply::CloseBeforeAnswer, "connection_error"),
        (Reply::ResetInHead, "connection_error"),
        (Reply::ShortBody, "protocol_error"),
        (Reply::ResetInBody, "protocol_error"),
    ] {
        let delivery = answered(reply.clone());
        failed_with(&delivery, error_type, &format!("{reply:?}"));
    }
    let receiver = TestReceiver::start(200).on_connect(|_| OnConnect::Reset);
    failed_with(&tested(&receiver, &[]), "connection_error", "reset on connect");
    let refused = tested_in(&TestEnv::new(), &format!("http://{}/", closed_port()), &[]);
    failed_with(&refused, "connection_error", "nobody listens");
}

#[test]
fn informational_answers_without_end_are_bounded() {
    let answer = b"HTTP/1.1 100 Continue\r\n\r\n".repeat(20_000);
    let delivery = answered(Reply::Raw(answer));
    assert_eq!(delivery["status"], "failed", "{delivery}");
}

#[test]
fn a_compressed_answer_stays_as_it_came() {
    let bomb = [&b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"[..], &[0xff; 50]].concat();
    let headers = vec![("Content-Encoding".to_owned(), "gzip".to_owned())];
    let receiver = TestReceiver::start(Reply::StatusWith { status: 200, headers, body: bomb.clone() });
    let env = TestEnv::new();
    tested_in(&env, &receiver.url(), &[]);
    assert_eq!(env.sql_value("SELECT response_body FROM attempts"), hex::encode(bomb));
    assert_eq!(receiver.requests()[0].header("Accept-Encoding"), None);
}

#[test]
fn a_certificate_nobody_vouches_for_is_a_tls_error_until_its_authority_is_given() {
    let identity = Identity::local();
    let receiver = TestReceiver::start_tls(identity.clone(), 200);
    let env = TestEnv::new();
    failed_with(&tested_in(&env, &receiver.url(), &[]), "tls_error", "self-signed");
    assert_eq!(receiver.count(), 0);
    let authority = env.file("ca.pem", identity.pem());
    let authority = authority.to_str().unwrap();
    env.hookctl(["webhook", "update", "hook", "--ca-cert", authority]).run().ok();
    env.hookctl(["webhook", "test", "hook"]).run().ok();
    assert_eq!(receiver.count(), 1);
    let env = TestEnv::new();
    let another = env.file("ca.pem", Identity::local().pem());
    let delivery = tested_in(&env, &receiver.url(), &["--ca-cert", another.to_str().unwrap()]);
    failed_with(&delivery, "tls_error", "another authority");
    assert_eq!(receiver.count(), 1);
    for wrong in [Identity::for_names(&["example.com"]), Identity::expired()] {
        let env = TestEnv::new();
        let authority = env.file("ca.pem", wrong.pem());
        let receiver = TestReceiver::start_tls(wrong, 200);
        let delivery = tested_in(&env, &receiver.url(), &["--ca-cert", authority.to_str().unwrap()]);
        failed_with(&delivery, "tls_error", "the wrong name, or too old");
        assert_eq!(receiver.count(), 0);
    }
}

#[test]
fn tls_and_plain_http_mistaken_for_each_other_end_as_errors() {
    let plain = TestReceiver::start(200);
    let delivery = tested_in(&TestEnv::new(), &plain.url().replace("http:", "https:"), &[]);
    failed_with(&delivery, "tls_error", "TLS to a plain receiver");
    let secure = TestReceiver::start_tls(Identity::local(), 200);
    let delivery = tested_in(&TestEnv::new(), &secure.url().replace("https:", "http:"), &[]);
    assert!(["protocol_error", "connection_error"].contains(&delivery["error_type"].as_str().unwrap()), "{delivery}");
}

/// The delivery of a test to a receiver that answers like that.
#[track_caller]
fn answered(reply: Reply) -> Value {
    tested(&TestReceiver::start(reply), &[])
}

#[track_caller]
fn tested(receiver: &TestReceiver, options: &[&str]) -> Value {
    tested_in(&TestEnv::new(), &receiver.url(), options)
}

/// Makes a webhook and tests it; the delivery in full.
#[track_caller]
fn tested_in(env: &TestEnv, url: &str, options: &[&str]) -> Value {
    let create = ["webhook", "create", "hook", "-e", "*", "--url", url];
    env.hookctl(create).args(options.iter().copied()).run().ok();
    let run = env.hookctl(["webhook", "test", "hook", "-o", "json"]).run();
    assert!(matches!(run.code, Some(0 | 5)) && !run.err().contains("panicked"), "{run:?}");
    run.json()
}

#[track_caller]
fn timed_out(delivery: &Value, what: &str) {
    failed_with(delivery, "timeout", what);
    let took = Duration::from_millis(delivery["duration_ms"].as_u64().unwrap());
    assert!(took <= LONG, "{what}: the attempt took {took:?}");
}

#[track_caller]
fn failed_with(delivery: &Value, error_type: &str, what: &str) {
    assert_eq!(
        (&delivery["status"], &delivery["error_type"]),
        (&"failed".into(), &error_type.into()),
        "{what}: {delivery}"
    );
    let message = delivery["error_message"].as_str().unwrap();
    assert!(!message.is_empty() && !message.contains('\n'), "{what}: {message:?}");
}

/// The largest resident memory so far, in KiB, as Linux tells it.
fn peak_memory(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

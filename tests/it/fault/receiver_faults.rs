//! What receivers do to a request, and what the log then says of it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use super::{PATIENCE, assert_whole, batch, count, requests_by_event, subscribe};
use crate::support::{OnConnect, Reply, Script, TestEnv, TestReceiver, closed_port};

/// Emits one event and returns the error type of its one attempt.
#[track_caller]
fn error_type(env: &TestEnv) -> String {
    env.hookctl(["emit", "invoice.paid"]).run().ok();
    assert_whole(env);
    assert_eq!(count(env, "SELECT count(*) FROM deliveries WHERE status = 'retrying' AND claim_token IS NULL"), 1);
    env.sql_value("SELECT error_type FROM attempts")
}

#[test]
fn a_receiver_that_is_not_there_is_a_connection_error() {
    let env = TestEnv::new();
    let url = format!("http://{}/", closed_port());
    env.hookctl(["webhook", "create", "crm", "--url", &url, "-e", "*"]).run().ok();
    assert_eq!(error_type(&env), "connection_error");
}

#[test]
fn a_reset_at_any_stage_is_told_as_what_it_is_and_retried() {
    let stages = [
        (Reply::Reset, "connection_error"),
        (Reply::ResetInHead, "connection_error"),
        (Reply::ResetInBody, "protocol_error"),
        (Reply::CloseBeforeAnswer, "connection_error"),
        (Reply::ShortBody, "protocol_error"),
        (Reply::Raw(b"HTTP/1.1 20".to_vec()), "protocol_error"),
        (Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()), "protocol_error"),
        (Reply::Raw(b"hello\r\n\r\n".to_vec()), "protocol_error"),
    ];
    for (reply, expected) in stages {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(reply.clone());
        subscribe(&env, &receiver, &["crm"], &[]);
        let found = error_type(&env);
        let is_known = found == expected || (expected == "protocol_error" && found == "connection_error");
        assert!(is_known, "{reply:?} is {found}");
        assert_eq!(receiver.count(), 1, "{reply:?}: a request on a fresh connection is never sent twice");
    }
    for (decision, expected) in [(OnConnect::Close, "connection_error"), (OnConnect::Reset, "connection_error")] {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(200).on_connect(move |_| decision);
        subscribe(&env, &receiver, &["crm"], &[]);
        assert_eq!(error_type(&env), expected, "{decision:?}");
    }
}

#[test]
fn a_stall_at_any_stage_ends_as_a_timeout_within_the_deadline() {
    let drip = Duration::from_millis(50);
    let stages = [Reply::Stall, Reply::StallInHead, Reply::StallInBody, Reply::DripHead(drip), Reply::DripBody(drip)];
    let worlds: Vec<_> = stages
        .into_iter()
        .map(|reply| (format!("{reply:?}"), TestReceiver::start(reply)))
        .chain([("on connect".to_owned(), TestReceiver::start(200).on_connect(|_| OnConnect::Stall))])
        .collect();
    for (stage, receiver) in worlds {
        let env = TestEnv::new();
        subscribe(&env, &receiver, &["crm"], &["--timeout", "400ms"]);
        assert_eq!(error_type(&env), "timeout", "{stage}");
        let took = count(&env, "SELECT duration_ms FROM attempts");
        assert!((350..15_000).contains(&took), "{stage} took {took} ms");
    }
}

#[test]
fn an_interim_answer_is_passed_over() {
    let env = TestEnv::new();
    let answer = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec();
    let receiver = TestReceiver::start(Reply::Raw(answer));
    subscribe(&env, &receiver, &["crm"], &[]);
    env.hookctl(["emit", "invoice.paid", "--strict"]).run().ok();
    assert_eq!(env.sql_value("SELECT response_status_code FROM attempts"), "200");
    assert_eq!(receiver.count(), 1);
}

#[test]
fn a_kept_alive_connection_that_had_died_is_not_the_receivers_failure_and_what_is_sent_again_is_recorded() {
    let env = TestEnv::new();
    // Every third request of a connection finds it closed without a word, after it was taken in.
    let receiver = TestReceiver::start(Script::each(|request| {
        if request.on_connection.is_multiple_of(3) { Reply::CloseBeforeAnswer } else { Reply::Status(200) }
    }));
    subscribe(&env, &receiver, &["crm"], &[]);
    let file = env.file("batch.jsonl", batch("e", 200));
    env.hookctl(["emit", "--concurrency", "4", "--batch"]).arg(file).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM attempts WHERE error_type IS NOT NULL"), 0);
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 200);
    let resent = count(&env, "SELECT count(*) FROM attempts WHERE is_resent");
    assert!(resent > 0);
    assert_eq!(receiver.count(), 200 + resent, "nothing is sent twice unseen");
    assert!(requests_by_event(&receiver).values().all(|requests| *requests <= 2));
    assert_whole(&env);
}

#[test]
fn connections_that_close_after_each_answer_cost_no_delivery() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::CloseAfterAnswer(200));
    subscribe(&env, &receiver, &["crm"], &[]);
    let file = env.file("batch.jsonl", batch("e", 200));
    env.hookctl(["emit", "--batch"]).arg(file).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM attempts WHERE error_type IS NOT NULL"), 0);
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 200);
    assert_eq!(requests_by_event(&receiver).len(), 200);
}

#[test]
fn a_receiver_that_stalls_holds_up_no_other() {
    let env = TestEnv::new();
    let stalled = TestReceiver::start(Reply::Stall);
    let quick = TestReceiver::start(200);
    subscribe(&env, &stalled, &["stalled"], &["--timeout", "5m"]);
    subscribe(&env, &quick, &["quick"], &[]);
    let file = env.file("batch.jsonl", batch("e", 100));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).run().ok();
    let drain = env.hookctl(["drain"]).spawn();
    quick.wait_for(100, PATIENCE);
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
    assert_whole(&env);
}

#[test]
fn an_answer_whose_trailers_chunks_or_interim_answers_never_end_is_read_to_a_limit() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n";
    for (begin, again, status) in [
        (format!("{chunked}0\r\n"), "X-Trailer: without end\r\n", "success"),
        (chunked.to_owned(), "1;a=0123456789\r\nx\r\n", "success"),
        (String::new(), "HTTP/1.1 103 Early Hints\r\n\r\n", "retrying"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let receiver = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 16 * 1024]).unwrap();
            stream.write_all(begin.as_bytes()).unwrap();
            let block = again.repeat(1_000);
            let mut sent = 0_u64;
            while stream.write_all(block.as_bytes()).is_ok() {
                sent += block.len() as u64;
            }
            sent
        });
        let env = TestEnv::new();
        env.hookctl(["webhook", "create", "crm", "--url", &url, "-e", "*"]).run().ok();
        env.hookctl(["emit", "invoice.paid"]).run().ok();
        assert_eq!(env.sql_value("SELECT status FROM deliveries"), status, "{again:?}");
        // What was read, and what the buffers of two sockets hold.
        let sent = receiver.join().unwrap();
        assert!(sent < 16 << 20, "{sent} bytes of {again:?} were taken");
        assert_whole(&env);
    }
}

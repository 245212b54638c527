//! What receivers answer, from plain to hostile, and how it is sorted.

use std::io::Write;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::{ProptestConfig, any, proptest};

use super::receiver::{Receiver, Then};
use super::{AMPLE, client, error_of, post};
use crate::domain::attempt::{BODY_LIMIT, ErrorType, Outcome};
use crate::http::{OutgoingRequest, Target};

/// The outcome of a request that is answered with these bytes before the receiver closes the connection.
fn outcome_of(answer: impl Into<Vec<u8>>) -> Outcome {
    post(&client(), &Receiver::answering_once(answer).url(), AMPLE)
}

#[test]
fn a_2xx_read_to_its_end_is_success() {
    let outcome = outcome_of("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: b\r\nX-Odd: \u{e9}\r\n\r\nok");
    assert_eq!((outcome.error, outcome.resent), (None, false));
    let answer = outcome.answer.unwrap();
    assert_eq!((answer.status, answer.body.as_slice(), answer.truncated), (200, &b"ok"[..], false));
    assert_eq!((answer.header("x-a"), answer.header("x-odd")), (Some("b"), Some("\u{fffd}\u{fffd}")));
}

#[test]
fn every_form_of_a_whole_body_is_read() {
    for (answer, body) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", ""),
        ("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", ""),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n", "abcde"),
        ("HTTP/1.1 200 OK\r\n\r\nuntil it closes", "until it closes"),
        ("HTTP/1.0 200 OK\r\n\r\nold", "old"),
        ("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a"),
        ("HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na", "a"),
        ("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nplain", "plain"),
    ] {
        let outcome = outcome_of(answer);
        assert_eq!(outcome.error, None, "{answer}");
        assert_eq!(outcome.answer.unwrap().body, body.as_bytes(), "{answer}");
    }
}

#[test]
fn the_request_goes_out_as_given() {
    let seen = Arc::new(Mutex::new(String::new()));
    let kept = Arc::clone(&seen);
    let receiver = Receiver::start(move |stream, request, _| {
        request.clone_into(&mut kept.lock().unwrap());
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        Then::KeepOpen
    });
    let url = format!("{}/a%20b?c=d&e={{|}}", receiver.url());
    let target = Target::new(&crate::domain::target_url::parse(&url).unwrap()).unwrap();
    for (method, body) in [("POST", "{\"n\":1.10}"), ("PUT", ""), ("PATCH", "x")] {
        let headers = [("User-Agent", "hookctl/1"), ("X-Twice", "a"), ("X-Twice", "b")];
        let request = OutgoingRequest { method, target: &target, headers: &headers, body: body.as_bytes() };
        assert_eq!(client().send(&request, AMPLE).unwrap().error, None);
        let seen = seen.lock().unwrap().clone();
        let (head, sent) = seen.split_once("\r\n\r\n").unwrap();
        let mut lines: Vec<String> = head.lines().map(str::to_owned).collect();
        assert_eq!(lines.remove(0), format!("{method} /hook/a%20b?c=d&e={{|}} HTTP/1.1"));
        lines.sort();
        let length = format!("content-length: {}", body.len());
        let host = format!("host: 127.0.0.1:{}", receiver.port());
        assert_eq!(lines, ["accept: */*", &length, &host, "user-agent: hookctl/1", "x-twice: a", "x-twice: b"]);
        assert_eq!(sent, body);
    }
}

#[test]
fn any_other_status_is_an_http_error_that_keeps_its_answer() {
    for (status, message) in [
        ("500 Oops", "the receiver answered 500 Internal Server Error"),
        ("410 Gone", "the receiver answered 410 Gone"),
        ("429 X", "the receiver answered 429 Too Many Requests"),
        ("304 X", "the receiver answered 304 Not Modified; redirects are not followed"),
        ("101 X", "the receiver answered 101 Switching Protocols"),
        ("299 X", ""),
        ("600 X", "the receiver answered 600"),
        ("999 X", "the receiver answered 999"),
    ] {
        let outcome = outcome_of(format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\nRetry-After: 7\r\n\r\nno"));
        let answer = outcome.answer.as_ref().expect(status);
        assert_eq!((answer.status.to_string(), answer.header("retry-after")), (status[..3].to_owned(), Some("7")));
        if message.is_empty() {
            assert_eq!(outcome.error, None);
        } else {
            assert_eq!(error_of(&outcome), (ErrorType::HttpError, message));
        }
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Receiver::answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    for status in ["301", "302", "303", "307", "308"] {
        let outcome =
            outcome_of(format!("HTTP/1.1 {status} X\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url()));
        assert_eq!(error_of(&outcome).0, ErrorType::HttpError);
        assert!(error_of(&outcome).1.ends_with("redirects are not followed"));
        assert!(outcome.answer.unwrap().header("location").is_some());
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn a_body_of_the_limit_is_whole_and_one_byte_more_is_cut() {
    for (length, truncated) in [(BODY_LIMIT - 1, false), (BODY_LIMIT, false), (BODY_LIMIT + 1, true)] {
        let outcome = outcome_of(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{}", "x".repeat(length)));
        assert_eq!(outcome.error, None);
        let answer = outcome.answer.unwrap();
        assert_eq!((answer.body.len(), answer.truncated), (length.min(BODY_LIMIT), truncated));
    }
}

#[test]
fn reading_a_huge_body_stops_at_the_limit() {
    const HUGE: usize = 300 * 1024 * 1024;
    let sent = Arc::new(AtomicUsize::new(0));
    for head in [format!("Content-Length: {HUGE}\r\n"), "Transfer-Encoding: chunked\r\n".to_owned(), String::new()] {
        let (counted, chunked) = (Arc::clone(&sent), head.starts_with("Transfer"));
        counted.store(0, Ordering::SeqCst);
        let receiver = Receiver::start(move |stream, _, _| {
            stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes()).unwrap();
            let text = "x".repeat(16 * 1024);
            let block = if chunked { format!("4000\r\n{text}\r\n") } else { text };
            while counted.load(Ordering::SeqCst) < HUGE && stream.write_all(block.as_bytes()).is_ok() {
                counted.fetch_add(block.len(), Ordering::SeqCst);
            }
            Then::Close
        });
        let outcome = post(&client(), &receiver.url(), AMPLE);
        assert_eq!(outcome.error, None);
        let answer = outcome.answer.unwrap();
        assert_eq!((answer.body.len(), answer.truncated), (BODY_LIMIT, true));
        assert!(answer.body.capacity() <= 2 * BODY_LIMIT + 64, "{}", answer.body.capacity());
        // What the buffers of two sockets hold, and no more.
        assert!(sent.load(Ordering::SeqCst) < HUGE / 6, "{} bytes were taken", sent.load(Ordering::SeqCst));
    }
}

#[test]
fn reading_stops_at_a_limit_that_counts_trailers_chunk_extensions_and_interim_answers() {
    const HUGE: usize = 100 * 1024 * 1024;
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let padding = "x".repeat(900);
    for (why, begin, again) in [
        ("trailers", format!("{chunked}2\r\nok\r\n0\r\n"), format!("X-T: {padding}\r\n")),
        ("one trailer", format!("{chunked}2\r\nok\r\n0\r\nX-T: "), padding.clone()),
        ("extensions", format!("{chunked}2\r\nok\r\n"), "1;a=0123456789\r\nx\r\n".to_owned()),
        ("one extension", format!("{chunked}2\r\nok\r\n1;a="), padding.clone()),
        ("a chunk size", format!("{chunked}2\r\nok\r\n"), "0".repeat(900)),
        ("interim answers", String::new(), format!("HTTP/1.1 103 Early Hints\r\nX: {padding}\r\n\r\n")),
        ("short interim answers", String::new(), "HTTP/1.1 100 Continue\r\n\r\n".to_owned()),
    ] {
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        let receiver = Receiver::start(move |stream, _, _| {
            let _ = stream.write_all(begin.as_bytes());
            let block = again.repeat(20);
            while counted.load(Ordering::SeqCst) < HUGE && stream.write_all(block.as_bytes()).is_ok() {
                counted.fetch_add(block.len(), Ordering::SeqCst);
            }
            Then::Close
        });
        let outcome = post(&client(), &receiver.url(), AMPLE);
        match why {
            "trailers" | "extensions" => {
                assert_eq!(outcome.error, None, "{why}");
                let answer = outcome.answer.unwrap();
                assert_eq!((answer.status, answer.truncated), (200, true), "{why}");
            }
            "interim answers" | "short interim answers" => {
                assert_eq!(error_of(&outcome).0, ErrorType::ProtocolError, "{why}: {outcome:?}");
            }
            // A line without end is what the client refuses by itself.
            _ => assert_eq!(outcome.answer.map(|answer| answer.status), Some(200), "{why}"),
        }
        // What was read, and what the buffers of two sockets hold.
        assert!(sent.load(Ordering::SeqCst) < HUGE / 4, "{why}: {} bytes were taken", sent.load(Ordering::SeqCst));
    }
}

#[test]
fn trailers_and_chunk_extensions_of_a_sane_length_leave_an_answer_whole() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\nX-T: {}\r\n\r\n",
        format!("10;a=b\r\n{}\r\n", "x".repeat(16)).repeat(BODY_LIMIT / 16),
        "t".repeat(1_000)
    );
    let outcome = outcome_of(answer);
    assert_eq!(outcome.error, None);
    let answer = outcome.answer.unwrap();
    assert_eq!((answer.body.len(), answer.truncated), (BODY_LIMIT, false));
}

#[test]
fn a_body_that_breaks_off_is_a_protocol_error_that_keeps_what_came() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nshort",
    ] {
        let outcome = outcome_of(answer);
        assert_eq!(error_of(&outcome).0, ErrorType::ProtocolError, "{answer}: {outcome:?}");
        let kept = outcome.answer.unwrap();
        assert_eq!((kept.status, kept.body.as_slice()), (200, &b"short"[..]), "{answer}");
    }
}

#[test]
fn a_failure_status_says_more_than_its_broken_body() {
    let outcome = outcome_of("HTTP/1.1 410 Gone\r\nContent-Length: 100\r\n\r\nshort");
    assert_eq!(error_of(&outcome), (ErrorType::HttpError, "the receiver answered 410 Gone"));
}

#[test]
fn what_is_not_http_is_a_protocol_error() {
    let many = (0..300).fold(String::new(), |all, n| format!("{all}X-{n}: y\r\n"));
    for (answer, why) in [
        ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), "garbage"),
        ("\0\u{1}\u{2}\u{3}\r\n\r\n".to_owned(), "binary"),
        ("HTTP/1.1 99 X\r\n\r\n".to_owned(), "two digits"),
        ("HTTP/1.1 abc\r\n\r\n".to_owned(), "letters"),
        ("HTTP/1.1 000 X\r\n\r\n".to_owned(), "zero"),
        ("HTTP/3.0 200 OK\r\n\r\n".to_owned(), "version"),
        ("HTTP/1.1 200 OK\r\nNo colon\r\n\r\n".to_owned(), "header"),
        ("HTTP/1.1 200 OK\r\nX: a\0b\r\n\r\n".to_owned(), "NUL"),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".to_owned(), "negative"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".to_owned(), "a chunk without length"),
        ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_owned(), "two lengths"),
        (format!("HTTP/1.1 200 OK\r\n{many}Content-Length: 0\r\n\r\n"), "300 headers"),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(200 * 1024)), "a head of 200 KB"),
        (format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(200 * 1024)), "a head without end"),
    ] {
        let outcome = outcome_of(answer);
        assert_eq!(error_of(&outcome).0, ErrorType::ProtocolError, "{why}: {outcome:?}");
        assert!(!error_of(&outcome).1.contains('\n'), "{why}");
    }
}

#[test]
fn a_connection_that_ends_without_an_answer_is_a_connection_error() {
    for answer in ["", "HTTP/1.1 20", "HTTP/1.1 200 OK\r\nX: y\r\n"] {
        let outcome = outcome_of(answer);
        assert_eq!(error_of(&outcome).0, ErrorType::ConnectionError, "{answer}: {outcome:?}");
        assert_eq!((outcome.answer, outcome.resent), (None, false));
    }
}

#[test]
fn an_answer_that_comes_before_the_body_was_taken_is_kept() {
    let receiver = Receiver::raw(|mut stream| {
        // One read takes less than the body; closing then resets the connection under the sender.
        let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
        let _ = stream.write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
        std::thread::sleep(std::time::Duration::from_millis(200));
    });
    let outcome = super::post_body(&client(), &receiver.url(), &vec![b'x'; 16 * 1024 * 1024], AMPLE);
    assert_eq!(error_of(&outcome), (ErrorType::HttpError, "the receiver answered 413 Payload Too Large"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_answer_makes_the_client_panic(cut in 0_usize..200, position in 0_usize..200, garbage in any::<Vec<u8>>()) {
        let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\nContent-Length: 12\r\n\r\n\
            5\r\nhello\r\n5;a=b\r\nworld\r\n0\r\nX-T: u\r\n\r\n".to_vec();
        let position = position.min(answer.len());
        let end = position.saturating_add(garbage.len()).min(answer.len());
        answer.splice(position..end, garbage);
        answer.truncate(cut.max(20));
        let outcome = outcome_of(answer);
        assert!(outcome.answer.is_some() || outcome.error.is_some());
    }
}

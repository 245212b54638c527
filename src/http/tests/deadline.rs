//! Every attempt ends within its deadline, whatever the receiver does.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::receiver::{Receiver, Then, read_request};
use super::{client, client_asking, error_of, open_policy, post, post_body};
use crate::domain::attempt::{ErrorType, Outcome};
use crate::domain::duration;

const DEADLINE: Duration = Duration::from_millis(700);
/// For an attempt whose answer has to begin in time, on a busy machine.
const LONGER: Duration = Duration::from_secs(4);
/// How much later than its deadline an attempt may end on such a machine. What it waits for takes longer, or fails otherwise.
const GRACE: Duration = Duration::from_secs(20);

fn timed(send: impl FnOnce() -> Outcome) -> Outcome {
    timed_within(DEADLINE, send)
}

fn timed_within(deadline: Duration, send: impl FnOnce() -> Outcome) -> Outcome {
    let started = Instant::now();
    let outcome = send();
    let elapsed = started.elapsed();
    assert!(elapsed >= deadline && elapsed < deadline + GRACE, "{elapsed:?}: {outcome:?}");
    assert_eq!(error_of(&outcome).0, ErrorType::Timeout, "{outcome:?}");
    let within = format!("gave no complete answer within {}", duration::format(deadline));
    assert!(error_of(&outcome).1.ends_with(&within), "{outcome:?}");
    outcome
}

/// Sends one byte of the text after the other, then zeros for ever.
fn drip(stream: &mut TcpStream, text: &str) {
    for byte in text.bytes().chain(std::iter::repeat(b'0')) {
        if stream.write_all(&[byte]).is_err() {
            return;
        }
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_receiver_that_never_answers_times_out() {
    let receiver = Receiver::start(|stream, _, _| {
        let _ = stream.read(&mut [0]);
        Then::Close
    });
    assert_eq!(timed(|| post(&client(), &receiver.url(), DEADLINE)).answer, None);
}

#[test]
fn a_head_that_drips_times_out() {
    let receiver = Receiver::start(|stream, _, _| {
        drip(stream, "HTTP/1.1 200 OK\r\nX: ");
        Then::Close
    });
    assert_eq!(timed(|| post(&client(), &receiver.url(), DEADLINE)).answer, None);
}

#[test]
fn a_body_that_drips_times_out_with_what_had_come() {
    let times_out = |head: &'static str| {
        let receiver = Receiver::start(move |stream, _, _| {
            let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n").as_bytes());
            drip(stream, "5\r\nhello\r\n5000\r\n");
            Then::Close
        });
        let answer = timed_within(LONGER, || post(&client(), &receiver.url(), LONGER)).answer.unwrap();
        assert_eq!(answer.status, 200);
        assert!(!answer.truncated);
    };
    thread::scope(|scope| {
        for head in ["Content-Length: 100000\r\n", "", "Transfer-Encoding: chunked\r\n"] {
            scope.spawn(move || times_out(head));
        }
    });
}

#[test]
fn interim_answers_without_end_time_out() {
    let receiver = Receiver::start(|stream, _, _| {
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").is_ok() {
            thread::sleep(Duration::from_millis(1));
        }
        Then::Close
    });
    timed(|| post(&client(), &receiver.url(), DEADLINE));
}

#[test]
fn a_receiver_that_takes_the_request_drop_by_drop_times_out() {
    let receiver = Receiver::raw(|mut stream| {
        let mut buffer = vec![0; 64 * 1024];
        while stream.read(&mut buffer).is_ok_and(|amount| amount > 0) {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let body = vec![b'x'; 64 * 1024 * 1024];
    timed(|| post_body(&client(), &receiver.url(), &body, DEADLINE));
}

#[test]
fn a_reused_connection_keeps_to_the_deadline_of_its_own_request() {
    let receiver = Receiver::start(|stream, _, number| {
        if number == 1 {
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            return Then::KeepOpen;
        }
        let _ = stream.read(&mut [0]);
        Then::Close
    });
    let client = client();
    assert_eq!(post(&client, &receiver.url(), Duration::from_secs(20)).error, None);
    let outcome = timed(|| post(&client, &receiver.url(), DEADLINE));
    assert!(!outcome.resent, "the receiver may have taken it");
    assert_eq!((receiver.connections(), receiver.requests()), (1, 2));
}

#[test]
fn a_look_up_that_hangs_times_out() {
    let hang = Box::new(|_: &str| {
        thread::sleep(Duration::from_secs(5));
        Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    });
    let client = client_asking(&open_policy(), hang, Duration::from_secs(5), 4);
    timed(|| post(&client, "http://slow.test/", DEADLINE));
}

#[test]
fn a_tls_handshake_that_stalls_times_out() {
    let receiver = Receiver::raw(|mut stream| {
        let _ = stream.read(&mut [0; 16 * 1024]);
        thread::sleep(Duration::from_secs(5));
    });
    timed(|| post(&client(), &receiver.url().replace("http:", "https:"), DEADLINE));
}

#[test]
fn extreme_deadlines_are_taken() {
    let receiver = Receiver::raw(|mut stream| {
        while read_request(&mut stream).is_some() {
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    assert_eq!(post(&client(), &receiver.url(), Duration::MAX).error, None);
    assert_eq!(error_of(&post(&client(), &receiver.url(), Duration::ZERO)).0, ErrorType::Timeout);
    assert_eq!(error_of(&post(&client(), &receiver.url(), Duration::from_nanos(1))).0, ErrorType::Timeout);
}

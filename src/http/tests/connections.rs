//! Connections are kept alive, and a dead one is not taken for a failure.

use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use super::receiver::{Receiver, Then, read_request};
use super::{AMPLE, client, error_of, post};
use crate::domain::attempt::ErrorType;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn ten_requests_share_one_connection() {
    for answer in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 500 Oops\r\nContent-Length: 2\r\n\r\nno",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        let receiver = Receiver::answering(answer);
        let client = client();
        for _ in 0..10 {
            assert!(post(&client, &receiver.url(), AMPLE).answer.is_some());
        }
        assert_eq!((receiver.connections(), receiver.requests()), (1, 10), "{answer}");
    }
}

#[test]
fn as_many_connections_are_kept_as_asked_for() {
    let receiver = Receiver::start(|stream, _, _| {
        thread::sleep(Duration::from_millis(30));
        stream.write_all(OK.as_bytes()).unwrap();
        Then::KeepOpen
    });
    let client = client();
    for _ in 0..4 {
        thread::scope(|scope| {
            for _ in 0..16 {
                scope.spawn(|| assert_eq!(post(&client, &receiver.url(), AMPLE).error, None));
            }
        });
    }
    assert_eq!(receiver.requests(), 64);
    assert!(receiver.connections() <= 16, "{}", receiver.connections());
}

#[test]
fn an_answer_that_was_cut_does_not_leave_its_rest_to_the_next_request() {
    let rest = "HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n".repeat(4_000);
    let receiver = Receiver::answering(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{rest}", rest.len()));
    let client = client();
    for _ in 0..3 {
        assert_eq!(post(&client, &receiver.url(), AMPLE).error, None);
    }
    assert_eq!(receiver.connections(), 3);
}

#[test]
fn bytes_after_an_answer_are_not_taken_for_the_next_answer() {
    let receiver = Receiver::answering(format!("{OK}HTTP/1.1 500 Smuggled\r\nContent-Length: 0\r\n\r\n"));
    let client = client();
    for _ in 0..3 {
        assert_eq!(post(&client, &receiver.url(), AMPLE).error, None);
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(receiver.connections(), 3);
}

#[test]
fn a_connection_that_the_receiver_closed_meanwhile_is_not_used() {
    let receiver = Receiver::answering_once(OK);
    let client = client();
    for closed in 1..=3 {
        let outcome = post(&client, &receiver.url(), AMPLE);
        assert_eq!((outcome.error, outcome.resent), (None, false));
        receiver.wait_for_closed(closed);
    }
    assert_eq!((receiver.connections(), receiver.requests()), (3, 3));
}

#[test]
fn a_request_on_a_connection_that_dies_under_it_is_sent_once_more_and_said_so() {
    let receiver = Receiver::start(|stream, _, number| match number {
        1 => {
            stream.write_all(OK.as_bytes()).unwrap();
            Then::KeepOpen
        }
        _ => Then::Close,
    });
    let client = client();
    assert!(!post(&client, &receiver.url(), AMPLE).resent);
    let outcome = post(&client, &receiver.url(), AMPLE);
    assert_eq!((outcome.error, outcome.resent), (None, true));
    assert_eq!((receiver.connections(), receiver.requests()), (2, 3));
}

#[test]
fn a_request_is_sent_once_more_on_a_new_connection_though_another_is_idle() {
    let both = Arc::new(Barrier::new(2));
    let served = AtomicUsize::new(0);
    let receiver = Receiver::start(move |stream, _, number| {
        if number > 1 {
            return Then::Close;
        }
        if served.fetch_add(1, Ordering::SeqCst) < 2 {
            both.wait();
        }
        stream.write_all(OK.as_bytes()).unwrap();
        Then::KeepOpen
    });
    let client = client();
    thread::scope(|scope| (0..2).for_each(|_| drop(scope.spawn(|| post(&client, &receiver.url(), AMPLE)))));
    assert_eq!(receiver.connections(), 2);
    let outcome = post(&client, &receiver.url(), AMPLE);
    assert_eq!((outcome.error, outcome.resent), (None, true));
    assert_eq!((receiver.connections(), receiver.requests()), (3, 4));
}

#[test]
fn a_kept_connection_that_is_reset_is_as_dead_as_one_that_closes() {
    let receiver = Receiver::raw(|mut stream| {
        if read_request(&mut stream).is_some() {
            stream.write_all(OK.as_bytes()).unwrap();
            // What is unread as it closes makes a reset of it.
            let _ = std::io::Read::read(&mut stream, &mut [0; 10]);
        }
    });
    let client = client();
    assert!(!post(&client, &receiver.url(), AMPLE).resent);
    let outcome = post(&client, &receiver.url(), AMPLE);
    assert_eq!((outcome.error, outcome.resent), (None, true));
    assert_eq!(receiver.connections(), 2);
}

#[test]
fn a_request_is_sent_at_most_twice() {
    let served = Arc::new(AtomicUsize::new(0));
    let receiver = Receiver::start(move |stream, _, _| {
        if served.fetch_add(1, Ordering::SeqCst) > 0 {
            return Then::Close;
        }
        stream.write_all(OK.as_bytes()).unwrap();
        Then::KeepOpen
    });
    let client = client();
    assert_eq!(post(&client, &receiver.url(), AMPLE).error, None);
    let outcome = post(&client, &receiver.url(), AMPLE);
    assert_eq!((error_of(&outcome).0, outcome.resent), (ErrorType::ConnectionError, true));
    assert_eq!(receiver.requests(), 3);
}

#[test]
fn a_fresh_connection_that_closes_is_a_failure_and_not_repeated() {
    let receiver = Receiver::start(|_, _, _| Then::Close);
    let outcome = post(&client(), &receiver.url(), AMPLE);
    assert_eq!((error_of(&outcome).0, outcome.resent), (ErrorType::ConnectionError, false));
    assert_eq!(receiver.requests(), 1);
}

#[test]
fn an_answer_that_had_begun_is_never_asked_for_again() {
    let receiver = Receiver::start(|stream, _, number| {
        let answer = if number == 1 { OK } else { "HTTP/1.1 2" };
        stream.write_all(answer.as_bytes()).unwrap();
        if number == 1 { Then::KeepOpen } else { Then::Close }
    });
    let client = client();
    assert_eq!(post(&client, &receiver.url(), AMPLE).error, None);
    let outcome = post(&client, &receiver.url(), AMPLE);
    assert_eq!((error_of(&outcome).0, outcome.resent), (ErrorType::ConnectionError, false));
    assert_eq!(receiver.requests(), 2);
}

#[test]
fn refused_and_reset_connections_are_connection_errors() {
    let outcome = post(&client(), "http://127.0.0.1:9/", AMPLE);
    assert_eq!(error_of(&outcome), (ErrorType::ConnectionError, "127.0.0.1:9 refused the connection"));

    // Closing with unread bytes in the buffer sends a reset.
    let receiver = Receiver::raw(|mut stream| {
        let _ = std::io::Read::read(&mut stream, &mut [0; 10]);
    });
    let outcome = post(&client(), &receiver.url(), AMPLE);
    assert_eq!(error_of(&outcome).0, ErrorType::ConnectionError, "{outcome:?}");
}

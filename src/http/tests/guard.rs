//! The outgoing guard at work: what may not be called sees no connection.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::receiver::Receiver;
use super::{AMPLE, client_asking, client_of, error_of, post};
use crate::domain::attempt::ErrorType;
use crate::domain::network::{AddressPolicy, parse_networks};
use crate::http::Client;

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn allowing(networks: &str) -> AddressPolicy {
    AddressPolicy { allow_private: false, allow_networks: parse_networks(networks).unwrap() }
}

/// A client whose n-th look-up gives the n-th list of addresses, the last one again and again; and their count.
fn client_finding(policy: AddressPolicy, answers: &'static [&[&str]], kept: Duration) -> (Client, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let look_up = move |_: &str| {
        thread::sleep(Duration::from_millis(20));
        let number = counted.fetch_add(1, Ordering::SeqCst).min(answers.len() - 1);
        Ok(answers[number].iter().map(|text| text.parse::<IpAddr>().unwrap()).collect())
    };
    (client_asking(&policy, Box::new(look_up), kept, 16), count)
}

#[test]
fn loopback_sees_no_connection_however_it_is_spelled() {
    let receiver = Receiver::answering(OK);
    let client = client_of(&AddressPolicy::default());
    for host in [
        "127.0.0.1",
        "127.1",
        "0x7f.1",
        "0177.0.0.1",
        "2130706433",
        "127.0.0.1.",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
        "[::1]",
        "0.0.0.0",
        "１２７.0.0.1",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "a.localhost",
        "a.localhost.",
    ] {
        let outcome = post(&client, &receiver.url_at(host), AMPLE);
        assert_eq!(error_of(&outcome).0, ErrorType::BlockedAddress, "{host}: {outcome:?}");
        assert!(error_of(&outcome).1.ends_with("--allow-private would allow it"), "{outcome:?}");
        assert_eq!(outcome.answer, None);
    }
    assert_eq!(receiver.connections(), 0);
    let open = client_of(&allowing("127.0.0.1"));
    assert_eq!(post(&open, &receiver.url_at("2130706433"), AMPLE).error, None);
    assert_eq!(receiver.connections(), 1);
}

#[test]
fn a_name_that_turns_to_loopback_is_refused_at_the_next_look_up() {
    let receiver = Receiver::answering(OK);
    // 192.0.2.1 plays the public address: the policy allows it and nothing answers there.
    let (client, look_ups) =
        client_finding(allowing("192.0.2.0/24"), &[&["192.0.2.1"], &["127.0.0.1"]], Duration::ZERO);
    let first = post(&client, &receiver.url_at("rebinding.test"), Duration::from_millis(300));
    assert_ne!(error_of(&first).0, ErrorType::BlockedAddress, "{first:?}");
    assert_eq!(look_ups.load(Ordering::SeqCst), 1, "one look-up decides and connects");
    let second = post(&client, &receiver.url_at("rebinding.test"), AMPLE);
    assert_eq!(error_of(&second).0, ErrorType::BlockedAddress, "{second:?}");
    assert_eq!((receiver.connections(), look_ups.load(Ordering::SeqCst)), (0, 2));
}

#[test]
fn an_open_connection_is_no_way_round_the_guard() {
    let receiver = Receiver::answering(OK);
    let (client, _) = client_finding(allowing("127.0.0.1"), &[&["127.0.0.1"], &["127.0.0.2"]], Duration::ZERO);
    assert_eq!(post(&client, &receiver.url_at("turning.test"), AMPLE).error, None);
    let outcome = post(&client, &receiver.url_at("turning.test"), AMPLE);
    assert_eq!(error_of(&outcome).0, ErrorType::BlockedAddress, "{outcome:?}");
    assert_eq!(receiver.requests(), 1);
}

#[test]
fn one_refused_address_among_allowed_ones_refuses_the_attempt() {
    let receiver = Receiver::answering(OK);
    for answers in [&[&["127.0.0.1", "10.0.0.1"] as &[&str]], &[&["10.0.0.1", "127.0.0.1"] as &[&str]]] {
        let (client, _) = client_finding(allowing("127.0.0.1"), answers, Duration::ZERO);
        let outcome = post(&client, &receiver.url_at("mixed.test"), AMPLE);
        let message = "10.0.0.1 is a private address; --allow-private would allow it";
        assert_eq!(error_of(&outcome), (ErrorType::BlockedAddress, message));
    }
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn an_address_that_does_not_answer_gives_way_to_the_next() {
    let receiver = Receiver::answering(OK);
    let (client, _) = client_finding(allowing("127.0.0.0/8"), &[&["127.0.0.9", "127.0.0.1"]], Duration::ZERO);
    assert_eq!(post(&client, &receiver.url_at("two.test"), AMPLE).error, None);
}

#[test]
fn workers_that_ask_for_one_name_share_a_look_up() {
    let receiver = Receiver::answering(OK);
    let (client, look_ups) = client_finding(allowing("127.0.0.1"), &[&["127.0.0.1"]], AMPLE);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..5 {
                    assert_eq!(post(&client, &receiver.url_at("shared.test"), AMPLE).error, None);
                }
            });
        }
    });
    assert_eq!((look_ups.load(Ordering::SeqCst), receiver.requests()), (1, 80));
    assert_eq!(post(&client, &receiver.url_at("other.test"), AMPLE).error, None);
    assert_eq!(look_ups.load(Ordering::SeqCst), 2);
}

#[test]
fn a_name_without_an_address_is_a_dns_error() {
    let (client, _) = client_finding(AddressPolicy::default(), &[&[]], Duration::ZERO);
    let message = "cannot find the address of nowhere.test: the name has no address";
    assert_eq!(error_of(&post(&client, "http://nowhere.test/", AMPLE)), (ErrorType::DnsError, message));

    let failing = Box::new(|_: &str| Err(io::Error::other("the server is away")));
    let client = client_asking(&AddressPolicy::default(), failing, AMPLE, 4);
    let message = "cannot find the address of nowhere.test: the server is away";
    assert_eq!(error_of(&post(&client, "http://nowhere.test/", AMPLE)), (ErrorType::DnsError, message));
}

//! The idle connections of all clients: one bounded pool, and none is used by a client that did not open it.

use std::thread;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use super::receiver::Receiver;
use super::{AMPLE, egress, open_policy, post, shared};
use crate::domain::network::{AddressPolicy, parse_networks};
use crate::http::look_up::LookUps;
use crate::http::{Client, Egress, Shared};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn of(shared: &Shared, networks: &str) -> Client {
    let policy = AddressPolicy { allow_private: false, allow_networks: parse_networks(networks).unwrap() };
    Client::new(shared, &egress(&policy)).unwrap()
}

#[test]
fn a_connection_opened_under_one_policy_or_ca_is_not_used_under_another() {
    let (receiver, shared) = (Receiver::answering(OK), shared(16));
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = authority.self_signed(&KeyPair::generate().unwrap()).unwrap().pem();
    let clients = [
        of(&shared, "127.0.0.1"),
        of(&shared, "127.0.0.0/8"),
        Client::new(&shared, &egress(&open_policy())).unwrap(),
        Client::new(&shared, &Egress { ca_cert: Some(root), ..egress(&open_policy()) }).unwrap(),
    ];
    for _ in 0..3 {
        for client in &clients {
            assert_eq!(post(client, &receiver.url(), AMPLE).error, None);
        }
    }
    assert_eq!((receiver.connections(), receiver.requests(), shared.idle.len()), (4, 12, 4));
}

#[test]
fn a_connection_serves_the_host_and_port_it_was_opened_for() {
    let (one, other) = (Receiver::answering(OK), Receiver::answering(OK));
    let client = of(&shared(16), "127.0.0.1");
    for _ in 0..3 {
        assert_eq!(post(&client, &one.url(), AMPLE).error, None);
        assert_eq!(post(&client, &other.url(), AMPLE).error, None);
    }
    assert_eq!((one.connections(), one.requests()), (1, 3));
    assert_eq!((other.connections(), other.requests()), (1, 3));
}

#[test]
fn all_clients_together_keep_no_more_than_the_bound_and_the_latest() {
    let (receiver, shared) = (Receiver::answering(OK), shared(3));
    let clients: Vec<Client> = (1..=20).map(|number| of(&shared, &format!("127.0.0.1,10.0.0.{number}"))).collect();
    for client in &clients {
        assert_eq!(post(client, &receiver.url(), AMPLE).error, None);
        assert!(shared.idle.len() <= 3);
    }
    for client in &clients[17..] {
        assert_eq!(post(client, &receiver.url(), AMPLE).error, None);
    }
    assert_eq!((receiver.connections(), receiver.requests()), (20, 23));
}

#[test]
fn idle_connections_are_closed_with_their_client() {
    let (receiver, shared) = (Receiver::answering(OK), shared(16));
    let (kept, gone) = (of(&shared, "127.0.0.1"), of(&shared, "127.0.0.0/8"));
    assert_eq!(post(&kept, &receiver.url(), AMPLE).error, None);
    assert_eq!(post(&gone, &receiver.url(), AMPLE).error, None);
    drop(gone);
    assert_eq!(shared.idle.len(), 1);
    assert_eq!(post(&kept, &receiver.url(), AMPLE).error, None);
    assert_eq!(receiver.connections(), 2);
}

#[test]
fn idle_connections_are_closed_by_age() {
    let (receiver, shared) = (Receiver::answering(OK), Shared::new(16));
    let client = of(&shared, "127.0.0.1");
    assert_eq!(post(&client, &receiver.url(), AMPLE).error, None);
    assert_eq!(shared.idle.len(), 1);
    thread::sleep(Duration::from_millis(1_600));
    shared.close_old();
    assert_eq!(shared.idle.len(), 0);
}

#[test]
fn a_connection_that_was_idle_for_too_long_is_not_used() {
    let longest = Duration::from_millis(50);
    let receiver = Receiver::answering(OK);
    let client = of(&Shared::with(LookUps::new(), 16, longest), "127.0.0.1");
    for _ in 0..3 {
        assert_eq!(post(&client, &receiver.url(), AMPLE).error, None);
        thread::sleep(longest);
    }
    assert_eq!((receiver.connections(), receiver.requests()), (3, 3));
}

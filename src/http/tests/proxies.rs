//! Requests by a proxy: each is written for it, also on a connection that was used before.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};

use super::receiver::{Receiver, Then, read_request};
use super::{AMPLE, egress, open_policy, post, shared};
use crate::domain::proxy::ProxyLogin;
use crate::http::{Client, Egress};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

fn client_by(proxy: &str, proxy_resolves: bool) -> Client {
    let proxy = Some(ProxyLogin::parse(proxy).unwrap());
    Client::new(&shared(4), &Egress { proxy, proxy_resolves, ..egress(&open_policy()) }).unwrap()
}

#[test]
fn each_request_on_a_connection_to_a_forwarding_proxy_names_the_receiver_and_has_the_login() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let proxy = Receiver::start(move |stream, request, _| {
        kept.lock().unwrap().push(request.to_owned());
        stream.write_all(OK.as_bytes()).unwrap();
        Then::KeepOpen
    });
    let client = client_by(&format!("http://me:pw@127.0.0.1:{}", proxy.port()), true);
    for _ in 0..3 {
        assert_eq!(post(&client, "http://a.example/x?y=1", AMPLE).error, None);
    }
    assert_eq!((proxy.connections(), proxy.requests()), (1, 3));
    for request in seen.lock().unwrap().iter() {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        assert_eq!(head.lines().next(), Some("POST http://a.example/x?y=1 HTTP/1.1"));
        assert_eq!(head.matches("\r\nProxy-Authorization: Basic bWU6cHc=").count(), 1, "{head}");
        assert_eq!(body, "{\"a\":1}");
    }
}

#[test]
fn whatever_kind_of_address_a_proxy_of_socks_says_it_connects_from_the_answer_is_the_receivers() {
    for from in [&[1, 0, 0, 0, 0, 0, 0][..], &[&[4][..], &[0; 18]].concat(), b"\x03\x01x\0\0"] {
        let answer = [&[5, 0, 0][..], from].concat();
        let proxy = Receiver::raw(move |mut stream| {
            stream.read_exact(&mut [0; 3]).unwrap();
            stream.write_all(&[5, 0]).unwrap();
            stream.read_exact(&mut [0; 10]).unwrap();
            stream.write_all(&answer).unwrap();
            while read_request(&mut stream).is_some() {
                stream.write_all(OK.as_bytes()).unwrap();
            }
        });
        let client = client_by(&format!("socks5://127.0.0.1:{}", proxy.port()), false);
        let outcome = post(&client, "http://127.0.0.1:9/", AMPLE);
        assert_eq!((outcome.error, outcome.answer.unwrap().body), (None, b"ok".to_vec()), "{from:?}");
    }
}

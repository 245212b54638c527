//! What this machine lacks is reported as that, and is never an outcome.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::receiver::Receiver;
use super::{AMPLE, client_asking, error_of, open_policy, post, target};
use crate::domain::attempt::ErrorType;
use crate::http::{Client, OutgoingRequest, local};

fn trouble(client: &Client, url: &str) -> String {
    let target = target(url);
    let request = OutgoingRequest { method: "POST", target: &target, headers: &[], body: b"" };
    client.send(&request, AMPLE).expect_err("the machine lacks something").to_string()
}

#[cfg(unix)]
#[test]
fn what_the_system_lacks_is_local_and_what_a_receiver_does_is_not() {
    use rustix::io::Errno;

    let said = |errno: Errno| local::trouble(&io::Error::from(errno)).map(|trouble| trouble.to_string());
    let lacking = [
        (Errno::MFILE, "too many open files (raise the limit with ulimit -n)"),
        (Errno::NFILE, "too many open files on this machine"),
        (Errno::NOMEM, "not enough memory"),
        (Errno::NOBUFS, "not enough memory for network connections"),
        (Errno::NOSPC, "no space left on the disk"),
    ];
    for (errno, message) in lacking {
        assert_eq!(said(errno).as_deref(), Some(message));
    }
    // The last two are how a firewall refuses one connection, while other sockets can be opened.
    for errno in [
        Errno::CONNREFUSED,
        Errno::CONNRESET,
        Errno::NETUNREACH,
        Errno::HOSTUNREACH,
        Errno::TIMEDOUT,
        Errno::AGAIN,
        Errno::PIPE,
        Errno::PERM,
        Errno::ACCESS,
    ] {
        assert_eq!(said(errno), None, "{errno}");
    }
}

#[cfg(unix)]
#[test]
fn a_look_up_that_could_not_be_made_is_local_trouble_and_is_made_again() {
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let ask = Box::new(move |_: &str| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => Err(io::Error::from(rustix::io::Errno::MFILE)),
        _ => Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]),
    });
    let client = client_asking(&open_policy(), ask, AMPLE, 4);
    assert_eq!(
        trouble(&client, &receiver.url_at("short.test")),
        "too many open files (raise the limit with ulimit -n)"
    );
    assert_eq!(post(&client, &receiver.url_at("short.test"), AMPLE).error, None);
}

#[test]
fn look_ups_that_hang_hold_no_more_threads_than_the_bound() {
    let running = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&running);
    let (let_go, held) = channel::<()>();
    let held = Mutex::new(held);
    let ask = Box::new(move |_: &str| {
        counted.fetch_add(1, Ordering::SeqCst);
        let _ = held.lock().unwrap().recv();
        Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)])
    });
    let client = client_asking(&open_policy(), ask, Duration::ZERO, 3);
    thread::scope(|scope| {
        for number in 0..12 {
            let client = &client;
            scope.spawn(move || {
                let outcome = post(client, &format!("http://{number}.hanging.test/"), Duration::from_millis(300));
                assert!(matches!(error_of(&outcome).0, ErrorType::Timeout | ErrorType::DnsError), "{outcome:?}");
            });
        }
    });
    assert_eq!(running.load(Ordering::SeqCst), 3);
    drop(let_go);
}

#[test]
fn a_look_up_that_ended_leaves_its_thread_to_the_next() {
    let receiver = Receiver::answering("HTTP/1.1 204 No Content\r\n\r\n");
    let ask = Box::new(|_: &str| Ok(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]));
    let client = client_asking(&open_policy(), ask, AMPLE, 1);
    for number in 0..3 {
        assert_eq!(post(&client, &receiver.url_at(&format!("{number}.test")), AMPLE).error, None);
    }
}

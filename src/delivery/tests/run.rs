//! Whole runs against addresses where nobody listens or answers, where something fails on this side.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use super::{NOW, emit, event, options, stored};
use crate::delivery::engine::Engine;
use crate::delivery::run::{RunOptions, Turn};
use crate::delivery::{AcceptOptions, SentAtOnce, accept};
use crate::random::Random;
use crate::signals::Stop;
use crate::store::{NewClaim, Store, StoreError};

/// A file with a webhook whose receiver refuses every connection.
fn refused(folder: &tempfile::TempDir) -> PathBuf {
    with_receiver(folder, "http://127.0.0.1:9/")
}

fn with_receiver(folder: &tempfile::TempDir, url: &str) -> PathBuf {
    let path = folder.path().join("hookctl.db");
    let store = Store::open(&path, Duration::from_millis(50)).unwrap();
    stored(&store, "crm", |settings| {
        settings.url = url.to_owned();
        settings.addresses.allow_private = true;
    });
    path
}

/// The URL of a receiver that is overloaded by the first request, and answers no other.
fn overloaded() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let mut held = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            if held.is_empty() {
                let _ = stream.read(&mut [0; 16 * 1024]).unwrap();
                stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n").unwrap();
            }
            held.push(stream);
        }
    });
    url
}

#[test]
fn what_was_claimed_ahead_goes_back_with_the_result_that_holds_its_webhook_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&with_receiver(&folder, &overloaded()), Duration::from_secs(5)).unwrap();
    let deliveries = emit(&store, 0..10, 2);
    let mut engine = Engine::new(&store, options(2), Random::new().unwrap());
    engine.add_deliveries(deliveries);
    while engine.summary().retrying == 0 {
        engine.turn().unwrap();
    }
    let due = store.count_due(NOW, &[]).unwrap();
    assert!(due >= 7, "{due} are due: one was answered, and two are in flight at the most");
}

#[test]
fn a_result_that_cannot_be_recorded_is_told_with_how_many_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let path = refused(&folder);
    let (store, other) = (
        Store::open(&path, Duration::from_millis(20)).unwrap(),
        Store::open(&path, Duration::from_millis(20)).unwrap(),
    );
    let deliveries = emit(&store, 0..2, 2);
    let mut engine = Engine::new(&store, options(2), Random::new().unwrap());
    engine.add_deliveries(deliveries);
    assert_eq!(engine.turn().unwrap(), Turn::Busy, "both are claimed and sent");
    let error = other.transaction(|| {
        let error = std::iter::from_fn(|| Some(engine.turn())).find_map(Result::err);
        Ok::<_, StoreError>(error.unwrap())
    });
    match error.unwrap().downcast::<StoreError>().unwrap() {
        StoreError::NotRecorded { attempts: 1..=2, reason } => assert!(matches!(*reason, StoreError::Busy)),
        other => panic!("{other}"),
    }
    assert_eq!(store.count_due(NOW, &[]).unwrap(), 0, "they are claimed until their leases end");
}

#[test]
fn a_locked_database_before_anything_was_sent_is_told_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = refused(&folder);
    let (store, other) = (
        Store::open(&path, Duration::from_millis(20)).unwrap(),
        Store::open(&path, Duration::from_millis(20)).unwrap(),
    );
    let deliveries = emit(&store, 0..2, 2);
    let mut engine = Engine::new(&store, options(2), Random::new().unwrap());
    engine.add_deliveries(deliveries);
    let error = other.transaction(|| Ok::<_, StoreError>(engine.turn().unwrap_err())).unwrap();
    assert!(matches!(error.downcast::<StoreError>().unwrap(), StoreError::Busy));
    engine.run(|_| Ok(())).unwrap();
    assert_eq!(engine.summary().retrying, 2, "what could not be claimed is claimed by the next turn");
}

#[test]
fn a_run_attempts_each_delivery_once_and_counts_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&refused(&folder), Duration::from_secs(5)).unwrap();
    emit(&store, 0..4, 2);
    let mut engine = Engine::new(&store, options(2), Random::new().unwrap());
    engine.drain(&[]);
    let summary = engine.run(|_| Ok(())).unwrap();
    assert_eq!((summary.claimed, summary.retrying, summary.finished(), summary.not_delivered()), (4, 4, 4, 4));
    assert_eq!((summary.succeeded, summary.failed, summary.lost), (0, 0, 0));
}

/// An event with a delivery that is claimed as it is stored, in an engine.
fn claimed_at_once(store: &Store, stop: Stop) -> Engine<'_> {
    let event = event("e-1", b"{}".to_vec());
    let subscribers = store.subscribers().unwrap();
    let at_once = Some(SentAtOnce { claim: NewClaim { now: NOW, token: 7 }, workers: 2 });
    let options = AcceptOptions { subscribers: &subscribers, at_once, ..AcceptOptions::default() };
    let intake = accept(store, [&event], options).unwrap().remove(0);
    assert_eq!((intake.deliveries.len(), intake.claimed.len()), (0, 1));
    assert_eq!(store.count_due(NOW, &[]).unwrap(), 0, "nobody else claims it");
    let mut engine = Engine::new(store, RunOptions { stop, ..super::options(2) }, Random::new().unwrap());
    engine.add_claimed(intake.claimed, &event).unwrap();
    engine
}

#[test]
fn a_delivery_that_was_claimed_as_it_was_stored_is_attempted_by_that_claim() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&refused(&folder), Duration::from_secs(5)).unwrap();
    let summary = claimed_at_once(&store, Stop::default()).run(|_| Ok(())).unwrap();
    assert_eq!((summary.claimed, summary.retrying, summary.lost), (1, 1, 0));
    assert_eq!(store.attempts(1).unwrap().len(), 1);
}

#[test]
fn a_delivery_that_was_claimed_as_it_was_stored_is_due_again_where_the_run_is_stopped_before_it_began() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&refused(&folder), Duration::from_secs(5)).unwrap();
    let stop = Stop::default();
    stop.ask();
    claimed_at_once(&store, stop).run(|_| Ok(())).unwrap();
    assert_eq!((store.attempts(1).unwrap().len(), store.count_due(NOW, &[]).unwrap()), (0, 1));
}

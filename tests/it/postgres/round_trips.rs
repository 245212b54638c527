//! How often a command waits for the server: on a network this is what its time is made of.

use std::time::Duration;

use super::{subscribed, through};
use crate::fault::batch;
use crate::support::postgres::{Proxy, Server};
use crate::support::{Reply, TestEnv};

/// The round trips of one command, after connecting. What is sent at once counts once: each byte takes its time.
fn round_trips(env: &TestEnv, arguments: &[&str]) -> usize {
    let proxy = Proxy::with_delay(Server::cluster().address(), Duration::from_millis(20));
    through(&proxy, env, arguments).run().ok();
    proxy.round_trips()
}

/// The least of three tries: on a machine that is busy, what comes late makes a trip of its own.
fn fewest(measure: impl FnMut(usize) -> usize) -> usize {
    (0..3).map(measure).min().unwrap()
}

#[test]
fn an_emit_makes_three_round_trips() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    let made = fewest(|_| round_trips(&env, &["emit", "invoice.paid", "--data", "{}"]));
    assert_eq!(made, 3, "its webhooks, the event with its deliveries, their results");
    assert_eq!(receiver.count(), 3);
}

#[test]
fn a_batch_of_a_thousand_makes_two_round_trips_beside_the_look_at_the_webhooks() {
    needs_postgres!();
    let (env, _receiver) = subscribed(&[]);
    let made = fewest(|try_number| {
        let lines = batch(&format!("e{try_number}-"), 1_000);
        let file = env.file("batch.jsonl", lines).display().to_string();
        round_trips(&env, &["emit", "--batch", &file, "--enqueue"])
    });
    assert!(made <= 1 + 2, "{made}");
}

#[test]
fn a_drain_of_a_few_deliveries_makes_a_dozen_round_trips() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    // They come back in one group, or in two.
    receiver.now_answers(Reply::StatusAfter(Duration::from_millis(150), 200));
    let made = fewest(|try_number| {
        env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch(&format!("e{try_number}-"), 3)).run().ok();
        round_trips(&env, &["drain"])
    });
    assert_eq!(receiver.count(), 9);
    // Twelve or thirteen; on a machine that is busy it looks once more for what is due, or records one more group.
    assert!(made <= 15, "{made}");
}

#[test]
fn each_further_group_of_a_drain_makes_two_round_trips() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    // The receiver takes long, so that groups are as large as the workers are many.
    receiver.now_answers(Reply::StatusAfter(Duration::from_millis(150), 200));
    let drain = |deliveries: usize, try_number: usize| {
        let lines = batch(&format!("e{try_number}-{deliveries}-"), deliveries);
        env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(lines).run().ok();
        round_trips(&env, &["drain", "--concurrency", "8"])
    };
    let more = fewest(|try_number| drain(80, try_number) - drain(8, try_number));
    assert_eq!(receiver.count(), 3 * 88);
    // Nine more groups of eight, each claimed and recorded; answers that come late make a group of their own.
    let each = more as f64 / 9.0;
    assert!(each <= 4.0, "{more} for nine groups more");
}

//! Drains that are killed, and several at once: one event for each row.

use std::thread::sleep;
use std::time::Duration;

use super::{App, subscribed};
use crate::fault::{Dice, PATIENCE, assert_whole, count, requests_by_event, scale};
use crate::support::{Child, TestEnv, TestReceiver, wait_until};

fn fill(app: &App, rows: usize) {
    app.run(&format!(
        "INSERT INTO hookctl_outbox (event_type, data)
            WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {rows})
            SELECT 'a.b', CAST(n AS TEXT) FROM n"
    ));
}

/// Rows under kills: 150 and 3, or 1,500 and 30.
fn assert_each_row_is_one_event(env: &TestEnv, receiver: &TestReceiver, app: &App) {
    let (mut dice, rows) = (Dice::new(), 150 * scale());
    let part = rows / (3 * scale());
    for _ in 0..3 * scale() {
        fill(app, part);
        let drain = env.hookctl(["drain", "--outbox"]).arg(app.source()).spawn();
        sleep(dice.up_to(Duration::from_millis(150)));
        drain.kill();
    }
    // A server notices a killed drain a moment later; until then its rows are that drain's and are passed over.
    wait_until("all rows are taken in", || {
        app.drain(env).ok();
        app.count() == 0
    });
    assert_eq!((app.count(), count(env, "SELECT count(*) FROM events")), (0, rows));
    assert_eq!(count(env, "SELECT count(*) FROM deliveries"), rows);
    assert_whole(env);
    // What was in flight at a kill is due once its lease is over.
    let later = (chrono::Utc::now() + chrono::Duration::minutes(5)).to_rfc3339();
    env.hookctl(["drain"]).now(&later).run().ok();
    assert_eq!(requests_by_event(receiver).len(), rows);
}

#[test]
fn rows_of_a_file_under_kills_of_drain_are_one_event_each() {
    let (env, receiver) = subscribed();
    assert_each_row_is_one_event(&env, &receiver, &App::file(&env));
}

#[test]
fn rows_on_a_server_under_kills_of_drain_are_one_event_each() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    assert_each_row_is_one_event(&env, &receiver, &App::server(&env, &[]));
}

#[test]
fn three_drains_on_one_outbox_on_a_server_take_each_row_once() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    // Deliveries are owed and not sent: it is about what is taken in.
    env.hookctl(["webhook", "pause", "crm"]).run().ok();
    let (app, rows) = (App::server(&env, &[]), 600 * scale());
    fill(&app, rows);
    let drain = || env.hookctl(["drain", "-o", "json", "--outbox"]).arg(app.source()).spawn();
    let drains: Vec<Child> = (0..3).map(|_| drain()).collect();
    let taken =
        drains.into_iter().map(|drain| drain.wait_timeout(PATIENCE * 2).ok().json()["taken_in"].as_u64().unwrap());
    let taken: u64 = taken.sum();
    assert_eq!((taken as usize, app.count()), (rows, 0));
    assert_eq!(count(&env, "SELECT count(*) FROM events"), rows);
    assert_eq!((count(&env, "SELECT count(*) FROM deliveries"), receiver.count()), (rows, 0));
}

#[test]
fn what_was_accepted_and_not_deleted_before_a_kill_is_deleted_by_the_next_drain_and_not_sent_again() {
    let (env, receiver) = subscribed();
    let app = App::file(&env);
    app.run("INSERT INTO hookctl_outbox (event_type, data, event_id) VALUES ('a.b', '1', 'one')");
    // The application holds its write lock: the row is accepted and cannot be deleted.
    let mut application = app.connection();
    let held = application.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).unwrap();
    let drain = env.hookctl(["drain", "--outbox"]).arg(app.source()).spawn();
    wait_until("the row is accepted", || count(&env, "SELECT count(*) FROM events") == 1);
    drain.kill();
    drop(held);
    assert_eq!((app.count(), count(&env, "SELECT count(*) FROM events")), (1, 1));
    let after = app.drain(&env).ok().json();
    assert_eq!((&after["taken_in"], app.count()), (&0.into(), 0));
    assert_eq!((count(&env, "SELECT count(*) FROM events"), receiver.count()), (1, 1));
}

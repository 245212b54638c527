//! The application does not wait for hookctl.

use std::time::{Duration, Instant};

use super::{App, subscribed};
use crate::fault::{PATIENCE, scale};
use crate::support::Reply;

/// Writes rows at 200 a second, and tells how long the longest transaction took.
fn longest_wait(app: &App, rows: usize) -> Duration {
    let connection = app.connection();
    let (began, mut longest) = (Instant::now(), Duration::ZERO);
    for number in 0..rows {
        let due = Duration::from_millis(5) * number as u32;
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let started = Instant::now();
        let insert = "BEGIN IMMEDIATE; INSERT INTO hookctl_outbox (event_type, data) VALUES ('a.b', '{}'); COMMIT;";
        connection.execute_batch(insert).unwrap();
        longest = longest.max(started.elapsed());
    }
    longest
}

#[test]
fn an_application_writes_on_while_a_drain_takes_in_and_sends_to_a_slow_receiver() {
    let (env, receiver) = subscribed();
    receiver.now_answers(Reply::StatusAfter(Duration::from_millis(200), 200));
    let app = App::file(&env);
    app.run("PRAGMA journal_mode = WAL");
    let drain = env.hookctl(["drain", "--watch", "50ms", "--outbox"]).arg(app.source()).spawn();
    let rows = 200 * scale();
    let longest = longest_wait(&app, rows);
    // On a machine that has nothing else to do it is 250 ms in the long form; here no lock is held through a request's time.
    let limit = if scale() > 1 { Duration::from_millis(250) } else { Duration::from_secs(10) };
    assert!(longest < limit, "{longest:?}");
    receiver.wait_for(rows, PATIENCE + Duration::from_millis(20) * rows as u32);
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
    assert_eq!(app.count(), 0);
}

#[test]
fn a_file_that_its_application_keeps_locked_is_told_and_its_rows_stay() {
    let (env, receiver) = subscribed();
    let app = App::file(&env);
    app.run("INSERT INTO hookctl_outbox (event_type, event_id) VALUES ('a.b', 'one')");
    let mut application = app.connection();
    let held = application.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive).unwrap();
    env.hookctl(["emit", "c.d", "--enqueue"]).run().ok();
    let run = app.drain(&env).fails(75);
    assert!(run.err().contains("another process kept it locked"), "{}", run.err());
    assert_eq!(receiver.count(), 1, "what is due is sent");
    drop(held);
    app.drain(&env).ok();
    assert_eq!((receiver.count(), app.count()), (2, 0));
}

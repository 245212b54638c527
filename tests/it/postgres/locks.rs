//! Deadlocks that are provoked, and statements that take too long.

use std::thread;

use super::subscribed;
use crate::fault::{PATIENCE, assert_whole, batch, count, requests_by_event, subscribe};
use crate::support::{Engine, TestEnv, TestReceiver};

#[test]
fn a_deadlock_with_another_session_loses_nothing_and_sends_nothing_twice() {
    needs_postgres!();
    let (env, receiver) = (TestEnv::on(Engine::Server), TestReceiver::start(200));
    subscribe(&env, &receiver, &["a", "b", "c"], &["--timeout", "60s"]);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch("e", 40)).run().ok();
    let drain = env.hookctl(["drain", "--watch", "100ms", "-o", "json"]).spawn();
    // Somebody else changes the rows in the order in which they must meet.
    let deadlocked = thread::scope(|scope| {
        let meddler = scope.spawn(|| {
            let session = env.server().session();
            let mut deadlocked = 0;
            for _ in 0..10 {
                let met = session.try_run(
                    "BEGIN; UPDATE webhook_state SET last_failure_at = last_failure_at WHERE webhook_id = 3;
                    SELECT pg_sleep(0.1); UPDATE webhook_state SET last_failure_at = last_failure_at WHERE webhook_id = 1;
                    COMMIT",
                );
                if met.is_err() {
                    deadlocked += 1;
                    session.run("ROLLBACK");
                }
            }
            deadlocked
        });
        for round in 0..10 {
            env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch(&format!("r{round}"), 4)).run();
        }
        meddler.join().unwrap()
    });
    drain.signal("TERM");
    let run = drain.wait_timeout(4 * PATIENCE);
    assert!(matches!(run.code, Some(143 | 75)), "{deadlocked} deadlocks: {run:?}");
    for round in 0..10 {
        env.hookctl(["emit", "--batch", "-"]).stdin(batch(&format!("r{round}"), 4)).run().ok();
    }
    let later = (chrono::Utc::now() + chrono::Duration::minutes(5)).to_rfc3339();
    env.hookctl(["drain"]).now(&later).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 3 * 80);
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 3 * 80);
    assert_eq!(requests_by_event(&receiver).len(), 3 * 80);
    assert_whole(&env);
}

#[test]
fn a_statement_that_takes_too_long_is_ended_by_the_server_told_and_changes_nothing() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    env.sql_write(
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NEW; END';
        CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    let emit = ["emit", "invoice.paid", "--event-id", "e"];
    let run = env.hookctl(emit).env("PGOPTIONS", "-c statement_timeout=300ms").run();
    assert!(matches!(run.code, Some(1 | 75)), "{run:?}");
    assert!(run.err().contains("hint: ") && run.took < PATIENCE, "{run:?}");
    assert_eq!((receiver.count(), count(&env, "SELECT count(*) FROM events")), (0, 0));
    env.sql_write("DROP TRIGGER slow ON events");
    env.hookctl(emit).run().ok();
    assert_eq!(receiver.count(), 1);
    assert_whole(&env);
}

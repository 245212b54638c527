//! `db copy` from a file to a server, from one server to another, and back to a file.

use std::ffi::OsString;

use crate::fault::{assert_whole, batch, subscribe};
use crate::support::{Engine, Run, TestEnv, TestReceiver};

/// Not the state of the webhooks: on a server a part of its counters stands elsewhere.
const TABLES: [&str; 7] = ["webhooks", "secrets", "events", "deliveries", "attempts", "event_types", "bodies"];

/// A database with deliveries of every kind: made, failed, waiting; and an event type of its own.
fn filled(engine: Engine, receiver: &TestReceiver) -> TestEnv {
    let env = TestEnv::on(engine);
    subscribe(&env, receiver, &["crm", "shop"], &["--max-retries", "0"]);
    env.hookctl(["webhook", "secret", "rotate", "shop", "--overlap", "1h"]).run().ok();
    env.hookctl(["event-type", "add", "order.shipped"]).run().ok();
    env.hookctl(["emit", "--batch", "-"]).stdin(batch("sent", 20)).run().ok();
    receiver.now_answers(500);
    env.hookctl(["emit", "invoice.paid", "--event-id", "failed", "--payload", "-"])
        .stdin(vec![0xff, 0, 0x27])
        .run()
        .ok();
    receiver.now_answers(200);
    env.hookctl(["webhook", "update", "shop", "--transform", "{id: .event_id}"]).run().ok();
    env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(batch("waits", 10)).run().ok();
    env
}

fn copy(from: &TestEnv, to: OsString) -> Run {
    from.hookctl(["db", "copy"]).arg(to).run()
}

/// The columns of deliveries that both engines have: a server derives more for its indexes.
const OF_DELIVERIES: &str = "id, webhook_id, event_id, event_type, body_id, status, due_at, claim_token, lease_until,
    attempt_count, retry_count, is_manual, line, is_behind, is_test, created_at, started_at, completed_at, duration_ms,
    response_status_code, error_type, error_message";

/// The rows of every table, as they are told whatever the engine.
fn rows(env: &TestEnv) -> Vec<Vec<Vec<String>>> {
    let columns = |table: &str| if table == "deliveries" { OF_DELIVERIES } else { "*" };
    TABLES.iter().map(|table| env.sql(&format!("SELECT {} FROM {table} ORDER BY 1", columns(table)))).collect()
}

#[test]
fn a_copy_in_each_direction_has_every_row_and_goes_on_where_the_original_was() {
    needs_postgres!();
    for (from, to) in [(Engine::File, Engine::Server), (Engine::Server, Engine::Server), (Engine::Server, Engine::File)]
    {
        let receiver = TestReceiver::start(200);
        let (original, target) = (filled(from, &receiver), TestEnv::on(to));
        let run = copy(&original, target.address()).ok();
        assert!(!run.text().contains("sesame") && !run.err().contains("error"), "{run:?}");
        assert_eq!(rows(&target), rows(&original), "{from:?} to {to:?}");
        let list = |env: &TestEnv| env.hookctl(["webhook", "list", "-o", "json"]).run().ok().json();
        assert_eq!(list(&target), list(&original), "{from:?} to {to:?}");
        target.hookctl(["db", "check"]).run().ok();
        // Ids go on after those that were copied, and what waited is sent.
        let before = receiver.count();
        target.hookctl(["emit", "invoice.paid", "--event-id", "next", "--enqueue"]).run().ok();
        target.hookctl(["drain", "--strict"]).run().ok();
        assert_eq!(receiver.count() - before, 2 * 11, "{from:?} to {to:?}");
        let requests = receiver.requests();
        let shaped = requests.iter().filter(|request| request.body.starts_with(b"{\"id\":\"waits"));
        assert_eq!(shaped.count(), 10, "bodies are copied too: {from:?} to {to:?}");
        assert_whole(&target);
        assert_eq!(rows(&original)[3].len(), 62, "the original is as it was");
    }
}

#[test]
fn a_target_that_is_not_empty_is_refused_and_left_as_it_is() {
    needs_postgres!();
    let receiver = TestReceiver::start(200);
    let original = filled(Engine::File, &receiver);
    for engine in [Engine::Server, Engine::File] {
        let target = TestEnv::on(engine);
        subscribe(&target, &receiver, &["mine"], &[]);
        let before = rows(&target);
        let run = copy(&original, target.address());
        assert!(matches!(run.code, Some(1 | 2 | 6)) && run.err().starts_with("error: "), "{run:?}");
        assert_eq!(rows(&target), before);
    }
}

#[test]
fn a_copy_that_is_killed_leaves_nothing_that_passes_for_a_database() {
    needs_postgres!();
    let receiver = TestReceiver::start(200);
    let original = filled(Engine::File, &receiver);
    let whole = rows(&original);
    let mut dice = crate::fault::Dice::new();
    for _ in 0..6 {
        let target = TestEnv::on(Engine::Server);
        let child = original.hookctl(["db", "copy"]).arg(target.address()).spawn();
        std::thread::sleep(dice.up_to(std::time::Duration::from_millis(500)));
        child.kill();
        let counted = target.hookctl(["webhook", "list", "-o", "json"]).run().ok().json().as_array().unwrap().len();
        assert!(counted == 0 || rows(&target) == whole, "{counted} webhooks");
        if counted == 0 {
            copy(&original, target.address()).ok();
            assert_eq!(rows(&target), whole);
        }
    }
}

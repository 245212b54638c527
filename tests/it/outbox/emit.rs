//! `hookctl.emit`: events from SQL, in the caller's transaction, into the database itself.

use std::time::Duration;

use crate::fault::{PATIENCE, count, subscribe};
use crate::support::postgres::Session;
use crate::support::{Engine, TestEnv, TestReceiver, wait_until};

fn subscribed() -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::on(Engine::Server), TestReceiver::start(200));
    subscribe(&env, &receiver, &["crm"], &[]);
    (env, receiver)
}

#[test]
fn what_is_committed_is_delivered_and_what_is_rolled_back_is_not() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    let session = env.server().session();
    session.run("BEGIN; SELECT hookctl.emit('order.created', '{\"n\":1.10}'); COMMIT");
    session.run("BEGIN; SELECT hookctl.emit('order.created', '{\"n\":2}'); ROLLBACK");
    let id = session.value(
        "SELECT hookctl.emit('order.paid', key => 'customer-7', owner => 'tester', event_id => 'paid-7', entity => 'order:7')",
    );
    assert_eq!(id, "paid-7");
    let drained = env.hookctl(["drain", "-o", "json"]).run().ok().json();
    assert_eq!((&drained["taken_in"], &drained["succeeded"]), (&2.into(), &2.into()), "nobody told it of the outbox");
    let bodies: Vec<String> = receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    assert!(bodies.iter().any(|body| body.ends_with("\"data\":{\"n\":1.10}}")), "{bodies:?}");
    assert!(bodies.iter().any(|body| body.contains("\"entity\":{\"type\":\"order\",\"id\":\"7\"}")), "{bodies:?}");
    assert_eq!(env.sql("SELECT key, owner FROM events WHERE event_id = 'paid-7'"), [["customer-7", "tester"]]);
    assert_eq!(count(&env, "SELECT count(*) FROM outbox"), 0);
}

#[test]
fn a_bad_type_is_refused_at_once_and_what_else_is_wrong_is_marked() {
    needs_postgres!();
    let (env, _receiver) = subscribed();
    let session = env.server().session();
    for wrong in ["''", "'a b'", "repeat('a', 101)", "NULL", "E'a.b\\n'"] {
        assert!(session.try_run(&format!("SELECT hookctl.emit({wrong})")).is_err(), "{wrong}");
    }
    assert!(session.try_run("SELECT hookctl.emit('a.b', '{')").is_err());
    session.run("SELECT hookctl.emit('a.b', '1', owner => ' ')");
    let drained = env.hookctl(["drain"]).run().fails(65);
    assert!(drained.err().contains("outbox hookctl.emit: row "), "{}", drained.err());
    let list = env.hookctl(["outbox", "status", "-o", "json"]).run().ok().json();
    assert_eq!((&list[0]["source"], &list[0]["rejected"]), (&"hookctl.emit".into(), &1.into()));
    env.hookctl(["outbox", "discard", "--yes"]).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM outbox"), 0);
}

#[test]
fn a_role_that_was_granted_it_may_emit_and_read_nothing() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    let stranger = || Session::open(&env.server().url_as("stranger"));
    let emit = "SELECT hookctl.emit('a.b', '1')";
    let assert_denied = |session: &Session, sql: &str| {
        let error = format!("{:?}", session.try_run(sql).unwrap_err());
        assert!(error.contains("permission denied"), "{sql}: {error}");
    };
    assert_denied(&stranger(), emit);
    let init = env.hookctl(["db", "init", "--grant", "stranger", "-o", "json"]).run().ok().json();
    assert_eq!(init["granted"], serde_json::json!(["stranger"]));
    let session = stranger();
    session.run(emit);
    let tables = env.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'hookctl'");
    assert!(tables.len() > 10);
    for table in &tables {
        assert_denied(&session, &format!("SELECT * FROM hookctl.{}", table[0]));
    }
    assert_denied(&session, "INSERT INTO hookctl.outbox (event_type, event_id) VALUES ('a.b', 'x')");
    let drained = env.hookctl(["drain", "-o", "json"]).run().ok().json();
    assert_eq!((receiver.count(), &drained["taken_in"]), (1, &1.into()), "{drained}");
    let file = TestEnv::on(Engine::File);
    let refused = file.hookctl(["db", "init", "--grant", "stranger"]).run().fails(2);
    assert!(refused.err().contains("--grant: a file has no roles"), "{}", refused.err());
}

#[test]
fn nothing_that_a_caller_makes_takes_the_place_of_the_tables_and_functions() {
    needs_postgres!();
    let (env, _receiver) = subscribed();
    env.hookctl(["db", "init", "--grant", "stranger"]).run().ok();
    let session = Session::open(&env.server().url_as("stranger"));
    session.run(
        "CREATE TEMP TABLE outbox (event_type text, data text, event_id text, key text, owner text, entity text, headers text);
        CREATE TEMP TABLE watchers (asleep_until bigint);
        INSERT INTO watchers VALUES (9000000000000);
        CREATE FUNCTION pg_temp.coalesce(text, text) RETURNS text LANGUAGE sql AS 'SELECT ''mine''';
        CREATE FUNCTION pg_temp.replace(text, text, text) RETURNS text LANGUAGE sql AS 'SELECT ''mine''';
        SET search_path = pg_temp, hookctl, pg_catalog;
        SELECT hookctl.emit('a.b', '1')",
    );
    assert_eq!(session.value("SELECT count(*) FROM pg_temp.outbox"), "0");
    assert_eq!(count(&env, "SELECT count(*) FROM hookctl.outbox WHERE event_id LIKE 'evt_%'"), 1);
}

#[test]
fn the_function_belongs_to_whom_the_schema_is_given() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    let name = env.server().name();
    env.server().admin().run(&format!("GRANT stranger TO tester; GRANT CREATE ON DATABASE {name} TO stranger"));
    env.hookctl(["db", "init", "--owner-role", "stranger"]).run().ok();
    env.server().admin().run("REVOKE stranger FROM tester");
    let owner = "SELECT pg_get_userbyid(proowner) FROM pg_proc WHERE proname = 'emit'";
    assert_eq!(env.server().admin().value(owner), "stranger");
    let session = Session::open(&env.server().url_as("stranger"));
    session.run("SELECT hookctl.emit('a.b', '1')");
    env.hookctl(["drain"]).env("HOOKCTL_DB", env.server().url_as("stranger")).run().ok();
    assert_eq!(receiver.count(), 1);
}

#[test]
fn a_copy_leaves_no_event_behind() {
    needs_postgres!();
    let (env, _receiver) = subscribed();
    env.server().session().run("SELECT hookctl.emit('a.b', '1')");
    let refused = env.hookctl(["db", "copy", "copy.db"]).run().fails(1);
    assert!(refused.err().contains("events of hookctl.emit wait in postgres://"), "{}", refused.err());
    assert!(!env.path().join("copy.db").exists());
    env.hookctl(["drain"]).run().ok();
    env.hookctl(["db", "copy", "copy.db"]).run().ok();
}

#[test]
fn it_wakes_a_drain_that_sleeps_and_one_that_is_about_to() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    let session = env.server().session();
    let drain = env.hookctl(["drain", "--watch", "10m"]).spawn();
    wait_until("it sleeps", || session.value("SELECT count(*) FROM watchers") != "0");
    let waking = env.server().session();
    // It fell asleep long after this one began.
    waking.run("BEGIN; SELECT hookctl.emit('a.b', '1')");
    session.run("SELECT hookctl.emit('a.b', '1')");
    receiver.wait_for(1, PATIENCE);
    std::thread::sleep(Duration::from_secs(2));
    waking.run("COMMIT");
    receiver.wait_for(2, PATIENCE);
    for number in 3..=10 {
        // Most of these come while the drain records what it has just sent.
        session.run("SELECT hookctl.emit('a.b', '1')");
        receiver.wait_for(number, PATIENCE);
    }
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
}

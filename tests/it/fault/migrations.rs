//! Files that are made, upgraded, half made, or newer.

use std::fs;

use rusqlite::Connection;

use super::{PATIENCE, assert_whole, count, subscribe};
use crate::support::{TestEnv, TestReceiver};

/// Schema 1 as it was released, with rows. Never changed: it stands for the files that people have.
const SCHEMA_1: &str = include_str!("../data/schema_1.sql");

fn saved(env: &TestEnv, receiver: &TestReceiver) {
    let connection = Connection::open(env.database()).unwrap();
    connection.execute_batch(SCHEMA_1).unwrap();
    connection.execute("UPDATE webhooks SET settings = json_set(settings, '$.url', ?1)", [receiver.url()]).unwrap();
}

#[test]
fn a_file_of_schema_1_with_rows_opens_and_goes_on() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    saved(&env, &receiver);
    let webhook = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    assert_eq!((&webhook["total_deliveries"], &webhook["failed_deliveries"]), (&3.into(), &1.into()));
    let drained = env.hookctl(["drain", "-o", "json"]).run().ok().json();
    assert_eq!(drained["succeeded"], 1, "what waited is sent");
    assert_eq!(receiver.requests()[0].text(), r#"{"n":1.10}"#);
    assert_whole(&env);
}

#[test]
fn processes_that_make_the_database_at_once_make_it_once() {
    for _ in 0..5 * super::scale() {
        let env = TestEnv::new();
        let names: Vec<String> = (0..8).map(|number| format!("w{number}")).collect();
        let makers: Vec<_> = names
            .iter()
            .map(|name| env.hookctl(["webhook", "create", name, "--url", "http://127.0.0.1:9/", "-e", "*"]).spawn())
            .collect();
        makers.into_iter().for_each(|maker| drop(maker.wait_timeout(PATIENCE).ok()));
        assert_eq!(count(&env, "SELECT count(*) FROM webhooks"), 8);
        env.hookctl(["db", "check"]).run().ok();
    }
}

#[test]
fn a_making_that_was_interrupted_starts_over() {
    only_on_files!();
    let receiver = TestReceiver::start(200);
    let empty = |env: &TestEnv| drop(env.file("hookctl.db", ""));
    let wal_alone = |env: &TestEnv| {
        let connection = Connection::open(env.database()).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL").unwrap();
    };
    let rolled_back = |env: &TestEnv| {
        let connection = Connection::open(env.database()).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; BEGIN").unwrap();
        connection.execute_batch("CREATE TABLE webhooks (a); ROLLBACK").unwrap();
    };
    let states: [&dyn Fn(&TestEnv); 3] = [&empty, &wal_alone, &rolled_back];
    for state in states {
        let env = TestEnv::new();
        state(&env);
        env.hookctl(["webhook", "list"]).run().ok();
        subscribe(&env, &receiver, &["crm"], &[]);
        env.hookctl(["emit", "invoice.paid"]).run().ok();
        assert_whole(&env);
    }
    assert_eq!(receiver.count(), 3);
}

#[test]
fn killed_while_it_makes_the_database_it_makes_it_the_next_time() {
    let receiver = TestReceiver::start(200);
    let mut dice = super::Dice::new();
    for _ in 0..15 * super::scale() {
        let env = TestEnv::new();
        let url = receiver.url();
        let create = ["webhook", "create", "crm", "--url", &url, "-e", "*"];
        let maker = env.hookctl(create).spawn();
        std::thread::sleep(dice.up_to(std::time::Duration::from_millis(25)));
        let killed = maker.kill();
        let again = env.hookctl(create).run();
        assert!(again.code == Some(0) || again.code == Some(6), "{killed:?}{again:?}");
        env.hookctl(["emit", "invoice.paid"]).run().ok();
        assert_whole(&env);
    }
}

#[test]
fn a_newer_file_is_refused_and_not_touched() {
    only_on_files!();
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    env.sql_write("PRAGMA user_version = 99");
    let before = fs::read(env.database()).unwrap();
    for args in [["drain"].as_slice(), &["emit", "invoice.paid"], &["webhook", "list"], &["db", "check", "--fix"]] {
        let run = env.hookctl(args.iter().copied()).run().fails(1);
        assert!(run.err().contains("newer"), "{run:?}");
    }
    assert_eq!(fs::read(env.database()).unwrap(), before);
}

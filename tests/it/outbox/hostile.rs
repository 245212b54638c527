//! Whatever stands in an application's database, it is an event or a reason.

use rusqlite::Connection;

use super::{App, apps, subscribed};
use crate::support::{Engine, TestEnv};

#[test]
fn what_is_no_outbox_is_told_and_left_alone_and_what_is_due_goes_out() {
    let (env, receiver) = subscribed();
    let database = |name: &str, sql: &str| {
        let connection = Connection::open(env.path().join(name)).unwrap();
        connection.execute_batch(sql).unwrap();
    };
    database("empty.db", "CREATE TABLE a (b)");
    database("view.db", "CREATE TABLE a (b); CREATE VIEW hookctl_outbox AS SELECT 1 AS id, 'a.b' AS event_type");
    database("columns.db", "CREATE TABLE hookctl_outbox (id INTEGER PRIMARY KEY, event_type, data)");
    let columns = "event_id, event_type, data, key, owner, entity, headers, created_at, rejected";
    database("key.db", &format!("CREATE TABLE hookctl_outbox (id TEXT PRIMARY KEY, {columns})"));
    database("utf16.db", "PRAGMA encoding = 'UTF-16le'; CREATE TABLE a (b)");
    env.file("text.db", "no database at all");
    for (source, told) in [
        ("empty.db", "it has no table hookctl_outbox"),
        ("view.db", "its hookctl_outbox is a view"),
        ("columns.db", "has no column event_id, key, owner, entity, headers, created_at, rejected"),
        ("key.db", "is not INTEGER PRIMARY KEY"),
        ("utf16.db", "its text is stored as UTF-16"),
        ("text.db", "it is no SQLite file"),
        (".", "is a directory"),
        ("missing.db", "there is no such file"),
        ("file:empty.db", "there is no such file"),
        ("file:missing.db?mode=memory", "there is no such file"),
    ] {
        env.hookctl(["emit", "a.b", "--enqueue"]).run().ok();
        let (before, sent) = (std::fs::read(env.path().join(source)).ok(), receiver.count());
        let run = env.hookctl(["drain", "--outbox", source]).run().fails(1);
        assert!(run.err().contains(&format!("error: outbox {source}: ")) && run.err().contains(told), "{}", run.err());
        assert_eq!(receiver.count(), sent + 1, "{source}");
        assert_eq!(std::fs::read(env.path().join(source)).ok(), before, "{source}");
    }
    let run = env.hookctl(["drain", "--outbox", "mysql://root@db/shop"]).run().fails(2);
    assert!(run.err().contains("--outbox: 'mysql'"), "{}", run.err());
}

#[test]
fn hookctls_own_file_is_no_outbox() {
    only_on_files!();
    let (env, _receiver) = subscribed();
    let run = env.hookctl(["drain", "--outbox", "hookctl.db"]).run().fails(1);
    assert!(run.err().contains("a database of hookctl's own"), "{}", run.err());
}

#[test]
fn a_row_is_taken_once_whatever_its_number_and_whether_its_event_id_is_text_or_bytes() {
    let (env, receiver) = subscribed();
    let app = App::file(&env);
    app.run("INSERT INTO hookctl_outbox (id, event_type, data) VALUES (0, 'a.b', '1'), (-7, 'a.b', '2')");
    app.run("INSERT INTO hookctl_outbox (event_type, data, event_id) VALUES ('a.b', '3', CAST('evt_bytes' AS BLOB))");
    assert_eq!(app.drain(&env).ok().json()["taken_in"], 3);
    assert_eq!((receiver.count(), app.count()), (3, 0));
}

#[test]
fn a_value_of_any_type_in_a_file_is_taken_or_refused_and_stops_nothing() {
    let (env, receiver) = subscribed();
    let app = App::File(env.path().join("app.db"));
    app.run("CREATE TABLE hookctl_outbox (id INTEGER PRIMARY KEY, event_id, event_type, data, key, owner, entity, headers, created_at, rejected)");
    let row = |values: &str| {
        app.run(&format!("INSERT INTO hookctl_outbox (event_id, event_type, data, key, created_at) VALUES ({values})"));
    };
    let refused = [
        "x'00ff', 'a.b', '1', NULL, NULL",
        "7, 'a.b', '1', NULL, NULL",
        "'e1', NULL, '1', NULL, NULL",
        "'e2', 1.5, '1', NULL, NULL",
        "'e3', 'a.b', 1, NULL, NULL",
        "'e4', 'a.b', x'ff', NULL, NULL",
        "'e5', 'a.b', CAST(x'22ff22' AS TEXT), NULL, NULL",
        "'e6', 'a.b', '1', 'a' || char(10) || 'b', NULL",
        "'e7', 'a.b', '1', NULL, 'soon'",
        "'e8', 'a.b', hex(zeroblob(600000)), NULL, NULL",
        "'e9', 'a.b', zeroblob(70000000), NULL, NULL",
        "'e10', hex(zeroblob(600000)), '1', NULL, NULL",
        "'e11' || char(0), 'a.b', '1', NULL, NULL",
    ];
    refused.iter().for_each(|values| row(values));
    row("'good', 'a.b', x'7b226e223a312e31307d', NULL, '2026-01-31 12:00:00'");
    let drained = app.drain(&env).fails(65);
    assert_eq!(drained.json()["rejected"], refused.len(), "{}", drained.err());
    assert_eq!(app.status(&env)["rejected"], refused.len());
    assert!(receiver.requests()[0].text().ends_with("\"data\":{\"n\":1.10}}"), "bytes are read too");
    assert_eq!((receiver.count(), app.count()), (1, refused.len()));
}

#[test]
fn a_table_of_other_types_on_a_server_is_read_all_the_same() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    let app = App::server(&env, &[]);
    app.run(
        "ALTER TABLE hookctl_outbox ALTER data TYPE json USING data::json, ALTER headers TYPE jsonb USING NULL,
            ALTER id TYPE int, ALTER created_at TYPE text, ALTER key TYPE int USING NULL, ALTER event_id DROP DEFAULT;
        ALTER TABLE hookctl_outbox ALTER event_id TYPE uuid USING NULL, ALTER entity TYPE bytea USING NULL;
        INSERT INTO hookctl_outbox (event_type, data, key, event_id, entity, created_at)
            VALUES ('a.b', '{\"n\":1.10}', 7, gen_random_uuid(), 'order:7', '2026-01-31T12:00:00Z')",
    );
    app.drain(&env).ok();
    assert!(receiver.requests()[0].text().ends_with("\"data\":{\"n\":1.10}}"));
    assert_eq!(env.sql("SELECT key, entity_id FROM events"), [["7", "7"]]);
}

#[test]
fn a_huge_row_is_refused_and_not_read() {
    let (env, receiver) = subscribed();
    for app in apps(&env) {
        let huge = match &app {
            App::File(_) => "hex(zeroblob(10000000))",
            App::Server(_) => "repeat('a', 20000000)",
        };
        app.run(&format!("INSERT INTO hookctl_outbox (event_type, data) VALUES ('a.b', {huge}), ('a.b', '1')"));
        let drained = app.drain(&env).fails(65);
        assert!(drained.err().contains("data: it has 20000000 bytes; the limit is 1048576"), "{}", drained.err());
    }
    assert!(receiver.count() >= 1);
}

#[test]
fn a_role_that_may_not_change_the_rows_takes_none_in() {
    needs_postgres!();
    let env = TestEnv::on(Engine::File);
    let app = App::server(&env, &[]);
    app.run(
        "GRANT USAGE ON SCHEMA public TO stranger; GRANT SELECT, UPDATE ON hookctl_outbox TO stranger; INSERT INTO hookctl_outbox (event_type) VALUES ('a.b')",
    );
    let App::Server(server) = &app else { panic!("it is on a server") };
    let run = env.hookctl(["drain", "--outbox", &server.url_as("stranger")]).run().fails(1);
    assert!(run.err().contains("role 'stranger' may not do this"), "{}", run.err());
    assert_eq!(app.count(), 1);
    env.hookctl(["drain", "--outbox", &server.url()]).run().ok();
    assert_eq!((app.count(), env.sql_value("SELECT count(*) FROM events").as_str()), (0, "1"));
}

#[test]
fn a_server_that_does_not_answer_is_named_once() {
    let env = TestEnv::new();
    let run = env.hookctl(["outbox", "status", "postgres://app@127.0.0.1:9/shop"]).run();
    assert_ne!(run.code, Some(0));
    assert_eq!(run.err().matches("postgres://app@127.0.0.1:9/shop").count(), 1, "{run:?}");
}

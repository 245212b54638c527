//! `outbox init`: one table, and nothing else.

use super::{App, subscribed};
use crate::support::postgres::{Proxy, Server};
use crate::support::{Engine, TestEnv};

#[test]
fn it_makes_one_table_in_a_file_and_touches_nothing_else() {
    let env = TestEnv::new();
    let app = App::File(env.path().join("app.db"));
    app.run("CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (7); PRAGMA user_version = 5");
    let source = app.source();
    let print = env.hookctl(["outbox", "init", "--print", &source]).run().ok().text();
    assert_eq!(app.value("SELECT count(*) FROM sqlite_schema"), "1", "it is shown alone");
    let told = env.hookctl(["outbox", "init", &source]).run().ok().err();
    assert!(told.contains(&format!("`hookctl drain --outbox {source}`")), "{told}");
    let made = app.value("SELECT sql FROM sqlite_schema WHERE name = 'hookctl_outbox'");
    assert_eq!(print.trim_end().trim_end_matches(';'), made);
    app.run("INSERT INTO hookctl_outbox (event_type) VALUES ('a.b')");
    app.init(&env, &[]);
    assert_eq!((app.count(), app.value("SELECT count(*) FROM sqlite_schema").as_str()), (1, "2"));
    assert_eq!((app.value("PRAGMA user_version").as_str(), app.value("SELECT id FROM orders").as_str()), ("5", "7"));
    assert!(!env.is_made(), "hookctl's own database is not needed for it");
}

#[test]
fn it_makes_one_table_on_a_server_and_a_trigger_where_it_is_asked_for() {
    needs_postgres!();
    let env = TestEnv::new();
    let app = App::server(&env, &[]);
    let made = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname NOT LIKE 'pg_%' AND n.nspname <> 'information_schema' AND c.relkind IN ('r', 'v')";
    let triggers = "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!((app.value(made).as_str(), app.value(triggers).as_str()), ("1", "0"));
    app.init(&env, &["--notify"]);
    app.init(&env, &["--notify"]);
    assert_eq!((app.value(made).as_str(), app.value(triggers).as_str()), ("1", "1"));
    let print = env.hookctl(["outbox", "init", "--print", "--notify"]).arg(app.source()).run().ok().text();
    app.run(&format!("DROP TABLE hookctl_outbox; {print}"));
    app.run("INSERT INTO hookctl_outbox (event_type) VALUES ('a.b')");
    assert_eq!(app.count(), 1);
}

#[test]
fn it_connects_to_a_server_once() {
    needs_postgres!();
    let (env, server) = (TestEnv::on(Engine::File), Server::take());
    for options in [&[][..], &["--notify"]] {
        let proxy = Proxy::start(Server::cluster().address());
        let source = proxy.url(&server.url());
        env.hookctl(["outbox", "init"]).args(options.iter().copied()).arg(source).run().ok();
        assert_eq!(proxy.connections(), 1, "{options:?}");
    }
}

#[test]
fn what_it_cannot_do_it_says() {
    let env = TestEnv::on(Engine::File);
    let wrong = |arguments: &[&str], code: i32, told: &str| {
        let run = env.hookctl(["outbox", "init"]).args(arguments.iter().copied()).run().fails(code);
        assert!(run.err().contains(told), "{arguments:?}: {}", run.err());
    };
    wrong(&["--notify", "app.db"], 2, "--notify: a file wakes nobody");
    wrong(&["mysql://root@db/shop"], 2, "SOURCE: 'mysql' is not a kind of database");
    wrong(&["postgres://app:secret@db/shop"], 2, "SOURCE: a password in an argument");
    wrong(&["--read-only", "app.db"], 1, "--read-only is on");
    wrong(&["."], 1, "is a directory");
    let utf16 = rusqlite::Connection::open(env.path().join("utf16.db")).unwrap();
    utf16.execute_batch("PRAGMA encoding = 'UTF-16le'; CREATE TABLE a (b)").unwrap();
    wrong(&["utf16.db"], 1, "its text is stored as UTF-16");
    env.file("notes.txt", "x".repeat(200));
    wrong(&["notes.txt"], 1, "it is no SQLite file");
    env.hookctl(["db", "init"]).run().ok();
    wrong(&["hookctl.db"], 1, "a database of hookctl's own");
    assert!(!env.path().join("app.db").exists());
}

#[test]
fn an_address_of_an_outbox_that_is_wrong_is_told_by_what_gave_it() {
    let env = TestEnv::on(Engine::File);
    let told = env.hookctl(["drain", "--outbox", "postgres://app:s3cret@db/shop"]).run().fails(2).err();
    assert!(
        told.contains("--outbox: a password in an argument") && told.contains("give it by HOOKCTL_OUTBOX, "),
        "{told}"
    );
    let told = env.hookctl(["outbox", "init", "postgres://app:s3cret@db/shop"]).run().fails(2).err();
    assert!(
        told.contains("SOURCE: ") && told.contains("give it by PGPASSWORD ") && !told.contains("HOOKCTL_"),
        "{told}"
    );
    let wrong = "mysql://root@db/shop";
    let told = env.hookctl(["drain"]).env("HOOKCTL_OUTBOX", wrong).run().fails(2).err();
    assert!(told.contains("error: HOOKCTL_OUTBOX: 'mysql'"), "{told}");
    std::fs::create_dir_all(env.path().join("hookctl")).unwrap();
    env.file("hookctl/config.toml", format!("[shop]\noutbox = \"{wrong}\"\n"));
    let told = env.hookctl(["-p", "shop", "drain"]).env("XDG_CONFIG_HOME", env.path()).run().fails(2).err();
    assert!(told.contains("error: outbox of the profile: 'mysql'"), "{told}");
}

#[test]
fn an_outbox_is_named_by_the_environment_or_a_profile() {
    let (env, receiver) = subscribed();
    let app = App::file(&env);
    let emit = || app.run("INSERT INTO hookctl_outbox (event_type) VALUES ('a.b')");
    emit();
    env.hookctl(["drain"]).env("HOOKCTL_OUTBOX", app.source()).run().ok();
    assert_eq!(receiver.count(), 1);
    emit();
    let config = env.path().join("hookctl");
    std::fs::create_dir_all(&config).unwrap();
    std::fs::write(config.join("config.toml"), format!("[shop]\noutbox = [\"{}\"]\n", app.source())).unwrap();
    let home = env.path();
    env.hookctl(["-p", "shop", "drain"]).env("XDG_CONFIG_HOME", home).run().ok();
    assert_eq!(receiver.count(), 2);
}

//! What a server may refuse: one clear line each, nothing half done, and no password in it.

use super::{subscribed, through};
use crate::fault::{assert_whole, count, moment};
use crate::support::postgres::{Proxy, Server};
use crate::support::{Engine, Run, TestEnv};

const PASSWORD: &str = "sesame open";

/// One error of one line, with that code.
#[track_caller]
fn assert_refused(run: Run, code: i32, told: &str) {
    let run = run.fails(code);
    let errors = run.err();
    assert_eq!(errors.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{run:?}");
    assert!(errors.contains(told), "{told}: {run:?}");
}

#[test]
fn a_role_without_rights_is_told_so_by_its_name_and_changes_nothing() {
    needs_postgres!();
    let env = TestEnv::on(Engine::Server);
    let as_stranger = |arguments: &[&str]| {
        env.hookctl(arguments.iter().copied()).env("HOOKCTL_DB", env.server().url_as("stranger")).run()
    };
    let create = ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*"];
    assert_refused(as_stranger(&create), 1, "'stranger'");
    assert!(!env.is_made());
    let env = subscribed(&[]).0;
    let before = env.contents();
    for arguments in [create.as_slice(), &["emit", "invoice.paid"], &["drain"], &["webhook", "list"], &["stats"]] {
        let run = env.hookctl(arguments.iter().copied()).env("HOOKCTL_DB", env.server().url_as("stranger")).run();
        assert_refused(run, 1, "'stranger'");
    }
    assert_eq!(env.contents(), before);
}

#[test]
fn a_server_whose_disk_is_full_refuses_the_event_whole_and_keeps_what_is_due() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    env.hookctl(["emit", "invoice.paid", "--event-id", "before", "--enqueue"]).now(&moment(0)).run().ok();
    let full = |table: &str| {
        env.sql_write(&format!(
            "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
            CREATE TRIGGER full_disk BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION full_disk()"
        ));
    };
    full("events");
    assert_refused(env.hookctl(["emit", "invoice.paid", "--event-id", "e"]).run(), 1, "full");
    assert_eq!((receiver.count(), count(&env, "SELECT count(*) FROM events")), (0, 1));
    env.sql_write("DROP TRIGGER full_disk ON events");
    full("attempts");
    let run = env.hookctl(["drain"]).now(&moment(1)).run();
    assert_refused(run, 1, "full");
    assert_eq!(receiver.count(), 1, "it was sent, and could not be recorded");
    env.sql_write("DROP TRIGGER full_disk ON attempts");
    env.hookctl(["emit", "invoice.paid", "--event-id", "e"]).now(&moment(2)).run().ok();
    env.hookctl(["drain"]).now(&moment(3_600)).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 2);
    assert_whole(&env);
}

#[test]
fn a_schema_of_a_newer_hookctl_is_refused_and_not_touched() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    env.sql_write("UPDATE schema_version SET version = 99");
    let before = env.contents();
    for arguments in [
        ["drain"].as_slice(),
        &["emit", "invoice.paid"],
        &["webhook", "list"],
        &["db", "check", "--fix"],
        &["db", "info"],
    ] {
        let run = env.hookctl(arguments.iter().copied()).run();
        assert!(!run.err().contains("file"), "{run:?}");
        assert_refused(run, 1, "newer");
    }
    assert_eq!((env.contents(), receiver.count()), (before, 0));
}

#[test]
fn a_server_that_takes_no_writes_is_told_with_what_to_do_and_is_read() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    let run = |arguments: &[&str]| {
        env.hookctl(arguments.iter().copied()).env("PGOPTIONS", "-c default_transaction_read_only=on").run()
    };
    for arguments in [["emit", "invoice.paid"].as_slice(), &["drain"], &["webhook", "pause", "crm"]] {
        let run = run(arguments);
        assert!(!run.err().contains("file") && run.err().contains("target_session_attrs"), "{run:?}");
        assert_refused(run, 1, "takes no writes");
    }
    run(&["webhook", "list"]).ok();
    assert_eq!((receiver.count(), env.sql_value("SELECT count(*) FROM events").as_str()), (0, "0"));
}

#[test]
fn another_programs_schema_of_that_name_is_left_alone() {
    needs_postgres!();
    let env = TestEnv::on(Engine::Server);
    env.sql_write(
        "CREATE SCHEMA hookctl; CREATE TABLE hookctl.webhooks (id INT); INSERT INTO hookctl.webhooks VALUES (7)",
    );
    let run = env.hookctl(["emit", "invoice.paid"]).run();
    assert!(!run.err().contains("file"), "{run:?}");
    assert_refused(run, 1, "hookctl");
    assert_eq!(env.sql("SELECT * FROM webhooks"), [["7"]]);
    assert_eq!(env.sql_value("SELECT count(*) FROM pg_tables WHERE schemaname = 'hookctl'"), "1");
}

#[test]
fn a_database_that_is_not_there_and_a_wrong_password_are_told_apart() {
    needs_postgres!();
    let env = TestEnv::on(Engine::Server);
    let cluster = Server::cluster();
    let run = |url: &str, password: &str| {
        env.hookctl(["webhook", "list"]).env("HOOKCTL_DB", url).env("PGPASSWORD", password).run()
    };
    assert_refused(run(&cluster.url("tester", "nowhere"), ""), 1, "nowhere");
    assert_refused(run(&cluster.url("nobody_known", "postgres"), ""), 1, "nobody_known");
    let locked = cluster.url("with_password", "postgres");
    run(&locked, PASSWORD).ok();
    assert_refused(run(&locked, "not it at all"), 1, "password");
    assert_refused(run(&locked, ""), 1, "password");
}

#[test]
fn a_password_is_shown_nowhere() {
    needs_postgres!();
    let env = TestEnv::on(Engine::Server);
    env.server().admin().run(&format!("GRANT ALL ON DATABASE {} TO with_password", env.server().name()));
    let url = |password: &str| env.server().url_as(&format!("with_password:{}", password.replace(' ', "%20")));
    let hidden = ["sesame", "another-one"];
    let mut told = String::new();
    let mut keep = |run: Run| {
        told += &format!("{run:?}");
        run
    };
    for password in [PASSWORD, "another-one"] {
        let run = |arguments: &[&str]| env.hookctl(arguments.iter().copied()).env("HOOKCTL_DB", url(password)).run();
        let is_right = password == PASSWORD;
        for arguments in [
            ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*", "-vv"].as_slice(),
            &["emit", "invoice.paid", "--enqueue", "-vv"],
            &["db", "info"],
            &["db", "info", "-o", "json"],
            &["db", "check", "-vv"],
            &["db", "vacuum"],
            &["db", "backup", "copy.db"],
            &["db", "restore", "copy.db", "--yes"],
        ] {
            let run = keep(run(arguments));
            assert!(is_right || run.code != Some(0), "{run:?}");
        }
    }
    // Refused where a list of processes would show it.
    let in_argument = keep(env.hookctl(["--db", &url(PASSWORD).replace("%20", "-"), "db", "info"]).run());
    assert_eq!(in_argument.code, Some(2), "{in_argument:?}");
    // A server that is gone, and one that answers nonsense.
    let proxy = Proxy::start(Server::cluster().address());
    proxy.refuse(true);
    keep(through(&proxy, &env, &["db", "info"]).env("PGPASSWORD", PASSWORD).run().fails(75));
    told = told.replace(in_argument.arguments.as_str(), "");
    for word in hidden {
        assert!(!told.contains(word), "{word} in {told}");
    }
}

#[test]
fn a_file_that_holds_passwords_is_read_and_one_that_others_can_read_is_not() {
    needs_postgres!();
    let env = TestEnv::on(Engine::Server);
    let port = Server::cluster().address().port();
    let file = env.file("passfile", format!("# ours\n127.0.0.1:{port}:*:with_password:{PASSWORD}\n"));
    let run = || {
        let url = Server::cluster().url("with_password", "postgres");
        env.hookctl(["webhook", "list"]).env("HOOKCTL_DB", url).env("PGPASSFILE", &file).run()
    };
    let set_mode = |mode| std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
    set_mode(0o600);
    run().ok();
    set_mode(0o644);
    assert_refused(run(), 1, "password");
}

#[test]
fn commands_of_files_name_what_is_used_instead() {
    needs_postgres!();
    let (env, _receiver) = subscribed(&[]);
    for arguments in [["db", "backup", "copy.db"].as_slice(), &["db", "restore", "copy.db", "--yes"], &["db", "vacuum"]]
    {
        let run = env.hookctl(arguments.iter().copied()).run().fails(2);
        assert!(run.err().contains("pg_") || run.err().contains("VACUUM"), "{run:?}");
    }
    assert_eq!(std::fs::read_dir(env.path()).unwrap().count(), 0);
}

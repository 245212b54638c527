//! The cluster, its databases and the proxy of the tests do what they say.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::postgres::{Cluster, Half, Proxy, Server, Session};
use crate::support::{Engine, TestEnv};

#[test]
fn each_test_has_an_empty_database_of_its_own_on_one_server() {
    needs_postgres!();
    let (one, other) = (TestEnv::on(Engine::Server), TestEnv::on(Engine::Server));
    one.sql_write("CREATE SCHEMA hookctl; CREATE TABLE t (a int, b text, c bool, d bytea)");
    one.sql_write("INSERT INTO t VALUES (1, 'text', TRUE, '\\x00ff'), (2, NULL, FALSE, NULL)");
    assert_eq!(one.sql("SELECT * FROM t ORDER BY a"), [["1", "text", "1", "00ff"], ["2", "NULL", "0", "NULL"]]);
    assert_eq!((one.is_made(), other.is_made()), (true, false));
    assert_eq!(one.server().session().value("SHOW is_superuser"), "off");
    let open = one.begin("UPDATE t SET a = 3");
    assert_eq!(one.sql_value("SELECT sum(a) FROM t"), "3", "it is not committed");
    open.commit();
    assert_eq!(one.sql_value("SELECT sum(a) FROM t"), "6");
    // The next test that gets it finds nothing, though somebody is still connected.
    let name = one.server().name().to_owned();
    let left = one.begin("SELECT 1");
    drop(one);
    let next = std::iter::repeat_with(|| TestEnv::on(Engine::Server)).take(50).find(|env| env.server().name() == name);
    // Another test may have been quicker.
    assert!(next.is_none_or(|env| !env.is_made()));
    drop(left);
}

#[test]
fn a_server_that_crashed_or_was_killed_has_what_was_committed() {
    needs_postgres!();
    let mut cluster = Cluster::start(&[]);
    cluster.admin().run("CREATE TABLE t AS SELECT 1 AS a");
    cluster.crash();
    assert!(Session::try_open(&cluster.url("postgres", "postgres")).is_err());
    cluster.start_again();
    cluster.admin().run("INSERT INTO t VALUES (2)");
    cluster.kill();
    cluster.start_again();
    assert_eq!(cluster.admin().value("SELECT sum(a) FROM public.t"), "3");
    let folder = cluster.certificate().parent().unwrap().to_owned();
    assert!(folder.exists());
    drop(cluster);
    assert!(!folder.exists(), "nothing is left");
}

#[test]
fn no_server_outlives_the_process_that_started_it() {
    needs_postgres!();
    if let Ok(told) = std::env::var("HOOKCTL_TEST_SERVER_TOLD") {
        // The process that is killed below.
        let cluster = Cluster::start(&["fsync=off"]);
        fs::write(told, cluster.certificate().display().to_string()).unwrap();
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let env = TestEnv::on(Engine::File);
    let told = env.path().join("told");
    let test = "postgres::tools::no_server_outlives_the_process_that_started_it";
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test])
        .env("HOOKCTL_TEST_SERVER_TOLD", &told)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let wait = |is_done: &dyn Fn() -> bool| {
        while !is_done() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    wait(&|| fs::read_to_string(&told).is_ok_and(|text| !text.is_empty()));
    let certificate = fs::read_to_string(&told).unwrap();
    assert!(fs::exists(&certificate).unwrap());
    child.kill().unwrap();
    child.wait().unwrap();
    wait(&|| !fs::exists(&certificate).unwrap());
}

#[test]
fn the_proxy_counts_round_trips_and_cuts_where_it_is_told() {
    needs_postgres!();
    let env = TestEnv::on(Engine::Server);
    let proxy = Proxy::with_delay(Server::cluster().address(), Duration::from_millis(5));
    let url = proxy.url(&env.server().url());
    env.sql_write("CREATE TABLE public.t (a int)");
    let session = Session::open(&url);
    let before = proxy.round_trips();
    session.run("SELECT 1; SELECT 2");
    session.run("SELECT 3");
    assert_eq!(proxy.round_trips() - before, 2);
    for (half, stored) in [(Half::Request, "0"), (Half::Answer, "1")] {
        let session = Session::open(&url);
        proxy.cut_at(2, half);
        session.run("SELECT 1");
        assert!(session.try_run("INSERT INTO t VALUES (1)").is_err());
        assert!(proxy.has_cut());
        assert_eq!(env.sql_value("SELECT count(*) FROM t"), stored, "{half:?}");
        assert!(Session::try_open(&url).is_ok(), "the next connection passes");
    }
    proxy.refuse(true);
    assert!(session.try_run("SELECT 1").is_err() && Session::try_open(&url).is_err());
    proxy.refuse(false);
    let session = Session::open(&url);
    proxy.freeze(true);
    let (started, pause) = (Instant::now(), Duration::from_millis(300));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(pause);
            proxy.freeze(false);
        });
        session.run("SELECT 1");
    });
    assert!(started.elapsed() >= pause);
}

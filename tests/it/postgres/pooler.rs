//! Through a pooler in transaction mode, where each transaction may get another connection of the server.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::subscribed;
use crate::fault::{PATIENCE, assert_whole, batch, count, requests_by_event, subscribe};
use crate::support::postgres::{Server, server_user};
use crate::support::{Engine, TestEnv, TestReceiver, closed_port, installed};

/// A pgbouncer of the test's own, with fewer connections to the server than it has clients.
struct Pooler {
    process: std::process::Child,
    address: SocketAddr,
}

impl Pooler {
    fn start(env: &TestEnv) -> Option<Pooler> {
        let program = installed(&["pgbouncer", "/usr/sbin/pgbouncer"], "pgbouncer")?;
        let port = closed_port().port();
        let server = Server::cluster().address();
        env.file("users.txt", "\"tester\" \"\"\n");
        let users = env.path().join("users.txt");
        let settings = env.file(
            "pgbouncer.ini",
            format!(
                "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr=127.0.0.1\nlisten_port={port}\nunix_socket_dir=\n\
                 auth_type=trust\nauth_file={}\npool_mode=transaction\ndefault_pool_size=3\nmax_client_conn=200\n",
                server.ip(),
                server.port(),
                users.display()
            ),
        );
        let mut command = Command::new(program);
        if let Some(user) = server_user() {
            // It refuses root, as the server does.
            command.uid(user.uid).gid(user.gid);
            for path in [env.path(), &users, &settings] {
                chown(path, Some(user.uid), Some(user.gid)).unwrap();
            }
        }
        let process = command.arg("-q").arg(&settings).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "the pooler does not start");
            sleep(Duration::from_millis(20));
        }
        Some(Pooler { process, address })
    }

    fn url(&self, env: &TestEnv) -> String {
        let url = env.server().url().replace(&Server::cluster().address().to_string(), &self.address.to_string());
        format!("{url}?pgbouncer=true")
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn through_a_pooler_in_transaction_mode_everything_is_delivered_once() {
    needs_postgres!();
    let (env, receiver) = (TestEnv::on(Engine::Server), TestReceiver::start(200));
    let Some(pooler) = Pooler::start(&env) else { return };
    let url = pooler.url(&env);
    let hookctl = |arguments: &[&str]| env.hookctl(arguments.iter().copied()).env("HOOKCTL_DB", &url);
    let create = ["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*", "--timeout", "60s"];
    hookctl(&create).run().ok();
    let drains: Vec<_> = (0..4).map(|_| hookctl(&["drain", "--watch", "100ms"]).spawn()).collect();
    let emitters: Vec<_> = (0..8)
        .map(|number| {
            let how: &[&str] = if number % 2 == 0 { &["--enqueue"] } else { &[] };
            hookctl(&["emit", "--batch", "-"]).args(how.iter().copied()).stdin(batch(&format!("e{number}"), 50)).spawn()
        })
        .collect();
    for emitter in emitters {
        emitter.wait_timeout(2 * PATIENCE).ok();
    }
    hookctl(&["emit", "invoice.paid", "--event-id", "last", "--strict"]).run().ok();
    receiver.wait_for(401, 2 * PATIENCE);
    for drain in &drains {
        drain.signal("TERM");
    }
    for drain in drains {
        drain.wait_timeout(PATIENCE).fails(143);
    }
    assert!(requests_by_event(&receiver).values().all(|requests| *requests == 1));
    for command in
        [["db", "info"].as_slice(), &["db", "check"], &["delivery", "list"], &["stats"], &["webhook", "show", "crm"]]
    {
        hookctl(command).run().ok();
    }
    assert_eq!(env.statuses(), "success 401");
    assert_whole(&env);
}

#[test]
fn settings_of_a_pooled_session_stay_with_its_transaction() {
    needs_postgres!();
    let (env, _receiver) = subscribed(&[]);
    let Some(pooler) = Pooler::start(&env) else { return };
    let url = pooler.url(&env);
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).env("HOOKCTL_DB", &url).run().ok();
    // The next client of the pool gets the same connections, and finds them as the server gave them.
    let plain = url.split('?').next().unwrap();
    for _ in 0..5 {
        let session = search_path(plain);
        assert_eq!(session, "\"$user\", public");
    }
    assert_eq!(count(&env, "SELECT count(*) FROM events"), 1);
}

/// The search path that a client finds which sets none.
fn search_path(url: &str) -> String {
    let output = Command::new("psql").args(["-qAtX", url, "-c", "SHOW search_path"]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_batch_through_a_pooler_makes_a_schema_where_there_is_none() {
    needs_postgres!();
    let env = TestEnv::on(Engine::Server);
    let Some(pooler) = Pooler::start(&env) else { return };
    let receiver = TestReceiver::start(200);
    env.hookctl(["emit", "--batch", "-"]).stdin(batch("e", 3)).env("HOOKCTL_DB", pooler.url(&env)).run().ok();
    subscribe(&env, &receiver, &["crm"], &[]);
    assert_eq!(count(&env, "SELECT count(*) FROM events"), 3);
    assert_whole(&env);
}

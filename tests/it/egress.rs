//! How requests leave a company's network: through real proxies, and to servers that ask for a client certificate.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Identity, Run, TestEnv, TestReceiver, TlsFront, closed_port, installed, wait_until};

const PASSWORD: &str = "hunter2-of-the-proxy";

/// A proxy of the distribution, which wants the user `me` and the password.
struct Proxy {
    process: Option<Child>,
    url: String,
    /// The TLS that it is behind.
    _front: Option<TlsFront>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Those that are installed, and one of them inside TLS.
fn proxies(env: &TestEnv, front: &Identity) -> Vec<Proxy> {
    let mut proxies = Vec::new();
    if installed(&["tinyproxy"], "tinyproxy").is_some() {
        let address = closed_port();
        let port = address.port();
        let config = format!("Port {port}\nListen 127.0.0.1\nTimeout 60\nMaxClients 50\nBasicAuth me {PASSWORD}\n");
        let config = env.file("tinyproxy.conf", config);
        let arguments = ["-d".into(), "-c".into(), config.into_os_string()];
        let process = Some(started("tinyproxy", &arguments, address));
        proxies.push(Proxy { process, url: format!("http://me@{address}"), _front: None });
        let front = TlsFront::start(front.clone(), address);
        let url = format!("https://me@localhost:{}", front.address().port());
        proxies.push(Proxy { process: None, url, _front: Some(front) });
    }
    if installed(&["microsocks"], "microsocks").is_some() {
        let address = closed_port();
        let arguments = ["-i", "127.0.0.1", "-p", &address.port().to_string(), "-u", "me", "-P", PASSWORD];
        let arguments = arguments.map(std::ffi::OsString::from);
        let process = Some(started("microsocks", &arguments, address));
        proxies.push(Proxy { process, url: format!("socks5://me@{address}"), _front: None });
    }
    proxies
}

fn started(program: &str, arguments: &[std::ffi::OsString], address: SocketAddr) -> Child {
    let mut command = Command::new(program);
    let process = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    wait_until(&format!("{program} listens"), || TcpStream::connect(address).is_ok());
    process.unwrap()
}

fn create(env: &TestEnv, url: &str, options: &[&str]) -> Run {
    let _ = env.hookctl(["webhook", "delete", "crm", "-y"]).run();
    env.hookctl(["webhook", "create", "crm", "--url", url, "-e", "*", "--no-secret"])
        .args(options.iter().copied())
        .env("PASSWORD", PASSWORD)
        .run()
}

/// What a test of the webhook came to.
fn tested(env: &TestEnv) -> Value {
    env.hookctl(["webhook", "test", "crm", "-o", "json"]).run().json()
}

#[test]
fn requests_go_through_real_proxies_with_and_without_tls_by_address_and_by_name() {
    let env = TestEnv::new();
    let (server, client, front) = (Identity::local(), Identity::local(), Identity::local());
    let ca = env.file("ca.pem", server.pem() + &front.pem());
    let (cert, key) = (env.file("client.pem", client.pem()), env.file("client.key", client.key_pem()));
    let files = [ca, cert, key].map(|path| path.to_str().unwrap().to_owned());
    let tls = ["--client-cert", &files[1], "--client-key", &files[2]];
    let trust = ["--ca-cert", &files[0]];
    let secure = TestReceiver::start_tls(server.asking_for(&[&client]), 200);
    let plain = TestReceiver::start(200);
    for proxy in &proxies(&env, &front) {
        for resolves in [false, true] {
            for (receiver, tls) in [(&plain, &[][..]), (&secure, &tls)] {
                let url = receiver.url_at("/a?b=c").replace("127.0.0.1", "localhost");
                let resolves = format!("--proxy-resolves={resolves}");
                let options = ["--proxy", &proxy.url, "--proxy-password-env", "PASSWORD", &resolves];
                create(&env, &url, &[&options, &trust[..], tls].concat()).ok();
                env.hookctl(["emit", "task.created", "--data", "{}", "--strict"]).run().ok();
                assert_eq!(tested(&env)["status"], "success", "{url} through {} {resolves}", proxy.url);
                let request = receiver.requests().pop().unwrap();
                assert_eq!(request.path, "/a?b=c");
                assert_eq!(request.header("host"), Some(url.split('/').nth(2).unwrap()));
                assert_eq!(request.header("proxy-authorization"), None, "the receiver sees no login of the proxy");
            }
        }
        let wrong = ["--proxy", &proxy.url, "--allow-private"];
        create(&env, &plain.url(), &[&wrong, &trust[..]].concat()).ok();
        let refused = tested(&env);
        assert_eq!(refused["error_type"], "proxy_error", "{refused}");
        let told = refused["error_message"].as_str().unwrap();
        assert!(told.contains("password") || told.contains("login"), "{told}");
        if proxy.url.starts_with("https") {
            create(&env, &plain.url(), &["--proxy", &proxy.url, "--proxy-password-env", "PASSWORD"]).ok();
            let untrusted = tested(&env);
            assert_eq!(untrusted["error_type"], "proxy_error", "{untrusted}");
            assert!(untrusted["error_message"].as_str().unwrap().contains("TLS"), "{untrusted}");
        }
    }
}

#[test]
fn a_receiver_that_a_proxy_cannot_reach_fails_as_without_a_proxy() {
    let env = TestEnv::new();
    let dead = format!("http://{}/", closed_port());
    for proxy in proxies(&env, &Identity::local()).iter().filter(|proxy| !proxy.url.starts_with("https")) {
        let options = ["--proxy", &proxy.url, "--proxy-password-env", "PASSWORD", "--max-retries", "0"];
        create(&env, &dead, &options).ok();
        let emitted = env.hookctl(["emit", "task.created", "--data", "{}", "-o", "json"]).run().ok().json();
        let delivery = &emitted["deliveries"][0];
        assert_eq!((&delivery["status"], &delivery["error_type"]), (&"failed".into(), &"connection_error".into()));
        assert!(delivery["error_message"].as_str().unwrap().contains("by the proxy"), "{emitted}");
    }
    let gateway = TestReceiver::start(502);
    create(&env, &dead, &["--proxy", &format!("http://{}", gateway.address())]).ok();
    assert_eq!(tested(&env)["error_type"], "connection_error");
}

#[test]
fn a_proxy_that_fails_costs_no_retry_opens_no_breaker_and_the_run_goes_on() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let proxy = format!("http://{}", closed_port());
    create(&env, &receiver.url(), &["--proxy", &proxy, "--max-retries", "0"]).ok();
    env.hookctl(["webhook", "create", "other", "--url", &receiver.url(), "-e", "*"]).run().ok();
    for _ in 0..12 {
        env.hookctl(["emit", "task.created", "--data", "{}", "--enqueue"]).run().ok();
    }
    let drained = env.hookctl(["drain", "-o", "json"]).now("2026-01-01T00:00:00Z").run().ok().json();
    assert_eq!((&drained["succeeded"], &drained["retrying"], &drained["failed"]), (&12.into(), &12.into(), &0.into()));
    let shown = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    assert_eq!(shown["breaker"], serde_json::json!({"state": "closed", "failures": 0, "open_until": null}));
    assert_eq!((&shown["failing_since"], &shown["failed_deliveries"]), (&Value::Null, &0.into()));

    let due = |env: &TestEnv| {
        let list = env.hookctl(["delivery", "list", "-w", "crm", "--error-type", "proxy_error", "-o", "json"]).run();
        let list = list.ok().json();
        assert_eq!(list.as_array().unwrap().len(), 12);
        list.as_array().unwrap().iter().map(|row| row["next_retry_at"].clone()).collect::<Vec<_>>()
    };
    assert!(due(&env).iter().all(|due| due == "2026-01-01T00:01:00.000Z"), "{:?}", due(&env));
    env.hookctl(["drain"]).now("2026-01-01T00:01:00Z").run().ok();
    assert!(due(&env).iter().all(|due| due == "2026-01-01T00:03:00.000Z"), "{:?}", due(&env));
    let attempts = env.sql_value("SELECT count(*) FROM attempts WHERE error_type = 'proxy_error'");
    assert_eq!(attempts, "24", "each is in the log");

    env.hookctl(["webhook", "update", "crm", "--proxy", "none"]).run().ok();
    env.hookctl(["drain"]).now("2026-01-01T00:03:00Z").run().ok();
    assert_eq!(receiver.count(), 24, "everything arrived once the proxy was out of the way");
}

#[test]
fn what_stands_between_and_is_no_proxy_is_a_proxy_error_within_the_deadline() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let stranger = TestReceiver::start(503);
    for (proxy, timeout, part) in [
        (format!("http://{}", silent.local_addr().unwrap()), "1s", "no answer in time"),
        (format!("socks5://{}", silent.local_addr().unwrap()), "1s", "no answer in time"),
        (format!("http://{}", stranger.address()), "30s", "503 Service Unavailable"),
        (format!("socks5://{}", stranger.address()), "1s", ""),
        (format!("https://{}", stranger.address()), "30s", "TLS"),
        ("http://no-such-name.invalid:3128".to_owned(), "30s", "no address"),
    ] {
        create(&env, &receiver.url(), &["--proxy", &proxy, "--timeout", timeout]).ok();
        let result = tested(&env);
        assert_eq!(result["error_type"], "proxy_error", "{proxy}: {result}");
        assert!(result["error_message"].as_str().unwrap().contains(part), "{proxy}: {result}");
    }
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn the_guard_decides_before_the_proxy_and_a_name_left_to_it_is_told() {
    let env = TestEnv::new();
    let proxy = TestReceiver::start(200);
    let url = format!("http://{}", proxy.address());
    let closed = |arguments: &[&str]| {
        let run = env.hookctl(["webhook", "create", "crm", "-e", "*", "--proxy", &url]);
        run.without_env("HOOKCTL_ALLOW_NETWORKS").args(arguments.iter().copied()).run()
    };
    for url in ["http://127.0.0.1/", "http://localhost/", "http://10.0.0.1/", "http://169.254.169.254/"] {
        for options in [&["--url", url][..], &["--url", url, "--proxy-resolves"]] {
            assert!(closed(options).fails(2).err().starts_with("error: --url: "));
        }
    }
    closed(&["--url", "http://receiver.invalid/a", "--proxy-resolves"]).ok();
    let shown = env.hookctl(["webhook", "show", "crm"]).run().ok();
    assert!(shown.text().contains("left to the proxy"), "{shown:?}");
    env.hookctl(["webhook", "test", "crm"]).without_env("HOOKCTL_ALLOW_NETWORKS").run().ok();
    assert_eq!(proxy.requests()[0].path, "http://receiver.invalid/a", "in absolute form (RFC 9112 section 3.2.2)");
    proxy.now_answers(407);
    assert_eq!(tested(&env)["error_type"], "proxy_error");
}

#[test]
fn the_environments_proxy_is_for_webhooks_that_name_none_and_a_password_is_no_argument() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    create(&env, &receiver.url(), &[]).ok();
    let through = |proxy: &str| {
        let run = env.hookctl(["webhook", "test", "crm", "-o", "json", "-vv"]).env("HOOKCTL_PROXY", proxy).run();
        assert!(!format!("{run:?}").contains(PASSWORD));
        run
    };
    let dead = format!("http://me:{PASSWORD}@{}", closed_port());
    assert_eq!(through(&dead).json()["error_type"], "proxy_error");
    assert_eq!(through("none").json()["status"], "success");
    env.hookctl(["webhook", "update", "crm", "--proxy", "none"]).run().ok();
    assert_eq!(through(&dead).json()["status"], "success");
    assert!(through(&format!("ftp://me:{PASSWORD}@here")).fails(2).err().contains("HOOKCTL_PROXY"));

    let refused =
        create(&env, &receiver.url(), &["--proxy", &format!("http://me:{PASSWORD}@proxy.example:1")]).fails(2);
    assert!(refused.err().contains("--proxy-password-env VAR or --proxy-password-file FILE"), "{refused:?}");
    assert!(!refused.err().contains(PASSWORD));
}

#[test]
fn wrong_expired_and_mismatched_certificates_have_each_their_message() {
    let env = TestEnv::new();
    let (server, client, other) = (Identity::local(), Identity::local(), Identity::local());
    let file = |name: &str, text: &str| env.file(name, text).to_str().unwrap().to_owned();
    let ca = file("ca.pem", &server.pem());
    let (cert, key) = (file("client.pem", &client.pem()), file("client.key", client.key_pem()));
    let (other_cert, other_key) = (file("other.pem", &other.pem()), file("other.key", other.key_pem()));
    let old = file("old.pem", &Identity::expired().pem());
    let receiver = TestReceiver::start_tls(server.asking_for(&[&client]), 200);
    let create = |options: &[&str]| create(&env, &receiver.url(), &[&["--ca-cert", &ca], options].concat());

    for (options, part) in [
        (&["--client-cert", &cert][..], "--client-key: it is missing"),
        (&["--client-key", &key], "--client-cert: it is missing"),
        (
            &["--client-cert", &cert, "--client-key", &other_key],
            "--client-key: it is not the key of the client certificate",
        ),
        (&["--client-cert", &key, "--client-key", &key], "--client-cert: it holds a private key"),
        (&["--client-cert", &cert, "--client-key", &cert], "--client-key: it holds no PEM private key"),
        (&["--client-cert", "missing", "--client-key", &key], "--client-cert: cannot read 'missing'"),
        (&["--client-cert", &cert, "--client-key", "missing"], "--client-key: cannot read the file"),
    ] {
        let run = create(options).fails(2);
        assert!(run.err().contains(part), "{run:?}");
    }
    let v1 =
        ["client_v1.pem", "client_v1.key"].map(|name| format!("{}/tests/it/data/{name}", env!("CARGO_MANIFEST_DIR")));
    let told = create(&["--client-cert", &v1[0], "--client-key", &v1[1]]).fails(2).err();
    assert!(told.contains("--client-cert: it is of an old version of X.509, and TLS takes version 3 alone"), "{told}");
    let expired = create(&["--client-cert", &old, "--client-key", &key]).fails(2);
    assert!(
        expired.err().contains("--client-key: it is not the key") || expired.err().contains("expired"),
        "{expired:?}"
    );

    create(&[]).ok();
    assert!(tested(&env)["error_message"].as_str().unwrap().contains("asks for a client certificate"));
    create(&["--client-cert", &other_cert, "--client-key", &other_key]).ok();
    let wrong = tested(&env);
    assert_eq!(wrong["error_type"], "tls_error", "{wrong}");
    assert!(wrong["error_message"].as_str().unwrap().contains("does not accept the client certificate"), "{wrong}");
    create(&["--client-cert", &cert, "--client-key", &key]).ok();
    assert_eq!(tested(&env)["status"], "success");
    let probe = ["probe", &receiver.url(), "--scheme", "github", "--secret-env", "PASSWORD", "--only", "valid"];
    let probe = env.hookctl(probe).args(["-w", "crm"]).env("PASSWORD", PASSWORD).run();
    assert!(!format!("{probe:?}").contains("PRIVATE KEY"));
}

#[test]
fn the_end_of_a_client_certificate_is_shown_warned_of_and_refused() {
    let env = TestEnv::new();
    let client = Identity::of_five_days();
    let (cert, key) = (env.file("client.pem", client.pem()), env.file("client.key", client.key_pem()));
    let create = |now: &str| {
        let run = env.hookctl(["webhook", "create", "crm", "-e", "*", "--url", "https://127.0.0.1:9/"]).now(now);
        run.arg("--client-cert").arg(&cert).arg("--client-key").arg(&key).run()
    };
    assert!(create("2025-12-31T00:00:00Z").fails(2).err().contains("not valid before 2026-01-01T00:00:00.000Z"));
    assert!(create("2026-01-06T00:00:01Z").fails(2).err().contains("expired at 2026-01-06T00:00:00.000Z"));
    create("2026-01-02T00:00:00Z").ok();
    let shown = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok();
    assert_eq!(shown.json()["client_cert_expires_at"], "2026-01-06T00:00:00.000Z");
    assert!(!shown.text().contains("BEGIN"), "{shown:?}");
    let check = env.hookctl(["check", "-o", "json"]).now("2026-01-02T00:00:00Z").run();
    assert_eq!((check.code, &check.json()["expiring_certificates"]), (Some(1), &serde_json::json!(["crm"])));
    let other = env.hookctl(["webhook", "update", "crm", "--timeout", "5s"]).now("2027-01-01T00:00:00Z").run();
    assert_eq!(other.code, Some(0), "an expired certificate is in the way of no other change");
    env.hookctl(["webhook", "update", "crm", "--client-cert", "none"]).run().ok();
    assert_eq!(env.hookctl(["check"]).run().code, Some(0));
    assert_eq!(env.sql("SELECT name FROM credentials"), Vec::<Vec<String>>::new(), "the key went with it");
}

#[test]
fn the_roots_of_the_machine_count_where_they_are_asked_for() {
    let env = TestEnv::new();
    let server = Identity::local();
    let roots = env.file("roots.pem", server.pem());
    let receiver = TestReceiver::start_tls(server, 200);
    let test =
        |env: &TestEnv| env.hookctl(["webhook", "test", "crm", "-o", "json"]).env("SSL_CERT_FILE", &roots).run().json();
    create(&env, &receiver.url(), &[]).ok();
    assert_eq!(test(&env)["error_type"], "tls_error");
    env.hookctl(["webhook", "update", "crm", "--system-roots"]).run().ok();
    assert_eq!(test(&env)["status"], "success");
    let file = env.hookctl(["export"]).run().ok();
    assert!(file.text().contains("system_roots = true"), "{file:?}");
    let _ = fs::remove_file(&roots);
}

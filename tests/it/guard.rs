//! The outgoing guard, end to end: no spelling of loopback is reached at any command, and what allows it does so exactly.

use serde_json::{Value, json};

use crate::support::{Hookctl, Identity, Reply, TestEnv, TestReceiver};

/// Spellings of 127.0.0.1, and of what leads there; `{port}` is the receiver's.
const SPELLINGS: [&str; 19] = [
    "http://127.0.0.1:{port}/",
    "http://127.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://2130706433:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://127.0.0.1.:{port}/",
    "http://127.255.255.254:{port}/",
    "http://0:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::ffff:7f00:1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[64:ff9b::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[::1]:{port}/",
    "http://localhost:{port}/",
    "http://localhost.:{port}/",
    "http://hook.localhost:{port}/",
    "http://hook.LOCALHOST.:{port}/",
    "http://\u{ff11}27.0.0.1:{port}/",
];

#[test]
fn no_spelling_of_loopback_is_taken_at_create_or_update() {
    let (env, receiver) = guarded();
    for url in spellings(&receiver) {
        for arguments in [
            vec!["webhook", "create", "new", "-e", "*", "--url", url.as_str()],
            vec!["webhook", "update", "hook", "--url", url.as_str()],
        ] {
            let run = closed(&env, &arguments).run().fails(2);
            assert!(run.err().starts_with("error: --url: "), "{run:?}");
            assert!(run.err().contains("; --allow-private would allow it"), "{run:?}");
        }
    }
    assert_eq!(env.settings()[0]["url"], "https://example.com/");
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn a_url_with_a_backslash_is_refused_in_one_line_and_stores_nothing() {
    let env = TestEnv::new();
    let url = "http://127.0.0.1\\@example.com/";
    let run = env.hookctl(["webhook", "create", "new", "-e", "*", "--url", url]).run().fails(2);
    assert!(run.err().starts_with("error: --url: the URL holds a backslash"), "{run:?}");
    assert!(!env.is_made());
}

#[test]
fn addresses_of_a_clouds_own_services_are_open_to_a_matching_network_only() {
    let env = TestEnv::new();
    for (host, network) in [
        ("168.63.129.16", "168.63.129.16/32"),
        ("[fd00:ec2::23]", "fd00:ec2::/32"),
        ("[fd00:ec2::253]", "fd00:ec2::253/128"),
        ("192.0.0.192", "192.0.0.0/24"),
        ("[64:ff9b::168.63.129.16]", "168.63.129.16/32"),
    ] {
        let url = format!("http://{host}/");
        let create = |options: &[&str]| {
            closed(&env, &["webhook", "create", host, "-e", "*", "--url", &url]).args(options.iter().copied()).run()
        };
        for options in [&[][..], &["--allow-private"]] {
            let run = create(options).fails(2);
            assert!(
                run.err().contains("is a cloud metadata address") || run.err().contains("a cloud metadata address;"),
                "{run:?}"
            );
        }
        create(&["--allow-network", network]).ok();
    }
}

#[test]
fn no_spelling_of_loopback_is_reached_by_test_emit_or_drain_whatever_the_database_holds() {
    let (env, receiver) = guarded();
    for url in spellings(&receiver) {
        env.set_settings(&json!({"url": url}));
        env.sql_write("DELETE FROM deliveries");
        let tested = closed(&env, &["webhook", "test", "hook", "-o", "json"]).run().fails(5).json();
        blocked(&tested);
        let emitted = closed(&env, &["emit", "task.created", "-o", "json"]).run().ok().json();
        assert_eq!(emitted["deliveries"][0]["status"], "failed", "{emitted}");
        closed(&env, &["emit", "task.created", "--enqueue"]).run().ok();
        let drained = closed(&env, &["drain", "-o", "json"]).run().ok().json();
        assert_eq!((&drained["claimed"], &drained["failed"]), (&1.into(), &1.into()), "{url}: {drained}");
        for id in env.sql("SELECT id FROM deliveries") {
            blocked(&env.hookctl(["delivery", "show", &id[0], "-o", "json"]).run().ok().json());
        }
    }
    assert_eq!(receiver.connections(), 0);
}

#[test]
fn retry_and_resend_are_guarded_too() {
    let (env, receiver) = guarded();
    env.set_settings(&json!({"url": receiver.url()}));
    closed(&env, &["emit", "task.created", "--event-id", "e"]).run().ok();
    closed(&env, &["delivery", "retry", "1"]).run().fails(5);
    closed(&env, &["event", "resend", "e", "-w", "hook"]).run().fails(5);
    assert_eq!(receiver.connections(), 0);
    let shown = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    assert_eq!(shown["attempts"].as_array().unwrap().len(), 3, "every refused attempt is in the log: {shown}");
}

#[test]
fn a_redirect_to_loopback_is_a_failure_and_is_not_followed() {
    let hidden = TestReceiver::start(200);
    for status in [301, 302, 303, 307, 308] {
        let env = TestEnv::new();
        let receiver = TestReceiver::start(Reply::with_header(status, "Location", &hidden.url()));
        env.hookctl(["webhook", "create", "hook", "-e", "*", "--url", &receiver.url()]).run().ok();
        let emitted = env.hookctl(["emit", "task.created", "-o", "json"]).run().ok().json();
        let delivery = &emitted["deliveries"][0];
        assert_eq!(
            (&delivery["response_status_code"], &delivery["error_type"]),
            (&status.into(), &"http_error".into())
        );
        assert_eq!(receiver.count(), 1);
    }
    assert_eq!(hidden.connections(), 0);
}

#[test]
fn networks_allow_exactly_what_they_hold() {
    let receiver = TestReceiver::start(200);
    let port = receiver.address().port();
    let (local, neighbour) = (receiver.url(), format!("http://127.0.0.2:{port}/"));
    for (networks, url, is_allowed) in [
        ("127.0.0.1/32", &local, true),
        ("127.0.0.1", &local, true),
        ("10.0.0.0/8, 127.0.0.0/8", &local, true),
        ("127.0.0.1/32", &neighbour, false),
        ("10.0.0.0/8", &local, false),
        ("::1/128", &local, false),
    ] {
        let env = TestEnv::new();
        let create = ["webhook", "create", "hook", "-e", "*", "--url", url];
        let by_environment = env.hookctl(create).env("HOOKCTL_ALLOW_NETWORKS", networks).run();
        let env = TestEnv::new();
        let by_option = closed(&env, &create).args(["--allow-network", networks]).run();
        for run in [by_environment, by_option] {
            assert_eq!(run.code, Some(if is_allowed { 0 } else { 2 }), "{networks}: {run:?}");
        }
        if is_allowed {
            closed(&env, &["webhook", "test", "hook"]).run().ok();
        }
    }
    assert!(receiver.connections() > 0);
}

#[test]
fn what_the_environment_allowed_is_not_kept_by_the_webhook() {
    let receiver = TestReceiver::start(200);
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "hook", "-e", "*", "--url", &receiver.url()]).run().ok();
    env.hookctl(["webhook", "test", "hook"]).run().ok();
    assert_eq!(receiver.count(), 1);
    blocked(&closed(&env, &["webhook", "test", "hook", "-o", "json"]).run().fails(5).json());
    assert_eq!(receiver.count(), 1);
}

#[test]
fn allow_private_reaches_loopback_and_can_be_taken_back() {
    let receiver = TestReceiver::start(200);
    let env = TestEnv::new();
    closed(&env, &["webhook", "create", "hook", "-e", "*", "--url", &receiver.url(), "--allow-private"]).run().ok();
    closed(&env, &["webhook", "test", "hook"]).run().ok();
    let back = closed(&env, &["webhook", "update", "hook", "--allow-private=false"]).run().fails(2);
    assert!(back.err().contains("--url"), "{back:?}");
    assert_eq!(receiver.count(), 1);
}

#[test]
fn metadata_and_link_local_addresses_are_not_reached_by_allow_private() {
    for host in [
        "169.254.169.254",
        "100.100.100.200",
        "[fd00:ec2::254]",
        "169.254.1.1",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
    ] {
        let env = TestEnv::new();
        let url = format!("http://{host}/latest/meta-data/");
        let create = ["webhook", "create", "hook", "-e", "*", "--url", &url];
        let run = closed(&env, &create).arg("--allow-private").run().fails(2);
        assert!(run.err().contains("only --allow-network "), "{run:?}");
        let (env, _receiver) = guarded();
        env.set_settings(&json!({"url": url, "allow_private": true}));
        blocked(&closed(&env, &["webhook", "test", "hook", "-o", "json"]).run().fails(5).json());
    }
}

#[test]
fn the_proxies_of_the_environment_are_not_used() {
    let proxy = TestReceiver::start(200);
    let receiver = TestReceiver::start(200);
    let secure = TestReceiver::start_tls(Identity::local(), 200);
    let env = TestEnv::new();
    for (name, url) in [("plain", receiver.url()), ("secure", secure.url())] {
        env.hookctl(["webhook", "create", name, "-e", "*", "--url", &url]).run().ok();
    }
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let through = |arguments: [&str; 3]| env.hookctl(arguments).env(name, proxy.url()).run();
        through(["webhook", "test", "plain"]).ok();
        through(["webhook", "test", "secure"]).fails(5);
    }
    assert_eq!((proxy.connections(), receiver.count()), (0, 6));
}

/// A webhook whose URL may be changed behind the program's back, and a receiver that must never be reached.
fn guarded() -> (TestEnv, TestReceiver) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    env.hookctl(["webhook", "create", "hook", "-e", "*", "--url", &receiver.url()]).run().ok();
    env.set_settings(&json!({"url": "https://example.com/"}));
    (env, receiver)
}

/// A run that the environment allows nothing.
fn closed(env: &TestEnv, arguments: &[&str]) -> Hookctl {
    env.hookctl(arguments.iter().copied()).without_env("HOOKCTL_ALLOW_NETWORKS")
}

fn spellings(receiver: &TestReceiver) -> Vec<String> {
    let port = receiver.address().port().to_string();
    SPELLINGS.iter().map(|spelling| spelling.replace("{port}", &port)).collect()
}

/// The delivery failed for good, and its log says why.
#[track_caller]
fn blocked(delivery: &Value) {
    assert_eq!(delivery["status"], "failed", "{delivery}");
    assert_eq!(delivery["error_type"], "blocked_address", "{delivery}");
    assert_eq!(delivery["next_retry_at"], Value::Null, "{delivery}");
    let attempt = &delivery["attempts"][0];
    assert_eq!(attempt["error_type"], "blocked_address", "{delivery}");
    assert_eq!(attempt["response_status_code"], Value::Null, "{delivery}");
    let message = attempt["error_message"].as_str().unwrap();
    assert!(message.contains(" address") && message.contains("would allow it"), "{message}");
}

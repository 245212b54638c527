//! `webhook`: create, list, show, update, enable, disable, test.

use serde_json::{Value, json};

use crate::support::{Reply, TestEnv, TestReceiver};

const URL: &str = "http://127.0.0.1:9/hook";

/// Runs a command and reads its JSON.
#[track_caller]
fn told(env: &TestEnv, arguments: &[&str]) -> Value {
    env.hookctl(arguments).args(["-o", "json"]).run().ok().json()
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|webhook| webhook["name"].as_str().unwrap()).collect()
}

#[test]
fn a_token_in_the_query_of_a_url_argument_is_told_with_the_better_way() {
    let env = TestEnv::new();
    let create = |name: &str, query: &str| {
        let url = format!("{URL}?{query}");
        env.hookctl(["webhook", "create", name, "--url", &url, "-e", "*"]).run().ok().err()
    };
    for (number, query) in ["token=s3cret", "a=1&API_KEY=s3cret", "key=s3cret", "s3cret"].into_iter().enumerate() {
        let told = create(&format!("told{number}"), query);
        assert!(told.contains("better: --secret-url-env VAR or --secret-url-file FILE"), "{query}: {told}");
        assert!(!told.contains("s3cret"), "{told}");
    }
    assert_eq!(create("plain", "source=hookctl&page=2"), "");
    let url = format!("{URL}?token=s3cret");
    let update = env.hookctl(["webhook", "update", "plain", "--url", &url]).run().ok();
    assert!(update.err().contains("--secret-url-file FILE"), "{update:?}");
    let hidden = ["webhook", "create", "hidden", "--secret-url-env", "URL", "-e", "*"];
    assert_eq!(env.hookctl(hidden).env("URL", &url).run().ok().err(), "");
}

#[test]
fn what_is_wrong_with_a_credential_is_told_by_the_option_that_gave_it() {
    let env = TestEnv::new();
    env.file("wrong", "not a url\n");
    env.file("private", "http://10.0.0.1/hook\n");
    let create = |options: &[&str]| {
        let run = env.hookctl(["webhook", "create", "crm", "-e", "*"]).args(options.iter().copied());
        run.env("WRONG", "not a url").run().fails(2).err()
    };
    for (options, told) in [
        (&["--secret-url-file", "wrong"][..], "error: --secret-url-file: the URL "),
        (&["--secret-url-env", "WRONG"], "error: --secret-url-env: the URL "),
        (&["--secret-url-file", "private"], "error: --secret-url-file: 10.0.0.1 "),
        (&["--secret-url-file", "private", "--preset", "slack"], "error: --secret-url-file: 10.0.0.1 "),
        (&["--url", URL, "--header-file", "Host=wrong"], "error: --header-file: the header Host "),
        (&["--url", URL, "--header-env", "Host=WRONG"], "error: --header-env: the header Host "),
        (&["--url", URL, "-H", "X-A: 1", "-H", "Host: x"], "error: --header: the header Host "),
        (&["--url", URL, "--proxy-password-file", "wrong"], "error: --proxy-password-file: there is no user "),
        (&["--url", "http://u:pw@example.com/"], "by --header-env or --header-file"),
    ] {
        let error = create(options);
        assert!(error.contains(told), "{options:?}: {error}");
    }
}

#[test]
fn a_webhook_keeps_every_setting_it_was_created_with() {
    let env = TestEnv::new();
    let created = told(
        &env,
        &[
            "webhook",
            "create",
            "crm",
            "--url",
            URL,
            "-e",
            "invoice.*,payment.processed",
            "-e",
            "*.created",
            "--description",
            "The CRM",
            "--method",
            "put",
            "--content-type",
            "application/cloudevents+json",
            "-H",
            "X-Tenant: 7",
            "--signature",
            "github",
            "--owner",
            "ops",
            "--max-retries",
            "5",
            "--retry-delay",
            "90s",
            "--timeout",
            "2500ms",
            "--disable-after",
            "2d",
            "--rate-limit",
            "600/m",
            "--concurrency",
            "3",
            "--ordered",
            "--inactive",
            "--allow-private",
            "--allow-network",
            "10.0.0.0/8,fd00::/8",
        ],
    );
    let expected = json!({
        "name": "crm", "url": URL, "events": ["invoice.*", "payment.processed", "*.created"],
        "description": "The CRM", "http_method": "PUT", "content_type": "application/cloudevents+json",
        "headers": {"X-Tenant": "7"}, "signature_schemes": ["github"], "owner": "ops", "max_retries": 5,
        "retry_delay_seconds": 90, "timeout_seconds": 2.5, "disable_after_seconds": 172_800, "rate_limit": "600/m",
        "concurrency": 3, "is_ordered": true, "is_active": false, "allow_private": true,
        "allow_networks": ["10.0.0.0/8", "fd00::/8"], "retry_schedule": null, "total_deliveries": 0,
    });
    let shown = told(&env, &["webhook", "show", "crm"]);
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!((&created[key], &shown[key]), (value, value), "{key}");
    }
    assert_eq!(told(&env, &["webhook", "show", "1"])["name"], "crm", "an id names it too");
}

#[test]
fn the_defaults_are_timetrackers_but_for_the_retries() {
    let env = TestEnv::new();
    let webhook = told(&env, &["webhook", "create", "crm", "--url", URL, "-e", "*"]);
    let expected = json!({
        "http_method": "POST", "content_type": "application/json", "max_retries": 9,
        "retry_schedule": ["5s", "5m", "30m", "2h", "5h", "10h", "14h", "20h", "1d"],
        "timeout_seconds": 30, "is_active": true, "owner": "tester", "signature_schemes": ["timetracker", "standard"],
        "disable_after_seconds": 432_000,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&webhook[key], value, "{key}");
    }
}

#[test]
fn update_changes_what_is_named_and_nothing_else() {
    let env = TestEnv::new();
    told(&env, &["webhook", "create", "crm", "--url", URL, "-e", "a.b,c.d", "-H", "X-A: 1", "-H", "X-B: 2"]);
    let before = told(&env, &["webhook", "show", "crm"]);
    let change = [
        "webhook",
        "update",
        "crm",
        "--name",
        "erp",
        "--add-event",
        "e.f",
        "--remove-event",
        "a.b",
        "--remove-header",
        "x-a",
        "-H",
        "X-B: 3",
        "--max-retries",
        "0",
    ];
    told(&env, &change);
    let mut after = told(&env, &["webhook", "show", "erp"]);
    assert_eq!(after["name"], "erp");
    assert_eq!(after["events"], json!(["c.d", "e.f"]));
    assert_eq!(after["headers"], json!({"X-B": "3"}));
    assert_eq!(after["max_retries"], 0);
    for key in ["name", "events", "headers", "max_retries", "retry_schedule", "updated_at"] {
        after[key] = before[key].clone();
    }
    assert_eq!(after, before);
    env.hookctl(["webhook", "show", "crm"]).run().fails(3);
    for (arguments, part) in [
        (["--remove-event", "x.y"], "--remove-event"),
        (["--remove-header", "X-None"], "--remove-header"),
        (["--method", "DELETE"], "--method"),
        (["--name", "12"], "--name"),
    ] {
        let run = env.hookctl(["webhook", "update", "erp"]).args(arguments).run().fails(2);
        assert!(run.err().contains(part), "{run:?}");
    }
}

#[test]
fn invalid_settings_are_refused_in_one_line_and_store_nothing() {
    let env = TestEnv::new();
    let long = "x".repeat(201);
    for (name, arguments, part) in [
        ("", &["--url", URL, "-e", "*"][..], "NAME"),
        ("  ", &["--url", URL, "-e", "*"], "NAME"),
        ("123", &["--url", URL, "-e", "*"], "NAME"),
        (&long, &["--url", URL, "-e", "*"], "NAME"),
        ("a", &["-e", "*"], "--url"),
        ("a", &["--url", URL], "--event"),
        ("a", &["--url", "", "-e", "*"], "--url"),
        ("a", &["--url", "ftp://h/", "-e", "*"], "--url"),
        ("a", &["--url", "example.com/hook", "-e", "*"], "--url"),
        ("a", &["--url", "http://u:p@h/", "-e", "*"], "--url"),
        ("a", &["--url", "http://127.0.0.1:99999/", "-e", "*"], "--url"),
        ("a", &["--url", "http://10.0.0.1/", "-e", "*"], "--url"),
        ("a", &["--url", URL, "-e", "a b"], "--event"),
        ("a", &["--url", URL, "-e", ""], "--event"),
        ("a", &["--url", URL, "-e", "*", "--method", "TRACE"], "--method"),
        ("a", &["--url", URL, "-e", "*", "-H", "no colon"], "--header"),
        ("a", &["--url", URL, "-e", "*", "-H", "Host: h"], "--header"),
        ("a", &["--url", URL, "-e", "*", "-H", "X-A: 1", "-H", "x-a: 2"], "--header"),
        ("a", &["--url", URL, "-e", "*", "--max-retries", "-1"], "--max-retries"),
        ("a", &["--url", URL, "-e", "*", "--max-retries", "1e3"], "--max-retries"),
        ("a", &["--url", URL, "-e", "*", "--timeout", "0"], "--timeout"),
        ("a", &["--url", URL, "-e", "*", "--signature", "none"], "--signature"),
        ("a", &["--url", URL, "-e", "*", "--ca-cert", "/nowhere"], "--ca-cert"),
    ] {
        let run = env.hookctl(["webhook", "create", name]).args(arguments.iter().copied()).run().fails(2);
        let first = run.err().lines().next().unwrap().to_owned();
        assert!(first.starts_with("error: ") && first.contains(part), "{run:?}");
        assert!(run.stdout.is_empty(), "{run:?}");
    }
    assert_eq!(told(&env, &["webhook", "list"]), json!([]));
}

#[test]
fn a_name_is_given_once() {
    let env = TestEnv::new();
    told(&env, &["webhook", "create", "crm", "--url", URL, "-e", "*"]);
    env.hookctl(["webhook", "create", "crm", "--url", URL, "-e", "*"]).run().fails(6);
    told(&env, &["webhook", "create", "erp", "--url", URL, "-e", "*"]);
    env.hookctl(["webhook", "update", "erp", "--name", "crm"]).run().fails(6);
}

#[test]
fn the_list_is_newest_first_filtered_and_paged() {
    let env = TestEnv::new();
    told(&env, &["webhook", "create", "a", "--url", URL, "-e", "invoice.*", "--owner", "x"]);
    told(&env, &["webhook", "create", "b", "--url", URL, "-e", "task.created", "--inactive"]);
    told(&env, &["webhook", "create", "c", "--url", URL, "-e", "*"]);
    for (arguments, expected) in [
        (&[][..], &["c", "b", "a"][..]),
        (&["--active"], &["c", "a"]),
        (&["--inactive"], &["b"]),
        (&["--event", "invoice.paid"], &["c", "a"]),
        (&["--event", "task.created"], &["c", "b"]),
        (&["--owner", "x"], &["a"]),
        (&["--limit", "2"], &["c", "b"]),
        (&["--limit", "2", "--before", "2"], &["a"]),
    ] {
        assert_eq!(names(&told(&env, &[&["webhook", "list"], arguments].concat())), expected, "{arguments:?}");
    }
}

#[test]
fn a_reader_makes_no_file() {
    let env = TestEnv::new();
    assert_eq!(told(&env, &["webhook", "list"]), json!([]));
    assert_eq!(told(&env, &["delivery", "list"]), json!([]));
    assert_eq!(told(&env, &["event", "list"]), json!([]));
    env.hookctl(["webhook", "show", "crm"]).run().fails(3);
    assert!(!env.is_made());
}

#[test]
fn read_only_refuses_what_writes() {
    let env = TestEnv::new();
    told(&env, &["webhook", "create", "crm", "--url", URL, "-e", "*"]);
    let before = told(&env, &["webhook", "show", "crm"]);
    for arguments in [
        &["webhook", "create", "b", "--url", URL, "-e", "*"][..],
        &["webhook", "update", "crm", "--name", "b"],
        &["webhook", "disable", "crm"],
        &["webhook", "delete", "crm", "-y"],
        &["webhook", "test", "crm"],
        &["emit", "a.b"],
        &["drain"],
    ] {
        env.hookctl(arguments).arg("--read-only").run().fails(1);
        env.hookctl(arguments).env("HOOKCTL_READ_ONLY", "1").run().fails(1);
    }
    assert_eq!(told(&env, &["webhook", "show", "crm", "--read-only"]), before);
}

#[test]
fn several_are_enabled_and_disabled_at_once_or_none() {
    let env = TestEnv::new();
    for name in ["a", "b"] {
        told(&env, &["webhook", "create", name, "--url", URL, "-e", "*"]);
    }
    env.hookctl(["webhook", "disable", "a", "nobody"]).run().fails(3);
    assert_eq!(names(&told(&env, &["webhook", "list", "--inactive"])), Vec::<&str>::new());
    told(&env, &["webhook", "disable", "a", "b"]);
    assert_eq!(names(&told(&env, &["webhook", "list", "--inactive"])), ["b", "a"]);
    told(&env, &["webhook", "enable", "b", "a"]);
    let shown = told(&env, &["webhook", "show", "a"]);
    assert_eq!((&shown["is_active"], &shown["disabled_reason"]), (&true.into(), &Value::Null));
}

#[test]
fn a_test_reaches_any_webhook_is_logged_and_neither_retried_nor_counted() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([200, 500]));
    told(&env, &["webhook", "create", "crm", "--url", &receiver.url(), "-e", "task.created", "--inactive"]);
    let page = told(&env, &["webhook", "test", "crm", "--data", "{\"n\":1.50}"]);
    assert_eq!((&page["status"], &page["event_type"]), (&"success".into(), &"webhook.test".into()));
    assert_eq!(page["attempts"][0]["response_status_code"], 200);
    assert!(receiver.requests()[0].text().contains("\"data\":{\"n\":1.50}"));
    let failed = env.hookctl(["webhook", "test", "crm", "-o", "json"]).run().fails(5).json();
    assert_eq!((&failed["status"], &failed["next_retry_at"]), (&"failed".into(), &Value::Null));
    assert_eq!(told(&env, &["drain", "--all"])["claimed"], 0);
    let webhook = told(&env, &["webhook", "show", "crm"]);
    for key in ["total_deliveries", "successful_deliveries", "failed_deliveries"] {
        assert_eq!(webhook[key], 0, "{key}");
    }
    assert_eq!(told(&env, &["delivery", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn counters_count_deliveries_and_not_attempts() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([500, 500, 200]));
    let url = receiver.url();
    told(&env, &["webhook", "create", "crm", "--url", &url, "-e", "*", "--max-retries", "1"]);
    let counters = || {
        let webhook = told(&env, &["webhook", "show", "crm"]);
        ["total_deliveries", "successful_deliveries", "failed_deliveries"].map(|key| webhook[key].as_i64().unwrap())
    };
    told(&env, &["emit", "task.created"]);
    assert_eq!(counters(), [1, 0, 0]);
    told(&env, &["drain", "--all"]);
    assert_eq!(counters(), [1, 0, 1], "the retries are used up");
    told(&env, &["delivery", "retry", "1"]);
    assert_eq!(counters(), [1, 1, 0], "a retry by hand takes the failure back");
}

#[test]
fn gone_fails_the_delivery_disables_the_webhook_and_is_announced() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(410).on("/audit", Reply::Status(200)));
    told(&env, &["webhook", "create", "crm", "--url", &receiver.url(), "-e", "task.*"]);
    told(&env, &["webhook", "create", "audit", "--url", &receiver.url_at("/audit"), "-e", "webhook.disabled"]);
    let emitted = told(&env, &["emit", "task.created"]);
    assert_eq!(emitted["deliveries"][0]["status"], "failed");
    let webhook = told(&env, &["webhook", "show", "crm"]);
    assert_eq!(webhook["is_active"], false);
    assert!(webhook["disabled_reason"].as_str().unwrap().contains("410"), "{webhook}");
    told(&env, &["drain"]);
    let announced = receiver.requests_at("/audit");
    assert_eq!(announced.len(), 1);
    assert_eq!(announced[0].header("x-webhook-event"), Some("webhook.disabled"));
}

#[test]
#[cfg(unix)]
fn the_database_is_its_owners_alone_and_one_that_others_can_read_is_reported() {
    use std::fs::{Permissions, metadata, set_permissions};
    use std::os::unix::fs::PermissionsExt;

    let env = TestEnv::new();
    let mode = |path: &std::path::Path| metadata(path).unwrap().permissions().mode() & 0o777;
    let run = env.hookctl(["webhook", "create", "crm", "--url", URL, "-e", "*"]).without_env("HOOKCTL_DB").run().ok();
    assert!(!run.err().contains("can be read by others"), "{run:?}");
    let file = env.path().join("hookctl/hookctl.db");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    let run = env.hookctl(["webhook", "list"]).without_env("HOOKCTL_DB").run().ok();
    assert!(run.err().contains("can be read by others") && run.err().contains("chmod 600"), "{run:?}");
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let proxy = TestReceiver::start(200);
    told(&env, &["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]);
    let mut test = env.hookctl(["webhook", "test", "crm"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        test = test.env(name, proxy.url());
    }
    test.run().ok();
    assert_eq!((receiver.count(), proxy.connections()), (1, 0));
}

#[test]
fn attempts_of_a_test_are_labelled_so() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([200, 500]));
    env.create("crm", &receiver.url(), &[]);
    env.hookctl(["webhook", "test", "crm"]).run().ok();
    env.hookctl(["webhook", "test", "crm"]).run().fails(5);
    let shown = env.json_at(0, &["delivery", "show", "1"]);
    assert_eq!((&shown["is_test"], &shown["attempts"][0]["trigger"]), (&true.into(), &"test".into()));
    assert!(env.hookctl(["delivery", "show", "1"]).run().ok().text().contains("Attempt 1 (test)"));
}

//! The settings of a webhook: given as options or in a file, they are the same, and so are the reasons why one is refused.

use serde_json::{Value, json};

use crate::support::{Identity, Run, TestEnv};

const URL: &str = "http://127.0.0.1:9/";

fn create(env: &TestEnv, options: &[&str]) -> Run {
    env.hookctl(["webhook", "create", "crm", "--url", URL, "-e", "*"]).args(options.iter().copied()).run()
}

/// Applies a file with a webhook before the one that has these lines.
fn apply(env: &TestEnv, lines: &str) -> Run {
    let text = format!(
        "[[webhooks]]\nname = 'first'\nurl = '{URL}'\nevents = ['*']\n
         [[webhooks]]\nname = 'crm'\nurl = '{URL}'\n{lines}\n"
    );
    env.hookctl(["apply", "-"]).stdin(text).run()
}

fn shown(env: &TestEnv) -> Value {
    env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json()
}

#[test]
fn a_file_takes_the_values_that_the_options_take() {
    let env = TestEnv::new();
    let forms = [
        (&["--retry-schedule", "svix"][..], "retry_schedule = 'svix'"),
        (&["--retry-schedule", "5s,5m"], "retry_schedule = '5s,5m'"),
        (&["--retry-schedule", "5s,5m"], "retry_schedule = ['5s', '5m']"),
        (&["--max-retries", "5", "--retry-delay", "90s"], "max_retries = 5\nretry_delay_seconds = 90"),
        (&["--max-retries", "5", "--retry-delay", "90s"], "max_retries = '5'\nretry_delay_seconds = '90s'"),
        (&["--timeout", "1500ms"], "timeout_seconds = 1.5"),
        (&["--timeout", "2m"], "timeout_seconds = '2m'"),
        (&["--concurrency", "2", "--rate-limit", "10/s"], "concurrency = '2'\nrate_limit = '10/s'"),
        (&["--rate-limit", "off", "--disable-after", "0"], "rate_limit = 'off'\ndisable_after_seconds = 0"),
        (&["-H", "X-A: 1", "-H", "X-B: 2"], "headers = ['X-A: 1', 'X-B: 2']"),
        (&["-H", "X-A: 1", "-H", "X-B: 2"], "headers = { X-A = '1', X-B = '2' }"),
        (&["--signature", "github,stripe"], "signature_schemes = 'github,stripe'"),
        (&["--filter", ".data.n > 1"], "filter = '.data.n > 1'"),
        (&["--transform", "{a: .data}"], "transform = '''\n{a: .data}'''"),
        (&["--filter", "none", "--transform", "none"], ""),
        (&["--allow-network", "10.0.0.0/8,10.1.1.1"], "allow_networks = '10.0.0.0/8,10.1.1.1'"),
    ];
    for (options, lines) in forms {
        create(&env, options).ok();
        let mut by_options = shown(&env);
        env.hookctl(["webhook", "delete", "crm", "-y"]).run().ok();
        apply(&env, &format!("events = '*'\n{lines}")).ok();
        let mut by_file = shown(&env);
        for key in ["id", "created_at", "updated_at"] {
            (by_options[key], by_file[key]) = (Value::Null, Value::Null);
        }
        assert_eq!(by_options, by_file, "{lines}");
        env.hookctl(["webhook", "delete", "crm", "-y"]).run().ok();
    }
}

#[test]
fn a_refusal_names_the_option_or_the_entry_and_its_key_with_one_reason() {
    let cases = [
        ("--timeout", "0", "timeout_seconds = 0", "must be more than 0 and at most 1h"),
        ("--timeout", "2h", "timeout_seconds = 7200", "must be more than 0 and at most 1h"),
        ("--max-retries", "-1", "max_retries = -1", "not a whole number from 0 to 100"),
        ("--max-retries", "1.5", "max_retries = 1.5", "not a whole number from 0 to 100"),
        ("--retry-delay", "25h", "retry_delay_seconds = '25h'", "longer than 24h"),
        ("--retry-schedule", "5x", "retry_schedule = '5x'", "'5x' is not a duration"),
        ("--disable-after", "3651d", "disable_after_seconds = '3651d'", "longer than 3650d"),
        ("--concurrency", "513", "concurrency = 513", "not a whole number from 1 to 512"),
        ("--rate-limit", "10", "rate_limit = 10", ""),
        ("--method", "DELETE", "http_method = 'DELETE'", "not a method for webhooks; use POST, PUT, PATCH"),
        ("--content-type", "json", "content_type = 'json'", "the content type is not valid"),
        ("--header", "X-A", "headers = ['X-A']", "the colon is missing"),
        ("--header", "Host: a", "headers = { Host = 'a' }", "the header Host cannot be set"),
        ("--signature", "githib", "signature_schemes = ['githib']", "no signature scheme 'githib'"),
        ("--owner", " ", "owner = ' '", "an owner is blank"),
        ("--description", "a\u{1b}", "description = \"a\\u001b\"", "the description holds the control character"),
        ("--filter", "range(3)", "filter = 'range(3)'", "range/1 at column 1 is not allowed here"),
        ("--transform", "{a: now}", "transform = '{a: now}'", "now at column 5 is not allowed here"),
        ("--allow-network", "here", "allow_networks = ['here']", "\"here\" is not a network"),
    ];
    let env = TestEnv::new();
    for (option, value, line, reason) in cases {
        let by_option = create(&env, &[option, value]).fails(2);
        assert!(by_option.err().starts_with(&format!("error: {option}: ")), "{by_option:?}");
        let key = line.split(' ').next().unwrap();
        let by_file = apply(&env, &format!("events = ['*']\n{line}")).fails(2);
        assert!(by_file.err().starts_with(&format!("error: FILE: webhooks[1] (crm): {key}: ")), "{by_file:?}");
        for run in [&by_option, &by_file] {
            assert!(run.err().contains(reason) && run.err().lines().count() <= 2, "{run:?}");
        }
    }
    let run = apply(&env, "events = ['*']\nsignature_schemes = ['githib']").fails(2);
    assert!(run.err().contains("did you mean 'github'?"), "{run:?}");
    for (lines, told) in [
        ("", "webhooks[1] (crm): events: it is missing"),
        ("events = ['*']\ntimout_seconds = 3", "webhooks[1] (crm): timout_seconds: no such key"),
        ("events = ['*']\ndisable_after = 3", "did you mean `disable_after_seconds`?"),
        ("events = ['*']\nca_cert = 'ca.pem'", "put the certificate itself here"),
        ("events = ['*']\nurl = 5", "duplicate key"),
        ("events = ['*']\nheaders = { Authorization = 555555 }", "webhooks[1] (crm): headers: not of the type"),
        ("events = ['*']\ntimeout_seconds = inf", "webhooks[1] (crm): timeout_seconds: "),
    ] {
        let run = apply(&env, lines).fails(2);
        assert!(run.err().contains(told) && !run.err().contains("555555"), "{told}: {run:?}");
    }
    assert!(!env.is_made());
}

#[test]
fn a_key_that_is_there_twice_in_json_is_refused() {
    let env = TestEnv::new();
    let text = format!(r#"{{"webhooks":[{{"name":"crm","url":"{URL}","events":["*"],"url":"{URL}"}}]}}"#);
    let run = env.hookctl(["apply", "-"]).stdin(text).run().fails(2);
    assert!(run.err().contains("webhooks[0] (crm): url: it is there twice"), "{run:?}");
}

#[test]
fn show_export_and_the_plan_say_the_same() {
    let env = TestEnv::new();
    create(&env, &["-H", "X-A: 1", "--retry-delay", "250ms", "--concurrency", "3", "--allow-network", "10.0.0.0/8"])
        .ok();
    let shown = shown(&env);
    let exported = env.hookctl(["export", "-o", "json"]).run().ok().json();
    let mut exported = exported["webhooks"][0].as_object().unwrap().clone();
    assert_eq!(exported.remove("secret"), Some(json!({"env": "HOOKCTL_CRM_SECRET"})));
    assert!(exported.len() > 12, "{exported:?}");
    for (key, value) in &exported {
        assert_eq!(&shown[key], value, "{key}");
    }
    let text = serde_json::to_string(&json!({ "webhooks": [exported] })).unwrap();
    let plan = TestEnv::new().hookctl(["apply", "-", "--dry-run", "-o", "json"]).stdin(text).run().fails(5).json();
    for field in plan["changes"][0]["fields"].as_array().unwrap() {
        let key = field["field"].as_str().unwrap();
        assert!(key == "secret" || field["after"] == shown[key], "{key}: {field}");
    }
}

#[test]
fn a_file_with_a_private_key_is_no_ca_certificate_and_nothing_of_it_is_stored() {
    let (env, identity) = (TestEnv::new(), Identity::local());
    let both = format!("{}{}", identity.pem(), identity.key_pem());
    let file = env.file("both.pem", &both);
    let file = file.to_str().unwrap();
    let told = |run: Run, place: &str| {
        let run = run.fails(2);
        assert!(run.err().starts_with(&format!("error: {place}: it holds a private key")), "{run:?}");
    };
    told(create(&env, &["--ca-cert", file]), "--ca-cert");
    told(apply(&env, &format!("events = ['*']\nca_cert = '''\n{both}'''")), "FILE: webhooks[1] (crm): ca_cert");
    assert!(!env.is_made());
    create(&env, &["--ca-cert", env.file("ca.pem", identity.pem()).to_str().unwrap()]).ok();
    told(env.hookctl(["webhook", "update", "crm", "--ca-cert", file]).run(), "--ca-cert");
    let exported = env.hookctl(["export", "--with-secrets"]).run().ok().text();
    assert!(exported.contains("BEGIN CERTIFICATE") && !exported.contains("PRIVATE KEY"), "{exported}");
}

#[test]
fn a_ca_certificate_is_read_before_it_is_stored() {
    let (env, identity) = (TestEnv::new(), Identity::local());
    let cut = identity.pem().lines().take(4).collect::<Vec<_>>().join("\n");
    let broken = "-----BEGIN CERTIFICATE-----\nMAAA\n-----END CERTIFICATE-----\n";
    for pem in ["", "nonsense", &cut, broken, &[identity.pem(), broken.to_owned()].concat()] {
        let file = env.file("ca.pem", pem);
        let run = create(&env, &["--ca-cert", file.to_str().unwrap()]).fails(2);
        assert!(run.err().starts_with("error: --ca-cert: "), "{run:?}");
    }
    assert!(!env.is_made());
}

#[test]
fn files_and_counts_beyond_any_use_are_refused_at_once_with_the_limit() {
    let env = TestEnv::new();
    let patterns = |count: usize| {
        let patterns: Vec<String> = (0..count).map(|number| format!("'type.{number}'")).collect();
        format!("events = [{}]", patterns.join(","))
    };
    let run = apply(&env, &patterns(200_000)).fails(2);
    assert!(run.err().contains("webhooks[1] (crm): events: there are 200000 patterns; the limit is 1000"), "{run:?}");
    assert!(run.took.as_secs() < 20, "{run:?}");
    apply(&env, &patterns(1_000)).ok();
    let run = apply(&env, &format!("events = ['*']\n{}", "#\n".repeat(7 * 1024 * 1024))).fails(2);
    assert!(run.err().starts_with("error: FILE: it holds more than 4194304 bytes of TOML"), "{run:?}");
    let json = format!("{{\"webhooks\":[{}]}}", " ".repeat(17 * 1024 * 1024));
    let run = env.hookctl(["apply", "-"]).stdin(json).run().fails(2);
    assert!(run.err().contains("more than 16777216 bytes"), "{run:?}");
}

#[test]
fn a_pattern_has_100_characters_at_most() {
    let env = TestEnv::new();
    let (longest, too_long) = ("x".repeat(100), "x".repeat(101));
    create(&env, &["-e", &longest]).ok();
    for (run, place) in [
        (env.hookctl(["webhook", "create", "b", "--url", URL, "-e", &too_long]).run(), "--event"),
        (env.hookctl(["webhook", "update", "crm", "--add-event", &too_long]).run(), "--add-event"),
        (apply(&env, &format!("events = ['{too_long}']")), "FILE: webhooks[1] (crm): events"),
    ] {
        let told = format!("error: {place}: an event type has 101 characters; the limit is 100");
        assert!(run.fails(2).err().starts_with(&told), "{told}");
    }
}

#[test]
fn slips_of_the_finger_are_reported_once_each_and_not_without_end_and_types_of_ones_own_are_not() {
    let env = TestEnv::new();
    let types: Vec<String> = (0..30).map(|number| format!("'invoice.pa{number:02}', 'nobody.{number:02}'")).collect();
    let run = apply(&env, &format!("events = [{}, 'invoice.payed']", types.join(","))).ok();
    assert_eq!(run.err().matches("is not in the catalogue").count(), 10, "{run:?}");
    assert!(run.err().contains("did you mean 'invoice.paid'?"), "{run:?}");
    assert!(!run.err().contains("nobody"), "{run:?}");
    assert!(run.err().contains("21 more event types are not in the catalogue"), "{run:?}");
}

//! Webhooks and event types as a file: export writes it, apply makes a database say the same.

use serde_json::Value;

use crate::support::{Run, TestEnv};

const SECRET: &str = "a-secret-of-the-tests";

/// A database with a webhook that has every setting, one that has few, a disabled one, and an event type.
fn filled() -> TestEnv {
    let env = TestEnv::new();
    let run = |arguments: &[&str]| env.hookctl(arguments).env("SECRET", SECRET).run().ok();
    run(&[
        "webhook",
        "create",
        "crm \"EU\"",
        "--url",
        "http://127.0.0.1:9/h?key=in-the-url",
        "-e",
        "invoice.*,task.created",
        "--description",
        "first line\nsecond \\ line",
        "--method",
        "PUT",
        "--content-type",
        "application/json; v=1",
        "-H",
        "X-Zeta: 1",
        "-H",
        "Authorization: Bearer in-the-header",
        "--signature",
        "github",
        "--secret-env",
        "SECRET",
        "--owner",
        "sales",
        "--max-retries",
        "7",
        "--retry-delay",
        "250ms",
        "--timeout",
        "1500ms",
        "--disable-after",
        "0",
        "--rate-limit",
        "10/s",
        "--concurrency",
        "2",
        "--ordered",
        "--allow-private",
        "--allow-network",
        "10.0.0.0/8",
    ]);
    run(&["webhook", "create", "plain", "--url", "http://127.0.0.1:9/", "-e", "*"]);
    run(&[
        "webhook",
        "create",
        "off",
        "--url",
        "http://127.0.0.1:9/",
        "-e",
        "*",
        "--no-secret",
        "--inactive",
        "--retry-schedule",
        "5s,5m",
    ]);
    run(&["event-type", "add", "order.shipped", "--description", "it \"left\""]);
    env
}

fn exported(env: &TestEnv, more: &[&str]) -> String {
    env.hookctl([&["export"], more].concat()).run().ok().text()
}

/// Applies a text from stdin.
fn apply(env: &TestEnv, text: &str, more: &[&str]) -> Run {
    env.hookctl([&["apply", "-"], more].concat()).stdin(text).run()
}

const ONE: &str = "[[webhooks]]\nname = 'one'\nurl = 'http://127.0.0.1:9/'\nevents = ['a.b']\n";

#[test]
fn what_export_writes_changes_nothing_when_it_is_applied() {
    let env = filled();
    let before = env.sql("SELECT version, updated_at FROM webhooks JOIN webhook_state ON webhook_id = id");
    for more in
        [&[] as &[&str], &["--format", "json"], &["-o", "json"], &["--with-secrets"], &["--with-secrets", "-ojson"]]
    {
        let file = exported(&env, more);
        apply(&env, &file, &["--dry-run", "--prune"]).ok();
        let applied = apply(&env, &file, &["--prune", "-o", "json"]).ok().json();
        assert_eq!(
            (applied["unchanged"].as_u64(), applied["changes"].as_array().unwrap().len()),
            (Some(4), 0),
            "{more:?}"
        );
    }
    assert_eq!(env.sql("SELECT version, updated_at FROM webhooks JOIN webhook_state ON webhook_id = id"), before);
}

#[test]
fn another_database_becomes_the_same() {
    let env = filled();
    for form in ["toml", "json"] {
        let copy = TestEnv::new();
        let file = exported(&env, &["--with-secrets", "--format", form]);
        let applied = apply(&copy, &file, &["-o", "json"]).ok().json();
        assert_eq!(applied["created"], 4);
        assert_eq!(exported(&copy, &["--with-secrets", "--format", form]), file);
        let (copy, file) = (TestEnv::new(), exported(&env, &["--format", form]));
        let refused = apply(&copy, &file, &[]).fails(2);
        assert!(refused.err().contains("is not set"), "{refused:?}");
        let mut again = copy.hookctl(["apply", "-"]).stdin(file.clone());
        for (variable, value) in credentials(&env) {
            again = again.env(&variable, value);
        }
        again.run().ok();
        assert_eq!(exported(&copy, &["--format", form]), file);
    }
}

/// The credentials of all webhooks, each under the variable that stands for it in the file.
fn credentials(env: &TestEnv) -> Vec<(String, String)> {
    let whole = env.hookctl(["export", "--with-secrets", "-o", "json"]).run().ok().json();
    let named = env.hookctl(["export", "-o", "json"]).run().ok().json();
    let mut found = Vec::new();
    for (whole, named) in whole["webhooks"].as_array().unwrap().iter().zip(named["webhooks"].as_array().unwrap()) {
        for (key, value) in named.as_object().unwrap() {
            if let Some(variable) = value["env"].as_str() {
                found.push((variable.to_owned(), whole[key].as_str().unwrap().to_owned()));
            }
        }
        for (name, value) in named["headers"].as_object().unwrap() {
            if let Some(variable) = value["env"].as_str() {
                found.push((variable.to_owned(), whole["headers"][name]["value"].as_str().unwrap().to_owned()));
            }
        }
    }
    found
}

#[test]
fn a_file_holds_no_credential_unless_it_is_asked_for() {
    let env = filled();
    for more in [&[] as &[&str], &["-o", "json"]] {
        let file = exported(&env, more);
        for credential in ["in-the-url", "in-the-header", SECRET, "whsec_"] {
            assert!(!file.contains(credential), "{file}");
        }
    }
    let file = exported(&env, &["--with-secrets"]);
    for credential in ["in-the-url", "in-the-header", SECRET, "whsec_"] {
        assert!(file.contains(credential), "{credential}: {file}");
    }
    assert!(
        env.hookctl(["--read-only", "export", "--with-secrets"]).run().fails(1).err().contains("--read-only is on")
    );
}

#[test]
fn a_header_that_is_a_credential_stays_one_in_a_file_with_the_secrets() {
    let env = TestEnv::new();
    let create = ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*", "--header-env", "X-Foo=V"];
    env.hookctl(create).args(["-H", "X-Plain: seen"]).env("V", "in-the-header").run().ok();
    for form in ["toml", "json"] {
        let (copy, file) = (TestEnv::new(), exported(&env, &["--with-secrets", "--format", form]));
        let applied = apply(&copy, &file, &[]).ok();
        let shown = copy.hookctl(["webhook", "show", "crm"]).run().ok();
        let named = copy.hookctl(["export"]).run().ok();
        for run in [&applied, &shown, &named] {
            assert!(!format!("{run:?}").contains("in-the-header") && run.text().contains("seen"), "{run:?}");
        }
        assert_eq!(exported(&copy, &["--with-secrets", "--format", form]), file);
        apply(&copy, &file, &["--dry-run"]).ok();
    }
    for wrong in ["{ value = 'in-the-header', env = 'V' }", "{ value = 7 }", "['in-the-header']"] {
        for key in ["headers = { X-Foo = # }", "secret = #", "proxy_password = #"] {
            let refused = apply(&TestEnv::new(), &format!("{ONE}{}\n", key.replace('#', wrong)), &[]).fails(2).err();
            assert!(!refused.contains("in-the-header"), "{refused}");
        }
    }
    let literal = format!("{ONE}secret = {{ value = '{SECRET}' }}\n");
    apply(&env, &literal, &[]).ok();
    let revealed = env.hookctl(["webhook", "secret", "reveal", "one"]).run().ok().text();
    assert_eq!(revealed.lines().next(), Some(SECRET));
}

#[test]
fn variables_that_would_have_one_name_are_told_apart() {
    let env = TestEnv::new();
    for name in ["a b", "A-B"] {
        env.hookctl(["webhook", "create", name, "--url", "http://127.0.0.1:9/", "-e", "*"]).run().ok();
    }
    let file = exported(&env, &[]);
    assert!(file.contains("\"HOOKCTL_A_B_SECRET\"") && file.contains("\"HOOKCTL_A_B_SECRET_2\""), "{file}");
}

#[test]
fn new_secrets_go_into_the_file_that_is_named_and_nowhere_else() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    let run = env.hookctl(["apply", "-", "--secrets-to", "new.env"]).stdin(ONE).run().ok();
    let file = env.path().join("new.env");
    let text = std::fs::read_to_string(&file).unwrap();
    let secret = env.hookctl(["webhook", "secret", "reveal", "one"]).run().ok().text();
    assert_eq!(text, format!("HOOKCTL_ONE_SECRET='{}'\n", secret.trim_end()));
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let other = env.hookctl(["apply", "-"]).stdin(ONE.replace("'one'", "'two'")).run().ok();
    assert!(other.err().contains("`hookctl webhook secret reveal two`"), "{other:?}");
    for run in [run, other] {
        assert!(!format!("{run:?}").contains("whsec_"), "{run:?}");
    }
}

#[test]
fn new_secrets_of_names_that_differ_in_punctuation_alone_have_the_variables_that_export_names() {
    let env = TestEnv::new();
    env.hookctl(["webhook", "create", "x.y", "--url", "http://127.0.0.1:9/", "-e", "*"]).run().ok();
    let both = ["'x-y'", "'x_y'"].map(|name| ONE.replace("'one'", name)).concat();
    env.hookctl(["apply", "-", "--secrets-to", "new.env"]).stdin(both).run().ok();
    let text = std::fs::read_to_string(env.path().join("new.env")).unwrap();
    let secret = |name| env.hookctl(["webhook", "secret", "reveal", name]).run().ok().text().trim_end().to_owned();
    let (dash, line) = (secret("x-y"), secret("x_y"));
    assert_eq!(text, format!("HOOKCTL_X_Y_SECRET_2='{dash}'\nHOOKCTL_X_Y_SECRET_3='{line}'\n"));
    let file = exported(&env, &[]);
    let (_, file) = file.split_once("name = \"x-y\"").unwrap();
    let (of_dash, of_line) = file.split_once("name = \"x_y\"").unwrap();
    assert!(of_dash.contains("\"HOOKCTL_X_Y_SECRET_2\"") && of_line.contains("\"HOOKCTL_X_Y_SECRET_3\""), "{file}");
}

#[test]
fn a_reference_names_where_the_credential_came_from_and_keeps_it_where_the_variable_is_not_set() {
    let env = TestEnv::new();
    let token = env.file("token", "Bearer from-a-file\n");
    let run = env.hookctl(["webhook", "create", "crm", "-e", "*", "--secret-env", "S", "--secret-url-env", "CHAT"]);
    let run = run
        .args(["--header-env", "X-Tenant=TENANT", "--header-file"])
        .arg(format!("Authorization={}", token.display()));
    let run = run.env("S", SECRET).env("CHAT", "http://127.0.0.1:9/T0/B0/chat-secret").env("TENANT", "tenant-secret");
    run.run().ok();
    let file = exported(&env, &["-o", "json"]);
    let json: Value = serde_json::from_str(&file).unwrap();
    let webhook = &json["webhooks"][0];
    assert_eq!(webhook["secret"], serde_json::json!({"env": "S"}));
    assert_eq!(webhook["secret_url"], serde_json::json!({"env": "CHAT"}));
    assert_eq!(webhook["headers"]["X-Tenant"], serde_json::json!({"env": "TENANT"}));
    assert_eq!(webhook["headers"]["Authorization"], serde_json::json!({"file": token.to_str().unwrap()}));
    assert!(webhook["url"].is_null());
    assert_eq!(apply(&env, &file, &["-o", "json"]).ok().json()["unchanged"], 1);
    let changed = env.hookctl(["apply", "-"]).stdin(file).env("TENANT", "another").run().ok();
    assert!(changed.text().contains("1 changed") && !changed.text().contains("another"), "{changed:?}");
    let revealed = env.hookctl(["webhook", "secret", "reveal", "crm", "-o", "json"]).run().ok().json();
    assert_eq!(revealed["credentials"]["headers:x-tenant"], "another");
    assert_eq!(revealed["credentials"]["secret_url"], "http://127.0.0.1:9/T0/B0/chat-secret");
    assert!(
        env.hookctl(["--read-only", "webhook", "secret", "reveal", "crm"]).run().fails(1).err().contains("read-only")
    );
}

#[test]
fn without_a_database_the_file_is_empty_and_no_database_is_made() {
    let env = TestEnv::new();
    let file = exported(&env, &["-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&file).unwrap(), serde_json::json!({"webhooks": [], "event_types": []}));
    apply(&env, &exported(&env, &[]), &[]).ok();
    apply(&env, ONE, &["--dry-run"]).fails(5);
    assert!(!env.is_made());
}

#[test]
fn a_dry_run_tells_the_plan_and_does_nothing() {
    let env = filled();
    let file = exported(&env, &[]).replace("max_retries = 7", "max_retries = 2").replace("in-the-header", "else") + ONE;
    let plan = apply(&env, &file, &["--dry-run"]).fails(5);
    for line in
        ["~ change webhook crm \"EU\"", "    max_retries: 7 → 2", "+ create webhook one", "1 to create, 1 to change"]
    {
        assert!(plan.text().contains(line), "{line}\n{plan:?}");
    }
    assert!(!plan.text().contains("Bearer") && !plan.text().contains("whsec_"), "{plan:?}");
    let plan = apply(&env, &file, &["--dry-run", "-o", "json"]).fails(5).json();
    assert_eq!(
        (plan["dry_run"].as_bool(), plan["created"].as_u64(), plan["unchanged"].as_u64()),
        (Some(true), Some(1), Some(3))
    );
    let change = plan["changes"].as_array().unwrap().iter().find(|change| change["action"] == "change").unwrap();
    let field = change["fields"].as_array().unwrap().iter().find(|field| field["field"] == "max_retries").unwrap();
    assert_eq!((field["before"].as_i64(), field["after"].as_i64()), (Some(7), Some(2)));
    assert_eq!(env.sql_value("SELECT count(*) FROM webhooks"), "3");
    assert_eq!(env.settings().iter().filter_map(|settings| settings["max_retries"].as_i64()).max(), Some(7));
}

#[test]
fn applying_again_changes_nothing_and_the_secret_of_a_new_webhook_is_never_shown() {
    let env = TestEnv::new();
    let first = apply(&env, ONE, &["-o", "json"]).ok();
    let secret = env.hookctl(["webhook", "secret", "reveal", "one"]).run().ok().text().trim().to_owned();
    assert!(secret.starts_with("whsec_") && !format!("{first:?}").contains(&secret), "{first:?}");
    let second = apply(&env, ONE, &[]).ok();
    assert_eq!(second.text(), "nothing to do: 1 unchanged\n");
    assert_eq!(env.sql_value("SELECT secret FROM secrets"), secret);
}

#[test]
fn a_secret_is_named_and_not_written() {
    let env = TestEnv::new();
    let file = env.file("secret.txt", "from-a-file\n");
    let with = |line: &str| {
        let text = format!("{ONE}signature_schemes = ['github']\n{line}\n");
        env.hookctl(["apply", "-", "-o", "json"]).env("SECRET", SECRET).stdin(text).run()
    };
    let run = with("secret_env = 'SECRET'").ok();
    assert!(!run.text().contains(SECRET) && run.text().contains("(from SECRET)"), "{run:?}");
    assert_eq!(env.sql_value("SELECT secret FROM secrets"), SECRET);
    assert_eq!(with("secret_env = 'SECRET'").ok().json()["unchanged"], 1);
    with(&format!("secret_file = '{}'", file.display())).ok();
    assert_eq!(env.sql_value("SELECT secret FROM secrets"), "from-a-file");
    assert_eq!(with("").ok().json()["unchanged"], 1);
    for wrong in [
        "secret_env = 'NOT_SET'",
        "secret_file = 'nowhere'",
        "secret_env = 'SECRET'\nsecret_file = 'x'",
        "secret = 12345678",
    ] {
        let error = with(wrong).fails(2).err();
        assert!(error.contains("secret") && !error.contains("12345678"), "{error}");
    }
    assert_eq!(env.sql_value("SELECT secret FROM secrets"), "from-a-file");
}

#[test]
fn a_webhook_that_is_to_sign_no_longer_loses_its_secret() {
    let env = TestEnv::new();
    apply(&env, ONE, &[]).ok();
    apply(&env, &format!("{ONE}signature_schemes = []\n"), &[]).ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM secrets"), "0");
    apply(&env, ONE, &["-o", "json"]).ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM secrets"), "1");
}

#[test]
fn what_the_file_does_not_name_is_deleted_by_prune_alone() {
    let env = filled();
    assert_eq!(apply(&env, ONE, &["-o", "json"]).ok().json()["deleted"], 0);
    let file = format!("event_types = []\n{ONE}");
    let error = apply(&env, &file, &["--prune"]).fails(2).err();
    assert!(error.contains("'plain'") && error.contains("'order.shipped'") && error.contains("--yes"), "{error}");
    assert_eq!(env.sql_value("SELECT count(*) FROM webhooks"), "4");
    assert_eq!(apply(&env, &file, &["--prune", "--yes", "-o", "json"]).ok().json()["deleted"], 4);
    assert_eq!(env.sql("SELECT name FROM webhooks"), [["one"]]);
    assert_eq!(env.sql_value("SELECT count(*) FROM event_types WHERE NOT is_builtin"), "0");
}

#[test]
fn prune_leaves_a_part_alone_that_the_file_does_not_have() {
    let env = filled();
    apply(&env, "event_types = []", &["--prune", "--yes"]).ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM webhooks"), "3");
    apply(&env, "webhooks = []", &["--prune", "--yes"]).ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM webhooks"), "0");
}

#[test]
fn the_owner_and_the_state_stay_where_the_file_is_silent() {
    let env = TestEnv::new();
    apply(&env, ONE, &[]).ok();
    env.hookctl(["webhook", "update", "one", "--owner", "sales"]).run().ok();
    env.hookctl(["webhook", "disable", "one"]).run().ok();
    assert_eq!(apply(&env, ONE, &["-o", "json"]).ok().json()["unchanged"], 1);
    apply(&env, &format!("{ONE}is_active = true\n"), &[]).ok();
    assert_eq!(
        env.sql("SELECT owner, is_active FROM webhooks JOIN webhook_state ON webhook_id = id"),
        [["sales", "1"]]
    );
}

#[test]
fn one_mistake_and_nothing_is_stored() {
    let cases = [
        ("unknown_key = 1", "unknown_key"),
        ("url = 'http://127.0.0.1:9/'", "line 5"),
        ("max_retries = -1", "max_retries: not a whole number"),
        ("timeout_seconds = 0", "timeout_seconds: must be more than 0"),
        ("timeout_seconds = 'soon'", "not a length of time"),
        ("http_method = 'DELETE'", "http_method: not a method"),
        ("headers = { Host = 'x' }", "headers: the header Host"),
        ("signature_schemes = ['nonsense']", "signature_schemes: "),
        ("concurrency = 0", "concurrency: "),
        ("allow_networks = ['nonsense']", "allow_networks: "),
        ("ca_cert = 'nonsense'", "ca_cert: "),
        ("signature_schemes = []\nsecret = 'x'", "secret: the webhook has no signature scheme"),
        ("[[webhooks]]\nname = 'one'\nurl = 'http://127.0.0.1:9/'\nevents = ['a']", "'one' is there twice"),
        ("[[webhooks]]\nname = '123'\nurl = 'http://127.0.0.1:9/'\nevents = ['a']", "webhooks[1] (123): name: "),
        ("[[webhooks]]\nname = 'two'\nurl = 'http://192.168.1.1/'\nevents = ['a']", "webhooks[1] (two): url: "),
        ("[[webhooks]]\nname = 'two'\nurl = 'http://127.0.0.1:9/'\nevents = []", "webhooks[1] (two): events: "),
        ("[[event_types]]\nname = 'with blank'", "event_types[0] (with blank): name: "),
        ("[[event_types]]\nname = 'invoice.paid'\ndescription = 'mine'", "built in"),
        ("not toml", "line 5"),
    ];
    let env = TestEnv::new();
    for (line, told) in cases {
        let run = apply(&env, &format!("{ONE}{line}\n"), &[]).fails(2);
        assert!(run.err().contains(told), "{line}\n{run:?}");
        assert!(run.err().starts_with("error: FILE: ") && run.stdout.is_empty(), "{run:?}");
        assert!(!env.is_made(), "{line}");
    }
    let json = r#"{"webhooks":[{"name":"one","url":"http://127.0.0.1:9/","events":["a"],"nonsense":1}]}"#;
    assert!(apply(&env, json, &[]).fails(2).err().contains("nonsense"));
}

#[test]
fn a_name_that_is_taken_meanwhile_rolls_everything_back() {
    let env = TestEnv::new();
    apply(&env, ONE, &[]).ok();
    // The second of two webhooks cannot be stored: an index stands for whatever goes wrong in the middle.
    env.sql_write("CREATE UNIQUE INDEX hurdle ON webhooks (events) WHERE settings LIKE '%\"taken\"%'");
    let two = |name: &str| ONE.replace("'one'", &format!("'{name}'")) + "description = 'taken'\n";
    apply(&env, &(two("two") + &two("three")), &[]).fails(6);
    assert_eq!(env.sql("SELECT name FROM webhooks"), [["one"]]);
}

#[test]
fn read_only_shows_plans_and_does_nothing() {
    let env = TestEnv::new();
    apply(&env, ONE, &[]).ok();
    let file = format!("{ONE}max_retries = 9\n");
    apply(&env, &file, &["--read-only", "--dry-run"]).fails(5);
    apply(&env, &file, &["--read-only"]).fails(1);
}

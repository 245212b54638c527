//! Owners: what belongs to one customer does not reach another.

use crate::support::{TestEnv, TestReceiver};

/// Runs a command with no owner in the environment.
#[track_caller]
fn plainly(env: &TestEnv, arguments: &[&str]) -> crate::support::Run {
    env.hookctl(arguments).without_env("HOOKCTL_OWNER").run()
}

fn types(receiver: &TestReceiver) -> Vec<String> {
    receiver.requests().iter().map(|request| request.header("x-webhook-event").unwrap().to_owned()).collect()
}

#[test]
fn an_owner_is_not_told_of_anothers_failures() {
    let (env, failing) = (TestEnv::new(), TestReceiver::start(500));
    let names = ["acme-all", "acme-watch", "globex-all", "globex-watch", "operator-all", "operator-watch"];
    let receivers: Vec<TestReceiver> = names.iter().map(|_| TestReceiver::start(200)).collect();
    let create = |name: &str, url: &str, patterns: &str, more: &[&str]| {
        let owner = name.split('-').next().unwrap().replace("operator", "none");
        let create = ["webhook", "create", name, "--url", url, "-e", patterns, "--owner", &owner];
        plainly(&env, &[&create[..], more].concat()).ok();
    };
    create(
        "acme-broken",
        &failing.url(),
        "task.*,webhook.*,delivery.*",
        &["--max-retries", "0", "--disable-after", "1s"],
    );
    for (name, receiver) in names.iter().zip(&receivers) {
        create(name, &receiver.url(), if name.ends_with("all") { "*" } else { "webhook.*,delivery.*" }, &[]);
    }
    for second in [0, 10] {
        env.json_at(second, &["emit", "task.created", "-w", "acme-broken"]);
    }
    env.at(20, &["drain"]).ok();
    let announced = ["delivery.failed", "delivery.failed", "webhook.disabled"];
    for (name, receiver) in names.iter().zip(&receivers) {
        let mut seen = types(receiver);
        seen.sort_unstable();
        let expected: &[&str] = match *name {
            "acme-watch" | "operator-watch" => &announced,
            _ => &[],
        };
        assert_eq!(seen, expected, "{name}");
    }
    assert_eq!(types(&failing), ["task.created", "task.created"], "a webhook does not hear of itself");
    let owners = env.sql("SELECT DISTINCT owner FROM events WHERE about IS NOT NULL");
    assert_eq!(owners, [["acme"]]);
}

#[test]
fn what_is_about_the_operators_own_webhook_goes_to_no_owner() {
    let (env, failing, owned, operator) =
        (TestEnv::new(), TestReceiver::start(500), TestReceiver::start(200), TestReceiver::start(200));
    for (name, url, owner) in
        [("broken", failing.url(), "none"), ("owned", owned.url(), "acme"), ("operator", operator.url(), "none")]
    {
        let patterns = if name == "broken" { "*" } else { "delivery.*" };
        let create = ["webhook", "create", name, "--url", &url, "-e", patterns, "--owner", owner, "--max-retries", "0"];
        plainly(&env, &create).ok();
    }
    env.hookctl(["emit", "task.created"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!((types(&operator).len(), types(&owned).len()), (1, 0));
}

#[test]
fn a_webhook_has_an_owner_only_where_one_is_given_and_who_made_it_is_recorded() {
    let env = TestEnv::new();
    let create = |name: &str| {
        let create = ["webhook", "create", name, "--url", "https://crm.example/", "-e", "*", "-o", "json"];
        env.hookctl(create).without_env("HOOKCTL_OWNER")
    };
    for (name, command, owner, created_by) in [
        ("nobody", create("nobody").env("USER", "anna").env("LOGNAME", "login"), None, Some("anna")),
        ("login", create("login").without_env("USER").env("LOGNAME", "bert"), None, Some("bert")),
        ("nameless", create("nameless").env("USER", "a\nb").without_env("LOGNAME"), None, None),
        ("variable", create("variable").env("HOOKCTL_OWNER", "acme").env("USER", "anna"), Some("acme"), Some("anna")),
        (
            "none",
            create("none").env("HOOKCTL_OWNER", "acme").args(["--owner", "none"]).env("USER", "anna"),
            None,
            Some("anna"),
        ),
        ("option", create("option").args(["--owner", "globex"]).env("USER", "anna"), Some("globex"), Some("anna")),
    ] {
        let webhook = command.run().ok().json();
        assert_eq!((webhook["owner"].as_str(), webhook["created_by"].as_str()), (owner, created_by), "{name}");
    }
    let updated = env.hookctl(["webhook", "update", "option", "--owner", "none", "-o", "json"]).run().ok().json();
    assert_eq!(updated["owner"], serde_json::Value::Null);
    let refused = create("blank").args(["--owner", " "]).run().fails(2);
    assert!(refused.err().contains("--owner: an owner is blank"), "{refused:?}");
}

#[test]
fn lists_are_those_of_one_owner_or_of_nobody() {
    let env = TestEnv::new();
    for (name, owner) in [("a", "acme"), ("b", "globex"), ("c", "none")] {
        let create = ["webhook", "create", name, "--url", "https://crm.example/", "-e", "*", "--owner", owner];
        plainly(&env, &create).ok();
        plainly(&env, &["emit", "task.created", "--event-id", name, "--owner", owner, "--enqueue"]).ok();
    }
    let list = |noun: &str, key: &str, owner: &str| -> Vec<String> {
        let listed = plainly(&env, &[noun, "list", "--owner", owner, "-o", "json"]).ok().json();
        listed.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
    };
    for (owner, expected) in [("acme", vec!["a"]), ("globex", vec!["b"]), ("none", vec!["c"]), ("other", vec![])] {
        assert_eq!(list("webhook", "name", owner), expected, "{owner}");
        assert_eq!(list("event", "event_id", owner), expected, "{owner}");
    }
    let reached =
        env.sql("SELECT w.name, count(*) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id GROUP BY 1");
    assert_eq!(
        reached,
        [["a", "2"], ["b", "2"], ["c", "1"]],
        "an event of nobody reaches all, one of an owner that owner"
    );
}

#[test]
fn an_event_is_no_duplicate_of_another_owners() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for owner in ["acme", "beta"] {
        env.create(owner, &receiver.url_at(&format!("/{owner}")), &["--owner", owner]);
    }
    let emit = |owner: &str, more: &[&str]| {
        env.hookctl([&["emit", "task.created", "--owner", owner, "-o", "json"], more].concat()).run()
    };
    emit("acme", &["--event-id", "order-7"]).ok();
    let refused = emit("beta", &["--event-id", "order-7"]).fails(6);
    assert!(refused.err().contains("order-7"), "{refused:?}");
    assert_eq!(emit("acme", &["--event-id", "order-7"]).ok().json()["duplicate"], true);
    for owner in ["acme", "beta"] {
        let sent = emit(owner, &["--dedupe", "10m", "--data", "2"]);
        assert_eq!(sent.ok().json()["duplicate"], false, "{owner}");
        assert_eq!(emit(owner, &["--dedupe", "10m", "--data", "2"]).ok().json()["duplicate"], true, "{owner}");
    }
    assert_eq!(receiver.count(), 3);
}

#[test]
fn a_webhook_that_is_named_for_an_event_of_another_owner_is_refused_by_emit_as_by_resend() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    for owner in ["acme", "beta", "none"] {
        plainly(&env, &["webhook", "create", owner, "--owner", owner, "--url", &receiver.url(), "-e", "*"]).ok();
    }
    plainly(&env, &["emit", "x.y", "--owner", "acme", "--event-id", "e-1", "--enqueue"]).ok();
    let words = "has owner 'acme', 'beta' has owner 'beta'";
    for crossing in [
        &["event", "resend", "e-1", "-w", "beta"][..],
        &["emit", "x.y", "--owner", "acme", "-w", "acme", "-w", "beta"],
        &["emit", "x.y", "--owner", "acme", "-w", "beta", "--dry-run"],
    ] {
        let run = plainly(&env, crossing).fails(2);
        assert!(run.err().starts_with("error: --webhook: ") && run.err().contains(words), "{run:?}");
    }
    let lines = "{\"type\":\"x.y\",\"owner\":\"acme\"}\n{\"type\":\"x.y\",\"owner\":\"beta\"}\n";
    let batch = env.hookctl(["emit", "--batch", "-", "--enqueue", "-w", "beta"]).without_env("HOOKCTL_OWNER");
    let batch = batch.stdin(lines).run().fails(65);
    assert!(batch.err().contains("line 1 rejected: --webhook: ") && batch.err().contains(words), "{batch:?}");
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "2");
    plainly(&env, &["emit", "x.y", "-w", "beta", "--strict"]).ok();
    assert_eq!(receiver.count(), 1);
}

//! Headers that an event brings along: sent to every receiver, under the rules for those of webhooks.

use serde_json::json;

use crate::support::{Hookctl, TestEnv, TestReceiver};

fn emit(env: &TestEnv, id: &str, headers: &[&str]) -> Hookctl {
    let emit = env.hookctl(["emit", "task.created", "--data", "{}", "--event-id", id]);
    emit.args(headers.iter().flat_map(|header| ["-H", header]))
}

#[test]
fn they_are_sent_by_every_attempt_to_every_receiver_and_shown() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start([500, 200, 200, 200]));
    env.create("crm", &receiver.url_at("/crm"), &["--max-retries", "3"]);
    emit(&env, "e-1", &["X-Request-Id: 7f3 a", "x-empty:"]).run().ok();
    env.hookctl(["drain", "--all"]).run().ok();
    env.create("erp", &receiver.url_at("/erp"), &[]);
    env.hookctl(["event", "resend", "e-1", "-w", "erp"]).run().ok();
    env.hookctl(["delivery", "retry", "1"]).run().ok();
    let requests = receiver.requests();
    let paths: Vec<&str> = requests.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, ["/crm", "/crm", "/erp", "/crm"]);
    for request in &requests {
        assert_eq!((request.header("x-request-id"), request.header("x-empty")), (Some("7f3 a"), Some("")));
    }
    let event = env.hookctl(["event", "show", "e-1", "-o", "json"]).run().ok().json();
    assert_eq!(event["headers"], json!({"X-Request-Id": "7f3 a", "x-empty": ""}));
    let delivery = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    assert_eq!(delivery["request"]["headers"]["X-Request-Id"], "7f3 a");
}

#[test]
fn a_batch_and_a_later_drain_send_them_too() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    let line = |headers: &str| format!("{{\"type\":\"task.created\",\"data\":1,\"headers\":{headers}}}\n");
    let lines = [r#"{"X-Run":"1","X-Of":" 2 "}"#, r#"{"Host":"x"}"#, r#"{"X-A":"1","x-a":"2"}"#, r#""s3cret""#, "null"];
    let lines: String = lines.into_iter().map(line).collect();
    let run = env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(lines).run().fails(65);
    for told in [
        "line 2 rejected: headers: the header Host cannot be set",
        "line 3 rejected: headers: the header x-a is given twice",
        "line 4 rejected: headers: expected an object of texts",
    ] {
        assert!(run.err().contains(told), "{told}\n{run:?}");
    }
    assert!(!run.err().contains("s3cret"), "{run:?}");
    env.hookctl(["drain"]).run().ok();
    let mut sent: Vec<_> =
        receiver.requests().iter().map(|request| request.header("x-of").map(str::to_owned)).collect();
    sent.sort();
    assert_eq!(sent, [None, Some("2".to_owned())]);
}

#[test]
fn what_hookctl_and_http_send_is_refused_and_what_the_webhook_says_stays() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["-H", "X-Team: own", "--signature", "github"]);
    for wrong in [
        "Host: x",
        "Content-Length: 1",
        "Content-Type: text/plain",
        "Connection: close",
        "X-Webhook-Event: x",
        "webhook-id: x",
        "Proxy-Authorization: x",
        "no colon",
        "X A: b",
        "X-A: a\nb",
    ] {
        let run = emit(&env, "e-0", &[wrong]).run().fails(2);
        assert!(run.err().contains("--header"), "{wrong:?}: {run:?}");
    }
    emit(&env, "e-0", &["X-A: 1", "x-a: 2"]).run().fails(2);
    let long = format!("X-A: {}", "v".repeat(8_192));
    emit(&env, "e-0", &[&long, &long.replace("X-A", "X-B")]).run().fails(2);
    assert_eq!(env.sql_value("SELECT count(*) FROM events"), "0");
    emit(&env, "e-1", &["x-team: other", "X-Hub-Signature-256: sha256=00", "X-Mine: 1"]).run().ok();
    let request = &receiver.requests()[0];
    assert_eq!((request.header("x-team"), request.header("x-mine")), (Some("own"), Some("1")));
    assert_ne!(request.header("x-hub-signature-256"), Some("sha256=00"));
    let doubled = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-team")).count();
    assert_eq!(doubled, 1);
}

#[test]
fn they_are_no_part_of_what_makes_a_duplicate() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    emit(&env, "e-1", &["X-Run: 1"]).run().ok();
    let again = emit(&env, "e-1", &["X-Run: 2"]).args(["-o", "json"]).run().ok().json();
    assert_eq!((&again["duplicate"], receiver.count()), (&json!(true), 1));
}

#[test]
fn a_credential_among_them_is_masked_encrypted_and_pruned_with_the_event() {
    const TOKEN: &str = "Bearer on-the-event-0123456789";
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &[]);
    let header = format!("Authorization: {TOKEN}");
    let run = emit(&env, "e-1", &[&header, "X-Run: 1"]).run().ok();
    assert!(run.err().contains("--header-env Authorization=VAR") && !run.err().contains(TOKEN), "{run:?}");
    let is_stored = || env.sql_value("SELECT headers FROM events ORDER BY id DESC LIMIT 1").contains(TOKEN);
    assert!(is_stored());
    for show in [&["event", "show", "e-1"][..], &["delivery", "show", "1"], &["event", "show", "e-1", "-o", "json"]] {
        let shown = env.hookctl(show.iter().copied()).run().ok().text();
        assert!(shown.contains("***") && !shown.contains(TOKEN), "{shown}");
    }
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    assert!(!is_stored());
    let with_key = |run: Hookctl| run.env("HOOKCTL_KEY_FILE", env.path().join("key"));
    with_key(env.hookctl(["delivery", "retry", "1"])).run().ok();
    emit(&env, "e-2", &[&header]).arg("--enqueue").run().fails(1);
    with_key(emit(&env, "e-2", &[&header])).arg("--enqueue").run().ok();
    assert!(!is_stored());
    with_key(env.hookctl(["drain"])).run().ok();
    with_key(env.hookctl(["db", "rotate-key", "--new-key-file", "new"])).run().ok();
    env.hookctl(["db", "decrypt"]).env("HOOKCTL_KEY_FILE", env.path().join("new")).run().ok();
    env.hookctl(["delivery", "retry", "2"]).run().ok();
    let sent = receiver.requests();
    assert!(sent.iter().all(|request| request.header("authorization") == Some(TOKEN)) && sent.len() == 4);
    let prune = env.hookctl(["delivery", "prune", "--older-than", "1s", "--yes"]);
    prune.env("HOOKCTL_NOW", "2090-01-01T00:00:00Z").run().ok();
    assert_eq!(env.sql_value("SELECT count(*) FROM events WHERE headers IS NOT NULL"), "0");
}

#[test]
fn without_the_key_a_delivery_with_an_encrypted_one_waits_alone_and_is_told() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["--no-secret"]);
    env.file("key", [7; 32]);
    let with_key = |run: Hookctl| run.env("HOOKCTL_KEY_FILE", env.path().join("key"));
    with_key(emit(&env, "e-1", &["Authorization: Bearer x"])).arg("--enqueue").run().ok();
    for id in ["e-2", "e-3"] {
        emit(&env, id, &[]).arg("--enqueue").run().ok();
    }
    let run = env.hookctl(["drain", "-o", "json"]).run().fails(1);
    assert_eq!((&run.json()["succeeded"], &run.json()["failed"]), (&json!(2), &json!(0)), "{run:?}");
    assert!(run.err().contains("deliveries to crm stay due: ") && run.err().contains("there is no key"), "{run:?}");
    assert_eq!(receiver.count(), 2);
    let waiting = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    assert_eq!((&waiting["status"], &waiting["attempts"]), (&json!("pending"), &json!([])), "{waiting}");
    with_key(env.hookctl(["drain", "--strict"])).now("2090-01-01T00:00:00Z").run().ok();
    assert_eq!(receiver.count(), 3);
}

#[test]
fn a_header_that_cannot_be_read_fails_its_delivery_alone() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["--max-retries", "0"]);
    for id in ["e-1", "e-2"] {
        emit(&env, id, &["X-Run: 1"]).arg("--enqueue").run().ok();
    }
    env.sql_write("UPDATE events SET headers = 'x' WHERE event_id = 'e-1'");
    env.hookctl(["drain"]).run().ok();
    let shown = env.hookctl(["delivery", "show", "1", "-o", "json"]).run().ok().json();
    assert_eq!(shown["error_type"], "unknown_error", "{shown}");
    assert_eq!(receiver.count(), 1);
}

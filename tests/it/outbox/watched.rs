//! What `check`, `metrics` and `status` tell of outboxes.

use super::{App, insert, subscribed};

#[test]
fn check_metrics_and_status_tell_what_waits_and_what_was_refused() {
    let (env, _receiver) = subscribed();
    let app = App::file(&env);
    let source = app.source();
    let ask = |arguments: &[&str]| env.hookctl(arguments.iter().copied()).env("HOOKCTL_OUTBOX", &source);
    app.run(&insert(&[("a b", "1")]));
    ask(&["drain"]).run().fails(65);
    app.run(&insert(&[("a.b", "1"), ("a.b", "2")]));
    app.run("UPDATE hookctl_outbox SET created_at = '2026-01-01T00:00:00Z' WHERE id = 2");

    let metrics = ask(&["metrics"]).run().ok().text();
    for line in ["hookctl_outbox_waiting{source=\"SOURCE\"} 2", "hookctl_outbox_rejected{source=\"SOURCE\"} 1"] {
        assert!(metrics.contains(&line.replace("SOURCE", &source)), "{metrics}");
    }
    let status = ask(&["status", "-o", "json"]).run().ok().json();
    let outboxes = status["outboxes"].as_array().unwrap();
    let outbox = outboxes.iter().find(|outbox| outbox["source"] == source.as_str()).unwrap();
    assert_eq!((&outbox["waiting"], &outbox["rejected"]), (&2.into(), &1.into()));
    assert_eq!(outbox["oldest"], "2026-01-01T00:00:00.000Z");
    let screen = ask(&["status"]).run().ok().text();
    assert!(screen.contains("2 events wait, the oldest since") && screen.contains("; 1 is rejected"), "{screen}");

    let check = ask(&["check", "--max-lag", "5m", "-o", "json"]).run().fails(2).json();
    let message = check["message"].as_str().unwrap();
    assert!(message.contains("2 waiting, the oldest for") && message.contains("1 row is rejected"), "{message}");
    let list = ask(&["outbox", "status", "-o", "json"]).run().ok().json();
    assert_eq!(list.as_array().unwrap().iter().filter(|outbox| outbox["waiting"] == 2).count(), 1);
}

#[test]
fn an_outbox_that_cannot_be_read_is_told_by_all_of_them() {
    let (env, _receiver) = subscribed();
    let ask = |arguments: &[&str]| env.hookctl(arguments.iter().copied()).env("HOOKCTL_OUTBOX", "gone.db");
    let check = ask(&["check"]).run().fails(1).text();
    assert!(check.contains("outbox gone.db: there is no such file"), "{check}");
    assert!(ask(&["metrics"]).run().ok().err().contains("outbox gone.db: there is no such file"));
    assert!(ask(&["status"]).run().ok().text().contains("outbox gone.db: there is no such file"));
    ask(&["outbox", "status"]).run().fails(1);
    assert!(!env.path().join("gone.db").exists());
}

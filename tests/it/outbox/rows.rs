//! What becomes of the rows of an outbox.

use std::thread::sleep;
use std::time::{Duration, Instant};

use super::{App, apps, insert, subscribed};
use crate::fault::{PATIENCE, count};
use crate::support::{Recorded, TestEnv, TestReceiver};

/// The data of each request's envelope, as its bytes are.
fn data(requests: &[Recorded]) -> Vec<String> {
    let data = |request: &Recorded| request.text().split_once("\"data\":").map_or("", |(_, data)| data).to_owned();
    requests.iter().map(data).collect()
}

#[test]
fn what_is_committed_is_delivered_and_what_is_rolled_back_is_not() {
    let (env, receiver) = subscribed();
    for (done, app) in apps(&env).into_iter().enumerate() {
        app.run("CREATE TABLE orders (id INTEGER PRIMARY KEY)");
        let emit = insert(&[("order.created", "{\"n\":1.10}")]);
        app.run(&format!("BEGIN; INSERT INTO orders VALUES (1); {emit} COMMIT;"));
        app.run(&format!("BEGIN; INSERT INTO orders VALUES (2); {emit} ROLLBACK;"));
        assert_eq!(app.status(&env)["waiting"], 1);
        let drained = app.drain(&env).ok().json();
        assert_eq!((&drained["taken_in"], &drained["succeeded"]), (&1.into(), &1.into()));
        let requests = receiver.requests();
        assert_eq!(requests.len(), done + 1);
        assert_eq!(data(&requests)[done], "{\"n\":1.10}}");
        assert!(requests[done].header("webhook-id").unwrap().starts_with("evt_"));
        assert_eq!((app.count(), app.value("SELECT count(*) FROM orders").as_str()), (0, "1"));
        let again = app.drain(&env).ok().json();
        assert_eq!((&again["taken_in"], &again["claimed"]), (&0.into(), &0.into()));
    }
}

#[test]
fn a_dry_run_of_a_drain_says_how_much_waits_in_each_outbox_and_takes_nothing_in() {
    let (env, receiver) = subscribed();
    for app in apps(&env) {
        let dry_run = || env.hookctl(["drain", "--dry-run", "--outbox"]).arg(app.source()).run().ok();
        let source = app.source();
        assert!(dry_run().err().contains("0 rows wait in the outbox "), "{source}");
        app.run(&insert(&[("order.created", "1"), ("order.created", "2")]));
        let told = dry_run();
        assert!(told.err().contains("2 rows wait in the outbox ") && told.text().is_empty(), "{source}: {told:?}");
        assert_eq!(app.count(), 2);
    }
    let missing = env.hookctl(["drain", "--dry-run", "--outbox", "nowhere.db"]).run().fails(1);
    assert!(missing.err().contains("outbox nowhere.db: "), "{missing:?}");
    assert_eq!(receiver.count(), 0);
}

#[test]
fn a_row_says_what_emit_says_by_its_options() {
    let (env, receiver) = subscribed();
    for app in apps(&env) {
        app.run(
            "INSERT INTO hookctl_outbox (event_type, data, event_id, key, owner, entity, created_at)
                VALUES ('order.paid', '{}', 'paid-7', 'customer-1', NULL, 'order:7:Seven', '2026-01-31T12:00:00Z')",
        );
        app.drain(&env).ok();
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 1, "the event id is the same in both");
    let envelope = requests[0].json();
    assert_eq!(envelope["timestamp"], "2026-01-31T12:00:00.000Z");
    assert_eq!(envelope["entity"], serde_json::json!({"type": "order", "id": "7", "name": "Seven"}));
    assert_eq!(env.sql("SELECT event_id, key FROM events"), [["paid-7", "customer-1"]]);
}

#[test]
fn rows_are_delivered_in_their_order() {
    let (env, receiver) = subscribed();
    env.hookctl(["webhook", "update", "crm", "--ordered"]).run().ok();
    for (done, app) in apps(&env).into_iter().enumerate() {
        let numbers: Vec<String> = (0..40).map(|number| number.to_string()).collect();
        let rows: Vec<(&str, &str)> = numbers.iter().map(|number| ("a.b", number.as_str())).collect();
        app.run(&insert(&rows));
        app.drain(&env).ok();
        let requests = receiver.requests();
        let came: Vec<String> = data(&requests[done * 40..]);
        assert_eq!(came, numbers.iter().map(|number| format!("{number}}}")).collect::<Vec<_>>());
    }
}

#[test]
fn a_row_that_is_refused_stays_with_the_reason_and_holds_up_no_other() {
    let (env, receiver) = subscribed();
    for (done, app) in apps(&env).into_iter().enumerate() {
        app.run(&insert(&[("a.b", "1"), ("a.b", "{\"n\":"), ("a b", "2"), ("a.b", "3")]));
        let drained = app.drain(&env).fails(65);
        assert!(drained.err().contains("row 2 (a.b) rejected: data: not valid JSON"), "{}", drained.err());
        assert!(drained.err().contains("row 3 (a b) rejected: event_type: "), "{}", drained.err());
        assert_eq!((&drained.json()["taken_in"], &drained.json()["rejected"]), (&2.into(), &2.into()));
        assert_eq!(receiver.count(), 3 * done + 2);
        let status = app.status(&env);
        assert_eq!((&status["waiting"], &status["rejected"], &status["oldest"]), (&0.into(), &2.into(), &().into()));
        assert_eq!(status["rejections"][0]["row"], 2);
        app.drain(&env).ok();

        app.run("UPDATE hookctl_outbox SET data = '4' WHERE id = 2");
        env.hookctl(["outbox", "retry", "--row", "2"]).arg(app.source()).run().ok();
        app.drain(&env).ok();
        assert_eq!((receiver.count(), app.count()), (3 * done + 3, 1));
        env.hookctl(["outbox", "discard"]).arg(app.source()).run().fails(2);
        env.hookctl(["outbox", "discard", "--yes"]).arg(app.source()).run().ok();
        assert_eq!(app.count(), 0);
    }
}

#[test]
fn to_retry_or_discard_a_row_that_is_not_rejected_is_not_found_and_changes_nothing() {
    let (env, _receiver) = subscribed();
    for app in apps(&env) {
        app.run(&insert(&[("a b", "1"), ("a.b", "2"), ("a b", "3")]));
        app.run("UPDATE hookctl_outbox SET rejected = 'a reason' WHERE id <> 2");
        for (command, wrong) in [("retry", "99"), ("retry", "2"), ("discard", "99"), ("discard", "2")] {
            let run = env.hookctl(["outbox", command, "--yes", "--row", "1", "--row", wrong]).arg(app.source()).run();
            let run = run.fails(3);
            assert!(run.err().contains(&format!("has no rejected row {wrong}")), "{}", run.err());
        }
        let word = env.hookctl(["outbox", "retry", "--row", "x"]).arg(app.source()).run().fails(2);
        assert!(word.err().starts_with("error: --row: 'x' is not the id of a row"), "{word:?}");
        let status = app.status(&env);
        assert_eq!((&status["waiting"], &status["rejected"]), (&1.into(), &2.into()));
    }
}

#[test]
fn a_row_that_took_the_number_of_a_refused_one_is_not_marked_in_its_place() {
    let (env, receiver) = subscribed();
    let app = App::file(&env);
    app.run("INSERT INTO hookctl_outbox (id, event_type, data) VALUES (1, 'a b', '1'), (2, 'a.b', '2')");
    // The application holds its write lock: the rows are judged and cannot be deleted or marked.
    let held = app.connection();
    held.execute_batch("BEGIN IMMEDIATE").unwrap();
    let drain = env.hookctl(["drain", "--outbox"]).arg(app.source()).spawn();
    let until = Instant::now() + PATIENCE;
    while count(&env, "SELECT count(*) FROM events") == 0 {
        assert!(Instant::now() < until, "nothing was taken in");
        sleep(Duration::from_millis(10));
    }
    let replace = "DELETE FROM hookctl_outbox WHERE id = 1;
        INSERT INTO hookctl_outbox (id, event_type, data) VALUES (1, 'a.b', '3'); COMMIT";
    held.execute_batch(replace).unwrap();
    drain.wait_timeout(PATIENCE);
    assert_eq!(app.value("SELECT count(rejected) FROM hookctl_outbox"), "0");
    app.drain(&env).ok();
    assert_eq!((receiver.count(), app.count()), (2, 0));
}

#[test]
fn a_costly_expression_fails_for_its_own_rows_alone_and_holds_up_no_request() {
    let (env, receiver) = subscribed();
    let twice = vec!["(.,.)"; 30].join("|");
    let costly = format!("if .data.slow then last({twice}) else .data.n end");
    env.create("formed", &receiver.url_at("/formed"), &["-e", "*", "--transform", &costly]);
    for (done, app) in apps(&env).into_iter().enumerate() {
        let slow = ("a.b", "{\"slow\":true}");
        app.run(&insert(&[slow, slow, slow, slow, ("a.b", "{\"n\":1.10}")]));
        let before = (count(&env, "SELECT count(*) FROM events"), receiver.count());
        let drain = env.hookctl(["drain", "--outbox"]).arg(app.source()).spawn();
        receiver.wait_for(before.1 + 1, PATIENCE);
        let so_far = count(&env, "SELECT count(*) FROM events") - before.0;
        assert!(so_far < 5, "the first request went out after all rows were taken in");
        drain.wait_timeout(PATIENCE * 2).ok();
        let formed = receiver.requests_at("/formed");
        assert_eq!(formed.len(), done + 1);
        assert_eq!((formed[done].text(), app.count()), ("1.10", 0));
        let failed = "SELECT count(*) FROM deliveries WHERE error_message LIKE '%it took longer than 1 s'";
        assert_eq!(count(&env, failed), 4 * (done + 1));
    }
}

#[test]
fn a_row_with_a_credential_waits_for_the_key_and_what_is_due_goes_out() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("plain", &receiver.url(), &["--no-secret"]);
    env.hookctl(["webhook", "create", "signed", "--url", &receiver.url(), "-e", "c.d"]).run().ok();
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    for (done, app) in apps(&env).into_iter().enumerate() {
        let headers = "{\"Authorization\": \"Bearer s3cret\"}";
        app.run(&format!(
            "INSERT INTO hookctl_outbox (event_type, headers) VALUES ('a.b', '{headers}'), ('a.b', NULL)"
        ));
        env.hookctl(["emit", "a.b", "--enqueue"]).run().ok();
        let told = app.drain(&env).fails(1).err();
        assert!(told.contains("outbox ") && told.contains("encrypted, and there is no key"), "{told}");
        assert!(told.contains("HOOKCTL_KEY_FILE"), "{told}");
        assert_eq!((receiver.count(), app.count()), (3 * done + 1, 2));
        let drain = env.hookctl(["drain", "--outbox"]).arg(app.source());
        drain.env("HOOKCTL_KEY_FILE", env.path().join("key")).run().ok();
        assert_eq!((receiver.count(), app.count()), (3 * done + 3, 0));
    }
}

#[test]
fn a_row_whose_data_the_schema_of_its_type_refuses_is_rejected() {
    let (env, receiver) = subscribed();
    let schema = env.file("schema.json", "{\"required\":[\"id\"]}");
    env.hookctl(["event-type", "add", "a.b", "--schema"]).arg(schema).run().ok();
    for (done, app) in apps(&env).into_iter().enumerate() {
        app.run(&insert(&[("a.b", "{}"), ("a.b", "{\"id\":1}"), ("c.d", "{}")]));
        let drained = app.drain(&env).fails(65);
        let reason = "row 1 (a.b) rejected: data: the schema of a.b refuses it: ";
        assert!(drained.err().contains(reason), "{}", drained.err());
        assert_eq!(receiver.count(), 2 * (done + 1));
    }
}

#[test]
fn a_row_whose_event_was_accepted_before_makes_no_second_one_even_if_it_was_pruned() {
    let (env, receiver) = subscribed();
    for app in apps(&env) {
        let row = |data: &str| {
            app.run(&format!(
                "INSERT INTO hookctl_outbox (event_type, data, event_id) VALUES ('a.b', '{data}', 'one')"
            ));
        };
        row("{}");
        app.drain(&env).ok();
        row("{}");
        let again = app.drain(&env).ok().json();
        assert_eq!((&again["taken_in"], app.count()), (&0.into(), 0));
        env.hookctl(["delivery", "prune", "--older-than", "0s", "--yes"]).run().ok();
        row("{}");
        app.drain(&env).ok();
        assert_eq!((receiver.count(), app.count()), (1, 0));
        row("{\"other\":1}");
        let refused = app.drain(&env).fails(65);
        assert!(refused.err().contains("event_id: 'one' was used before with another payload"), "{}", refused.err());
    }
}

#[test]
fn a_row_without_an_event_id_is_given_one_before_it_is_taken_in() {
    let (env, receiver) = subscribed();
    for (done, app) in apps(&env).into_iter().enumerate() {
        app.run(
            "INSERT INTO hookctl_outbox (event_type, data, event_id) VALUES ('a.b', '1', NULL), ('a.b', '2', NULL)",
        );
        app.drain(&env).ok();
        assert_eq!((receiver.count(), app.count()), (2 * done + 2, 0));
    }
}

#[test]
fn more_rows_than_one_group_are_all_taken_in() {
    let (env, receiver) = subscribed();
    env.hookctl(["webhook", "disable", "crm"]).run().ok();
    for (done, app) in apps(&env).into_iter().enumerate() {
        app.run(
            "INSERT INTO hookctl_outbox (event_type, data)
                WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 1203)
                SELECT 'a.b', CAST(n AS TEXT) FROM n",
        );
        assert_eq!(app.drain(&env).ok().json()["taken_in"], 1203);
        assert_eq!(env.sql_value("SELECT count(*) FROM events"), (1203 * (done + 1)).to_string());
        assert_eq!(app.count(), 0);
    }
    assert_eq!(receiver.count(), 0);
}

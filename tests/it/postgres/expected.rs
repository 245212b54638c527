//! Results that are recorded by what was read before: where that changed meanwhile, the state of now counts.

use super::subscribed;
use crate::fault::{PATIENCE, assert_whole, count};
use crate::support::Reply;

#[test]
fn a_result_is_recorded_by_the_state_of_now_where_it_changed_since_the_claim() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    receiver.now_answers(500);
    let others =
        env.begin("UPDATE webhook_state SET failures = 4, failing_since = 1, last_success_at = 7 WHERE webhook_id = 1");
    let emit = env.hookctl(["emit", "invoice.paid", "-o", "json"]).spawn();
    receiver.wait_for(1, PATIENCE);
    others.commit();
    let told = emit.wait_timeout(PATIENCE).ok().json();
    assert_eq!(
        (&told["deliveries"][0]["status"], &told["deliveries"][0]["response_status_code"]),
        (&"retrying".into(), &500.into())
    );
    let state = "SELECT failures, failing_since, last_success_at FROM webhook_state WHERE webhook_id = 1";
    assert_eq!(env.sql(state), [["5", "1", "7"]]);
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 1);
    assert_eq!(
        count(&env, "SELECT count(*) FROM events WHERE event_type = 'webhook.failing'"),
        1,
        "the fifth is announced"
    );
    assert_whole(&env);
}

#[test]
fn a_delivery_that_was_cancelled_while_its_first_attempt_was_under_way_stays_so_unless_it_is_delivered() {
    needs_postgres!();
    for (answer, status) in [(500, "cancelled"), (200, "success")] {
        let (env, receiver) = subscribed(&[]);
        receiver.now_answers(answer);
        // Its result waits for this.
        let others = env.begin("UPDATE webhook_state SET failures = failures WHERE webhook_id = 1");
        let emit = env.hookctl(["emit", "invoice.paid", "-o", "json"]).spawn();
        receiver.wait_for(1, PATIENCE);
        env.sql_write("UPDATE deliveries SET status = 'cancelled', due_at = NULL WHERE id = 1");
        others.roll_back();
        assert_eq!(emit.wait_timeout(PATIENCE).ok().json()["deliveries"][0]["status"], status);
        assert_eq!(env.statuses(), format!("{status} 1"));
        assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 1);
        assert_whole(&env);
    }
}

#[test]
fn events_are_stored_again_after_a_deadlock() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    // The first two that come are told of a deadlock.
    env.sql_write(
        "CREATE SEQUENCE tried;
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
            IF nextval(''hookctl.tried'') <= 2 THEN RAISE SQLSTATE ''40P01''; END IF; RETURN NEW; END';
        CREATE TRIGGER fail BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fail()",
    );
    env.hookctl(["emit", "invoice.paid", "--event-id", "e-1"]).run().ok();
    assert_eq!(receiver.count(), 1);
    env.sql_write("ALTER SEQUENCE tried RESTART");
    env.hookctl(["emit", "--batch", "-"])
        .stdin("{\"type\":\"invoice.paid\",\"event_id\":\"e-2\",\"data\":1}\n")
        .run()
        .ok();
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 2);
    env.sql_write(
        "ALTER SEQUENCE tried RESTART WITH 1; CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql
        AS 'BEGIN RAISE SQLSTATE ''40P01''; END'",
    );
    let run = env.hookctl(["emit", "invoice.paid", "--event-id", "e-3"]).run().fails(75);
    assert!(run.err().contains("nothing of this step was stored"), "{run:?}");
    assert_eq!((receiver.count(), count(&env, "SELECT count(*) FROM events")), (2, 2));
}

#[test]
fn what_waits_behind_a_delivery_whose_webhook_was_ordered_during_its_attempt_is_sent_after_it() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    receiver.now_answers(Reply::WhenReleased(200));
    let first = env.hookctl(["emit", "invoice.paid", "--key", "a"]).spawn();
    receiver.wait_for(1, PATIENCE);
    receiver.now_answers(200);
    env.hookctl(["webhook", "update", "crm", "--ordered=key"]).run().ok();
    env.hookctl(["emit", "invoice.paid", "--key", "a", "--enqueue"]).run().ok();
    // It finds the second behind the first.
    env.hookctl(["drain"]).run().ok();
    receiver.release();
    first.wait_timeout(PATIENCE).ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!((receiver.count(), env.statuses()), (2, "success 2".to_owned()));
    assert_whole(&env);
}

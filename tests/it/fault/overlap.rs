//! Many processes at once.

use std::time::Duration;

use super::{PATIENCE, assert_whole, batch, count, moment, requests_by_event, scale, subscribe};
use crate::support::{Reply, TestEnv, TestReceiver};

#[test]
fn eight_drains_and_eight_emitters_send_each_delivery_once() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
    let lines = 625 * scale();
    let drains: Vec<_> = (0..8).map(|_| env.hookctl(["drain", "--watch", "100ms", "-o", "json"]).spawn()).collect();
    let emitters: Vec<_> = (0..8)
        .map(|number| {
            let file = env.file(&format!("{number}.jsonl"), batch(&format!("e{number}"), lines));
            // Half of them send themselves.
            let how: &[&str] = if number < 4 { &["--enqueue"] } else { &[] };
            env.hookctl(["emit", "-o", "json"]).args(how.iter().copied()).arg("--batch").arg(file).spawn()
        })
        .collect();
    let mut attempted = 0;
    for emitter in emitters {
        let done = emitter.wait_timeout(4 * PATIENCE).ok().json();
        assert_eq!(done["accepted"], lines);
        attempted += done["claimed"].as_u64().unwrap();
    }
    receiver.wait_for(8 * lines, 4 * PATIENCE);
    for drain in &drains {
        drain.signal("TERM");
    }
    for drain in drains {
        let done = drain.wait_timeout(PATIENCE).fails(143).json();
        assert_eq!((&done["retrying"], &done["failed"]), (&0.into(), &0.into()));
        attempted += done["claimed"].as_u64().unwrap();
    }
    assert_eq!(attempted as usize, 8 * lines, "what they say they did is what there was to do");
    let requests = requests_by_event(&receiver);
    assert_eq!(requests.len(), 8 * lines);
    let twice: Vec<_> = requests.iter().filter(|(_, requests)| **requests != 1).take(5).collect();
    assert!(twice.is_empty(), "sent more than once: {twice:?}");
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 8 * lines);
    assert_whole(&env);
}

#[test]
fn a_database_that_stays_locked_ends_in_75_after_the_wait_and_nothing_is_lost() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_millis(300), 200));
    subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
    env.hookctl(["emit", "invoice.paid", "--event-id", "before", "--enqueue"]).run().ok();
    let lock = env.lock();
    let emit = ["emit", "invoice.paid", "--event-id", "refused"].as_slice();
    let refused =
        [emit, &["drain"]].map(|args| env.hookctl(args.iter().copied()).env("HOOKCTL_BUSY_TIMEOUT", "2s").spawn());
    for refused in refused {
        let run = refused.wait_timeout(PATIENCE).fails(75);
        assert!(run.err().contains("the database is busy"), "{run:?}");
        assert!(run.took >= Duration::from_millis(1_900), "it waits before it gives up: {run:?}");
    }
    assert_eq!(receiver.count(), 0, "what is not stored is not sent");
    lock.roll_back();
    env.hookctl(["emit", "invoice.paid", "--event-id", "refused"]).run().ok();
    env.hookctl(["drain"]).run().ok();
    assert!(requests_by_event(&receiver).values().all(|requests| *requests == 1));
    assert_eq!(receiver.count(), 2);
    assert_whole(&env);
}

#[test]
fn what_was_answered_is_recorded_though_the_database_was_locked_for_longer_than_the_wait() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::WhenReleased(200));
    subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    let drain = env.hookctl(["drain", "-o", "json"]).env("HOOKCTL_BUSY_TIMEOUT", "3500ms").spawn();
    receiver.wait_for(1, PATIENCE);
    let lock = env.lock();
    receiver.release();
    // Longer than one wait, and shorter than three.
    std::thread::sleep(Duration::from_secs(4));
    lock.roll_back();
    assert_eq!(drain.wait_timeout(PATIENCE).ok().json()["succeeded"], 1);
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 1);
    env.hookctl(["drain"]).run().ok();
    assert_eq!(receiver.count(), 1, "it is not sent again");
    assert_whole(&env);
}

#[test]
fn a_lock_that_is_let_go_within_the_wait_is_waited_for() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["crm"], &[]);
    let lock = env.lock();
    let emit = env.hookctl(["emit", "invoice.paid"]).spawn();
    std::thread::sleep(Duration::from_millis(1_500));
    lock.commit();
    emit.wait_timeout(PATIENCE).ok();
    assert_eq!(receiver.count(), 1);
}

#[test]
fn a_drain_that_was_held_up_past_its_lease_leaves_the_result_to_the_one_that_took_over() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start([Reply::WhenReleased(500), Reply::Status(200)]);
    subscribe(&env, &receiver, &["crm"], &["--timeout", "30s"]);
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).now(&moment(0)).run().ok();
    let first = env.hookctl(["drain", "-o", "json"]).now(&moment(0)).spawn();
    receiver.wait_for(1, PATIENCE);
    first.signal("STOP");
    // Its answer comes, and its lease runs out, while it cannot know.
    receiver.release();
    let second = env.hookctl(["drain", "-o", "json"]).now(&moment(60)).run().ok().json();
    assert_eq!(second["succeeded"], 1);
    first.signal("CONT");
    let late = first.wait_timeout(PATIENCE).ok().json();
    assert_eq!((&late["claimed"], &late["retrying"]), (&0.into(), &0.into()), "it has nothing to say any more");
    assert_eq!(
        env.sql("SELECT status, attempt_count, response_status_code FROM deliveries"),
        [["success", "1", "200"]]
    );
    assert_whole(&env);
}

#[test]
fn results_of_a_drain_that_was_held_up_past_its_leases_change_nothing_about_the_webhook() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::WhenReleased(500));
    subscribe(&env, &receiver, &["crm"], &["--timeout", "30s", "--concurrency", "8"]);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch("e", 8)).now(&moment(0)).run().ok();
    let first = env.hookctl(["drain", "-o", "json"]).now(&moment(0)).spawn();
    receiver.wait_for(8, PATIENCE);
    first.signal("STOP");
    receiver.now_answers(200);
    let second = env.hookctl(["drain", "-o", "json"]).now(&moment(60)).run().ok().json();
    assert_eq!(second["succeeded"], 8);
    let everything = || {
        ["webhook_state", "deliveries", "attempts", "attempt_counts"]
            .map(|table| env.sql(&format!("SELECT * FROM {table}")))
    };
    let before = everything();
    receiver.release();
    first.signal("CONT");
    let late = first.wait_timeout(PATIENCE).ok().json();
    assert_eq!((&late["claimed"], &late["retrying"]), (&0.into(), &0.into()));
    assert_eq!(everything(), before);
    assert_eq!(env.sql("SELECT failing_since, breaker_failures FROM webhook_state"), [["NULL", "0"]]);
    assert_whole(&env);
}

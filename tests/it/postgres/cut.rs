//! A connection that is cut, at each round trip in turn: before the server gets what was said, and after it did it.

use std::time::{Duration, Instant};

use super::{proxy, subscribed, through};
use crate::fault::{PATIENCE, assert_whole, batch, count, moment, requests_by_event, scale};
use crate::support::postgres::{Half, Proxy};
use crate::support::{Reply, Run, TestEnv, TestReceiver};

/// No command makes as many.
const MOST: usize = 60;

/// Runs `trial` with a cut at each round trip of what it does, on a database of its own each time.
#[track_caller]
fn at_each(least: usize, trial: impl Fn(&Proxy, &str)) {
    for half in [Half::Request, Half::Answer] {
        let mut round_trip = 1;
        loop {
            let proxy = proxy();
            proxy.cut_at(round_trip, half);
            trial(&proxy, &format!("{half:?} of round trip {round_trip}"));
            if !proxy.has_cut() {
                break;
            }
            // A long command repeats itself: beyond its first steps the short form takes one in four.
            round_trip += if round_trip < 10 || scale() > 1 { 1 } else { 4 };
            assert!(round_trip < MOST, "round trips have no end");
        }
        assert!(round_trip > least, "no more than {round_trip} round trips were cut");
    }
}

/// A run ends well, or says that it is worth another try; it never panics, and its error is one line with a hint.
#[track_caller]
fn assert_told(run: &Run, case: &str) {
    assert!(matches!(run.code, Some(0 | 75)), "{case}: {run:?}");
    let told = run.err();
    let errors = told.lines().filter(|line| line.starts_with("error: ")).count();
    assert_eq!(errors, usize::from(run.code == Some(75)), "{case}: {run:?}");
}

/// Everything that is stored is delivered in the end, and each delivery was recorded once.
#[track_caller]
fn assert_delivered(env: &TestEnv, receiver: &TestReceiver, events: usize, case: &str) {
    env.hookctl(["drain"]).now(&moment(7_200)).run().ok();
    let done = count(env, "SELECT count(*) FROM deliveries WHERE status = 'success' AND claim_token IS NULL");
    assert_eq!((count(env, "SELECT count(*) FROM events"), done), (events, events), "{case}");
    assert_eq!(count(env, "SELECT count(*) FROM attempts"), events, "{case}");
    let requests = requests_by_event(receiver);
    assert_eq!(requests.len(), events, "{case}");
    // Once more only where the record of an answer was lost with the connection.
    assert!(requests.values().all(|requests| *requests <= 2), "{case}: {requests:?}");
    assert_whole(env);
}

#[test]
fn at_each_round_trip_of_emit_a_cut_stores_the_event_whole_or_not_at_all_and_what_is_said_is_true() {
    needs_postgres!();
    at_each(1, |proxy, case| {
        let (env, receiver) = subscribed(&[]);
        let emit = ["emit", "invoice.paid", "--event-id", "e-1", "--data", "{}"];
        let run = through(proxy, &env, &emit).now(&moment(0)).run();
        assert_told(&run, case);
        let stored = count(&env, "SELECT count(*) FROM events");
        let is_told_accepted = run.code == Some(0) || run.err().contains("e-1 is accepted");
        assert!(stored == 1 || !is_told_accepted, "{case}: told as accepted and not stored: {run:?}");
        assert!(stored == 0 || !run.err().contains("nothing of this step was stored"), "{case}: {run:?}");
        // Whoever got no answer says it again, with the same event id.
        env.hookctl(emit).now(&moment(3_600)).run().ok();
        assert_delivered(&env, &receiver, 1, case);
    });
}

#[test]
fn at_each_round_trip_of_a_batch_a_cut_loses_and_doubles_no_line() {
    needs_postgres!();
    at_each(1, |proxy, case| {
        let (env, receiver) = subscribed(&[]);
        let file = env.file("batch.jsonl", batch("e", 60)).display().to_string();
        let run = through(proxy, &env, &["emit", "--batch", &file]).now(&moment(0)).run();
        assert_told(&run, case);
        env.hookctl(["emit", "--batch", &file]).now(&moment(3_600)).run().ok();
        assert_delivered(&env, &receiver, 60, case);
    });
}

#[test]
fn at_each_round_trip_of_drain_a_cut_loses_nothing_and_records_nothing_twice() {
    needs_postgres!();
    at_each(2, |proxy, case| {
        let (env, receiver) = subscribed(&[]);
        env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch("e", 5)).now(&moment(0)).run().ok();
        let run = through(proxy, &env, &["drain", "--concurrency", "2"]).now(&moment(0)).run();
        assert_told(&run, case);
        assert_delivered(&env, &receiver, 5, case);
    });
}

#[test]
fn at_each_round_trip_of_the_first_command_a_cut_leaves_a_schema_or_none() {
    needs_postgres!();
    at_each(2, |proxy, case| {
        let env = TestEnv::on(crate::support::Engine::Server);
        let create = ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*"];
        let run = through(proxy, &env, &create).run();
        assert_told(&run, case);
        let again = env.hookctl(create).run();
        let is_there = run.code == Some(0) || again.code == Some(6);
        assert!(is_there || again.code == Some(0), "{case}: {again:?}");
        env.hookctl(["db", "check"]).run().ok();
        assert_eq!(count(&env, "SELECT count(*) FROM webhooks"), 1, "{case}");
    });
}

#[test]
fn an_answer_that_comes_while_the_server_is_away_is_recorded_when_it_is_back() {
    needs_postgres!();
    let (env, receiver) = subscribed(&["--timeout", "60s"]);
    receiver.now_answers(Reply::StatusAfter(Duration::from_millis(500), 200));
    env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
    let proxy = proxy();
    let drain = through(&proxy, &env, &["drain", "-o", "json"]).spawn();
    receiver.wait_for(1, PATIENCE);
    proxy.refuse(true);
    std::thread::sleep(Duration::from_secs(3));
    proxy.refuse(false);
    assert_eq!(drain.wait_timeout(2 * PATIENCE).ok().json()["succeeded"], 1);
    assert_eq!((receiver.count(), count(&env, "SELECT count(*) FROM attempts")), (1, 1), "it is not sent again");
    assert_whole(&env);
}

#[test]
fn a_server_that_is_gone_ends_every_command_in_75_with_one_line_and_sends_nothing() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    let proxy = proxy();
    proxy.refuse(true);
    for arguments in [
        ["emit", "invoice.paid"].as_slice(),
        &["drain"],
        &["webhook", "list"],
        &["delivery", "retry", "1"],
        &["db", "info"],
    ] {
        let run = through(&proxy, &env, arguments).run().fails(75);
        assert_told(&run, &arguments.join(" "));
        assert!(run.err().contains("hint: "), "{run:?}");
        assert!(run.took < PATIENCE, "{run:?}");
    }
    assert_eq!(receiver.count(), 0, "what is not stored is not sent");
}

#[test]
fn a_drain_that_watches_connects_again_after_each_of_five_cuts() {
    needs_postgres!();
    let (env, receiver) = subscribed(&["--timeout", "60s"]);
    let proxy = proxy();
    let drain = through(&proxy, &env, &["drain", "--watch", "200ms", "-o", "json"]).spawn();
    let done = || count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'");
    let wait_until = |is_so: &dyn Fn() -> bool, what: &str| {
        let deadline = Instant::now() + PATIENCE;
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}: {}", env.statuses());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    for cut in 0..5 {
        // While it sleeps, and while requests are under way; at once back, or gone for a while.
        let (is_at_work, is_long) = (cut % 2 == 1, cut >= 3);
        let answer = if is_at_work { Duration::from_millis(500) } else { Duration::ZERO };
        receiver.now_answers(Reply::StatusAfter(answer, 200));
        env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch(&format!("e{cut}"), 10)).run().ok();
        match is_at_work {
            true => drop(receiver.wait_for(10 * cut + 1, PATIENCE)),
            false => wait_until(&|| done() == 10 * (cut + 1), "before the cut"),
        }
        proxy.refuse(true);
        std::thread::sleep(Duration::from_millis(if is_long { 2_000 } else { 0 }));
        proxy.refuse(false);
        wait_until(&|| done() == 10 * (cut + 1), "after the cut");
    }
    drain.signal("TERM");
    let run = drain.wait_timeout(PATIENCE).fails(143);
    assert_eq!(run.json()["succeeded"], 50, "{run:?}");
    assert_eq!((receiver.count(), count(&env, "SELECT count(*) FROM attempts")), (50, 50), "nothing is sent again");
    assert_whole(&env);
}

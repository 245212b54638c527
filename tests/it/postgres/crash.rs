//! A server that crashes, is killed and restarted in the middle of everything.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::fault::{Dice, PATIENCE, assert_whole, batch, count, requests_by_event, scale, subscribe};
use crate::support::postgres::{Cluster, Server};
use crate::support::{Child, TestEnv, TestReceiver};

#[test]
fn a_server_that_is_killed_and_restarted_in_the_middle_loses_nothing_that_was_accepted() {
    needs_postgres!();
    // As it comes: what is committed is on the disk.
    let mut cluster = Cluster::start(&[]);
    let env = TestEnv::with(Server::alone_on(&cluster));
    let receiver = TestReceiver::start(200);
    subscribe(&env, &receiver, &["left", "right"], &[]);
    let mut dice = Dice::new();
    let drain = || env.hookctl(["drain", "--watch", "100ms"]).spawn();
    let mut drains: Vec<Child> = (0..2).map(|_| drain()).collect();
    let (mut accepted, mut unsure) = (Vec::new(), Vec::new());
    let rounds = 4 * scale();
    for round in 0..rounds {
        let emitters: Vec<(String, Child)> = (0..6)
            .map(|number| {
                let prefix = format!("r{round}-{number}");
                let lines = batch(&prefix, 20);
                (prefix, env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(lines).spawn())
            })
            .collect();
        sleep(dice.up_to(Duration::from_millis(400)));
        match round % 2 {
            0 => cluster.crash(),
            _ => cluster.kill(),
        }
        cluster.start_again();
        for (prefix, emitter) in emitters {
            let run = emitter.wait_timeout(2 * PATIENCE);
            match run.code {
                Some(0) => accepted.push(prefix),
                Some(75) => unsure.push(prefix),
                _ => panic!("{run:?}"),
            }
        }
        // A drain goes on by itself, or ends for whatever keeps it running to start it again.
        for drain_now in &mut drains {
            if !drain_now.is_running() {
                *drain_now = drain();
            }
        }
    }
    let stored =
        |prefix: &String| count(&env, &format!("SELECT count(*) FROM events WHERE event_id LIKE '{prefix}-%'"));
    for prefix in &accepted {
        assert_eq!(stored(prefix), 20, "{prefix} was accepted");
    }
    // Whoever was told to try again does.
    for prefix in &unsure {
        env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch(prefix, 20)).run().ok();
    }
    let events = rounds * 6 * 20;
    let deadline = Instant::now() + 2 * PATIENCE;
    while count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success' OR claim_token IS NOT NULL")
        < 2 * events
    {
        assert!(Instant::now() < deadline, "{} deliver", env.statuses());
        sleep(Duration::from_millis(100));
    }
    for drain in drains {
        drain.signal("TERM");
        let run = drain.wait_timeout(PATIENCE);
        assert!(matches!(run.code, Some(143 | 75)), "{run:?}");
    }
    let later = (chrono::Utc::now() + chrono::Duration::minutes(5)).to_rfc3339();
    env.hookctl(["drain"]).now(&later).run().ok();
    assert_eq!(env.statuses(), format!("success {}", 2 * events));
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 2 * events);
    let requests = requests_by_event(&receiver);
    assert_eq!(requests.len(), 2 * events, "nothing is lost");
    // Two drains of sixteen workers had so many claims at each of the crashes.
    let repeated: usize = requests.values().map(|requests| requests - 1).sum();
    assert!(repeated <= rounds * 2 * 32, "{repeated} repeated");
    assert_whole(&env);
    env.hookctl(["db", "check"]).now(&later).run().ok();
}

//! Many processes at once, some of which are killed: nothing lost, nothing claimed twice, no deadlock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use crate::fault::{Dice, PATIENCE, assert_whole, batch, count, requests_by_event, scale, subscribe};
use crate::support::{Child, Engine, TestEnv, TestReceiver};

const DRAINS: usize = 4;
const EMITTERS: usize = 16;
const WEBHOOKS: [&str; 10] = ["w0", "w1", "w2", "w3", "w4", "w5", "w6", "w7", "w8", "w9"];
/// Of each drain: a kill may find as many requests under way, and as many claimed ahead.
const WORKERS: usize = 4;

/// A database with ten webhooks.
fn prepared() -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::on(Engine::Server), TestReceiver::start(200));
    subscribe(&env, &receiver, &WEBHOOKS, &[]);
    (env, receiver)
}

fn deadlocks(env: &TestEnv) -> usize {
    // Each process tells of its deadlocks as it ends.
    sleep(Duration::from_millis(500));
    count(env, "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
}

fn drain(env: &TestEnv) -> Child {
    env.hookctl(["drain", "--watch", "50ms", "--concurrency", &WORKERS.to_string(), "-o", "json"]).spawn()
}

#[test]
fn four_drains_and_sixteen_emitters_send_each_delivery_once_and_never_deadlock() {
    needs_postgres!();
    let (env, receiver) = prepared();
    let before = deadlocks(&env);
    let drains: Vec<Child> = (0..DRAINS).map(|_| drain(&env)).collect();
    let lines = 5 * scale();
    scope(|scope| {
        for emitter in 0..EMITTERS {
            let env = &env;
            scope.spawn(move || {
                // One by one, in a batch, and in one that sends by itself.
                for number in 0..2 * scale() {
                    let id = format!("one-{emitter}-{number}");
                    env.hookctl(["emit", "invoice.paid", "--event-id", &id, "--enqueue"]).run().ok();
                }
                let batch = |prefix: &str| batch(&format!("{prefix}-{emitter}"), lines);
                env.hookctl(["emit", "--batch", "-", "--enqueue"]).stdin(batch("kept")).run().ok();
                env.hookctl(["emit", "--batch", "-"]).stdin(batch("sent")).run().ok();
            });
        }
    });
    let deliveries = EMITTERS * (2 * scale() + 2 * lines) * WEBHOOKS.len();
    receiver.wait_for(deliveries, 4 * PATIENCE);
    for drain in &drains {
        drain.signal("TERM");
    }
    for drain in drains {
        drain.wait_timeout(PATIENCE).fails(143);
    }
    let requests = requests_by_event(&receiver);
    assert_eq!(requests.len(), deliveries, "lost");
    let twice: Vec<_> = requests.iter().filter(|(_, requests)| **requests != 1).take(5).collect();
    assert!(twice.is_empty(), "sent more than once: {twice:?}");
    assert_eq!(env.statuses(), format!("success {deliveries}"));
    assert_eq!(deadlocks(&env) - before, 0, "deadlocks");
    assert_whole(&env);
}

#[test]
fn killed_at_random_four_drains_and_sixteen_emitters_lose_nothing_and_repeat_only_what_was_under_way() {
    needs_postgres!();
    let (env, receiver) = prepared();
    let before = deadlocks(&env);
    let drains = Mutex::new((0..DRAINS).map(|_| drain(&env)).collect::<Vec<Child>>());
    let (running, kills, emit_kills) = (AtomicUsize::new(EMITTERS), AtomicUsize::new(0), AtomicUsize::new(0));
    let events = 3 * scale();
    scope(|scope| {
        for emitter in 0..EMITTERS {
            let (env, running, emit_kills) = (&env, &running, &emit_kills);
            scope.spawn(move || {
                let mut dice = Dice::new();
                for number in 0..events {
                    let id = format!("e-{emitter}-{number}");
                    let arguments = ["emit", "invoice.paid", "--event-id", &id];
                    // Two in three are killed at some moment, and said again.
                    if dice.below(3) > 0 {
                        let emit = env.hookctl(arguments).spawn();
                        sleep(dice.up_to(Duration::from_millis(400)));
                        if emit.kill().signal == Some(9) {
                            emit_kills.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    env.hookctl(arguments).run().ok();
                }
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        // The drains' killer.
        let (env, drains, running, kills) = (&env, &drains, &running, &kills);
        scope.spawn(move || {
            let mut dice = Dice::new();
            while running.load(Ordering::SeqCst) > 0 {
                sleep(Duration::from_millis(100) + dice.up_to(Duration::from_millis(400)));
                let at = dice.below(DRAINS as u64) as usize;
                let killed = std::mem::replace(&mut drains.lock().unwrap()[at], drain(env));
                killed.kill();
                kills.fetch_add(1, Ordering::SeqCst);
            }
        });
    });
    let deliveries = EMITTERS * events * WEBHOOKS.len();
    let deadline = Instant::now() + 2 * PATIENCE;
    while count(&env, "SELECT count(*) FROM deliveries WHERE due_at IS NULL OR claim_token IS NOT NULL") < deliveries {
        assert!(Instant::now() < deadline, "{}", env.statuses());
        sleep(Duration::from_millis(100));
    }
    for drain in drains.into_inner().unwrap() {
        drain.signal("TERM");
        let run = drain.wait_timeout(PATIENCE);
        // One that has just been started ends before it listens for signals, and has claimed nothing.
        assert!(run.code == Some(143) || run.signal == Some(15), "{run:?}");
    }
    let later = (chrono::Utc::now() + chrono::Duration::minutes(5)).to_rfc3339();
    env.hookctl(["drain"]).now(&later).run().ok();
    assert_eq!(env.statuses(), format!("success {deliveries}"));
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), deliveries, "each is recorded once");
    let requests = requests_by_event(&receiver);
    assert_eq!(requests.len(), deliveries, "lost");
    let repeated: usize = requests.values().map(|requests| requests - 1).sum();
    let (kills, emit_kills) = (kills.into_inner(), emit_kills.into_inner());
    let under_way = kills * 2 * WORKERS + emit_kills * WEBHOOKS.len();
    assert!(repeated <= under_way, "{repeated} repeated after {kills} and {emit_kills} kills");
    assert!(kills > 0 && emit_kills > 0);
    assert_eq!(deadlocks(&env) - before, 0, "deadlocks");
    assert_whole(&env);
    env.hookctl(["db", "check"]).now(&later).run().ok();
}

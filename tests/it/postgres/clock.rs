//! Machines whose clocks are off: the server's decides.
#![cfg(target_os = "linux")]

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::subscribed;
use crate::fault::{PATIENCE, assert_whole, batch, count, requests_by_event};
use crate::support::{Hookctl, Recorded, Reply, TestEnv};

/// What the program asks for the time of day; every other clock is left alone.
const LIBRARY: &str = "
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t clock, struct timespec *time) {
    long failed = syscall(SYS_clock_gettime, clock, time);
    if (!failed && clock == CLOCK_REALTIME) time->tv_sec += OFF;
    return failed;
}
";

const HOUR: i64 = 3_600;

/// A machine whose clock is off by so many seconds, as a library that is loaded before the system's.
struct Machine(PathBuf);

impl Machine {
    fn new(env: &TestEnv, off: i64) -> Machine {
        let source = env.file(&format!("clock{off}.c"), LIBRARY);
        let library = env.path().join(format!("clock{off}.so"));
        let options = ["-shared", "-fPIC", &format!("-DOFF=({off})"), "-o"];
        assert!(Command::new("cc").args(options).arg(&library).arg(source).status().unwrap().success());
        Machine(library)
    }

    fn run(&self, env: &TestEnv, arguments: &[&str]) -> Hookctl {
        env.hookctl(arguments.iter().copied()).env("LD_PRELOAD", &self.0)
    }
}

/// How far a time is from now, in seconds.
fn off_by(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    (now - seconds).abs()
}

/// More than a busy machine takes for a test, and less than the clocks are off.
const NEAR: i64 = 600;

fn signed_at(request: &Recorded) -> i64 {
    request.header("webhook-timestamp").unwrap().parse().unwrap()
}

#[test]
fn a_library_sets_the_clock_of_a_program_off() {
    needs_postgres!();
    let env = TestEnv::on(crate::support::Engine::File);
    let machine = Machine::new(&env, HOUR);
    machine.run(&env, &["emit", "invoice.paid"]).run().ok();
    let stored = count(&env, "SELECT created_at / 1000 FROM events") as i64;
    assert!(off_by(stored) > NEAR, "what a file is written by is the machine's clock, or this test shows nothing");
}

#[test]
fn machines_whose_clocks_are_an_hour_off_end_no_lease_of_each_other_and_send_each_delivery_once() {
    needs_postgres!();
    let (env, receiver) = subscribed(&["--timeout", "20s"]);
    receiver.now_answers(Reply::StatusAfter(Duration::from_millis(500), 200));
    let machines = [HOUR, -HOUR].map(|off| Machine::new(&env, off));
    for (machine, prefix) in machines.iter().zip(["ahead", "behind"]) {
        machine.run(&env, &["emit", "--enqueue", "--batch", "-"]).stdin(batch(prefix, 20)).run().ok();
    }
    let drain = ["drain", "--concurrency", "4", "-o", "json"];
    let mut drains = vec![env.hookctl(drain).spawn()];
    receiver.wait_for(4, PATIENCE);
    // What the first holds, and what is due, is so for these too.
    drains.extend(machines.iter().map(|machine| machine.run(&env, &drain).spawn()));
    let reports: Vec<_> = drains.into_iter().map(|drain| drain.wait_timeout(PATIENCE).ok().json()).collect();
    let succeeded: u64 = reports.iter().map(|report| report["succeeded"].as_u64().unwrap()).sum();
    assert_eq!(succeeded, 40, "{reports:?}");
    let requests = requests_by_event(&receiver);
    assert_eq!((requests.len(), receiver.count()), (40, 40), "each is sent once: {requests:?}");
    assert_eq!(env.statuses(), "success 40");
    assert_whole(&env);
}

#[test]
fn times_are_the_servers_wherever_they_are_told() {
    needs_postgres!();
    for off in [HOUR, -HOUR] {
        let (env, receiver) = subscribed(&["--retry-delay", "60s"]);
        let machine = Machine::new(&env, off);
        receiver.now_answers(500);
        machine.run(&env, &["emit", "invoice.paid", "--data", "{}"]).run().ok();
        let request = receiver.requests().remove(0);
        assert!(off_by(signed_at(&request)) < NEAR, "{off} s: what is signed");
        let envelope: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
        let told = chrono::DateTime::parse_from_rfc3339(envelope["timestamp"].as_str().unwrap()).unwrap();
        assert!(off_by(told.timestamp()) < NEAR, "{off} s: the envelope's");
        for time in [
            "SELECT created_at / 1000 FROM events",
            "SELECT created_at / 1000 FROM deliveries",
            "SELECT due_at / 1000 FROM deliveries",
            "SELECT started_at / 1000 FROM attempts",
            "SELECT last_failure_at / 1000 FROM webhook_state",
        ] {
            assert!(off_by(count(&env, time) as i64) < NEAR, "{off} s: {time}");
        }
        // Its retry is due in a minute, for both.
        receiver.now_answers(200);
        for drain in [env.hookctl(["drain", "-o", "json"]), machine.run(&env, &["drain", "-o", "json"])] {
            assert_eq!(drain.run().ok().json()["claimed"], 0, "{off} s");
        }
        assert_eq!(receiver.count(), 1);
        assert_whole(&env);
    }
}

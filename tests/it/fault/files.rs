//! Too few open files: bounded while there are enough, and never the receiver's failure.

use std::fs;
use std::ops::Range;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{PATIENCE, assert_whole, batch, count, subscribe};
use crate::support::{Child, Reply, TestEnv, TestReceiver, wait_until};

/// The binary with these arguments, yet to be run under a limit that the shell's `ulimit` sets, such as `-n 18`.
fn limited(env: &TestEnv, limit: &str, args: &[&str]) -> Command {
    let mut command = Command::new("bash");
    command
        .args(["-c", "ulimit $1; shift; exec \"$@\"", "bash", limit, env!("CARGO_BIN_EXE_hookctl")])
        .args(args)
        .env_clear()
        .current_dir(env.path())
        .env("HOME", env.path())
        .env("HOOKCTL_DB", env.address())
        .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8")
        .stdout(Stdio::piped());
    command
}

/// Makes the webhooks of these numbers, each with an address policy of its own, and deletes all others.
fn have_webhooks(env: &TestEnv, receiver: &TestReceiver, numbers: Range<usize>) {
    let webhooks: Vec<String> = numbers
        .map(|number| {
            let url = receiver.url_at(&format!("/{number}"));
            let network = format!("10.0.{}.{}", number / 200, number % 200);
            format!("[[webhooks]]\nname = 'w{number}'\nurl = '{url}'\nevents = ['*']\nallow_networks = ['{network}']\n")
        })
        .collect();
    env.hookctl(["apply", "--prune", "--yes", "-"]).stdin(webhooks.concat()).run().ok();
}

fn emit(env: &TestEnv) {
    env.hookctl(["emit", "task.created", "--enqueue"]).run().ok();
}

fn open_files(process: &Child) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.id())).unwrap().count()
}

#[test]
fn four_hundred_webhooks_with_as_many_address_policies_are_delivered_by_one_drain_under_200_files() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    have_webhooks(&env, &receiver, 0..400);
    emit(&env);
    let drained = Child::start(limited(&env, "-n 200", &["drain", "-o", "json"]), Vec::new());
    let drained = drained.wait_timeout(PATIENCE).ok().json();
    assert_eq!((&drained["claimed"], &drained["succeeded"]), (&400.into(), &400.into()), "{drained}");
    assert_eq!(receiver.count(), 400);
    assert_whole(&env);
}

#[test]
fn a_watching_drain_keeps_its_open_files_few_while_webhooks_with_other_policies_come_and_go() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    have_webhooks(&env, &receiver, 0..1);
    let drain = env.hookctl(["drain", "--watch", "50ms"]).spawn();
    let mut most = 0;
    for round in 0..8 {
        have_webhooks(&env, &receiver, round * 20..(round + 1) * 20);
        emit(&env);
        receiver.wait_for((round + 1) * 20, PATIENCE);
        most = most.max(open_files(&drain));
    }
    // The database's, the standard ones and a few more, and one idle connection for each of 16 workers.
    assert!(most <= 40, "{most} open files");
    wait_until("few files are open while nothing is sent", || open_files(&drain) <= 12);
}

#[test]
fn a_drain_short_of_files_dead_letters_nothing_and_the_next_one_delivers_all() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(Reply::StatusAfter(Duration::from_millis(100), 200)));
    subscribe(&env, &receiver, &["a", "b", "c", "d"], &["--max-retries", "0"]);
    let lines = env.file("batch.jsonl", batch("e", 50)).display().to_string();
    env.hookctl(["emit", "--batch", &lines, "--enqueue"]).run().ok();
    // Far from what 16 requests at once need, so that a slow machine, where fewer are under way, runs short too.
    let run = Child::start(limited(&env, "-n 12", &["drain"]), Vec::new()).wait_timeout(PATIENCE).fails(1);
    assert!(run.err().contains("too many open files"), "{run:?}");
    assert!(run.err().contains("ulimit -n"), "{run:?}");
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status NOT IN ('pending', 'success')"), 0);
    assert_eq!(count(&env, "SELECT count(*) FROM attempts WHERE error_type IS NOT NULL"), 0);
    assert_whole(&env);
    env.hookctl(["drain"]).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE status = 'success'"), 200);
    assert_whole(&env);
}

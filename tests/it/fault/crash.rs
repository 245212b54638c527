//! kill -9 at any moment.

use std::thread::sleep;
use std::time::Duration;

use super::{Dice, PATIENCE, assert_whole, batch, count, moment, requests_by_event, scale, subscribe};
use crate::support::{Child, Reply, Run, Script, TestEnv, TestReceiver};

/// More than a lease of these webhooks lasts (a time-out of 1 s, and 20 s), and more than their delay before a retry.
const STEP: i64 = 120;
const LINES: usize = 100;

/// A world in which every process may be killed.
struct Field {
    env: TestEnv,
    receiver: TestReceiver,
    dice: Dice,
    kills: usize,
    /// Deliveries that were claimed when their process was killed.
    under_way: usize,
    /// By how much the moments of the kills are stretched: on a busy machine a process gets less done within them.
    stretch: u32,
    /// When the next run is, in seconds; leases of earlier runs are then over.
    clock: i64,
}

impl Field {
    fn new() -> Field {
        // One first attempt in twenty fails, so that retries are in the picture too.
        let receiver = TestReceiver::start(Script::each(|request| {
            let delivery: usize = request.header("x-webhook-delivery").unwrap().parse().unwrap();
            let is_bad = delivery.is_multiple_of(20) && request.header("x-webhook-attempt") == Some("1");
            Reply::StatusAfter(Duration::from_millis(2), if is_bad { 500 } else { 200 })
        }));
        let env = TestEnv::new();
        subscribe(&env, &receiver, &["left", "right"], &["--timeout", "1s", "--retry-delay", "60s"]);
        // A process that connects to a server gets less done.
        let stretch = if env.is_on_server() { 6 } else { 1 };
        Field { env, receiver, dice: Dice::new(), kills: 0, under_way: 0, stretch, clock: 0 }
    }

    /// Starts a run at a moment at which every earlier lease is over.
    fn start(&mut self, args: &[&str]) -> Child {
        self.clock += STEP;
        self.env.hookctl(args.iter().copied()).now(&moment(self.clock)).spawn()
    }

    /// Runs it and kills it within that time. Whether it had ended well by itself.
    fn run_and_kill(&mut self, args: &[&str], within: Duration) -> bool {
        let child = self.start(args);
        sleep(self.dice.up_to(within * self.stretch));
        let run: Run = child.kill();
        if run.signal == Some(9) {
            self.kills += 1;
            if self.kills.is_multiple_of(20) && self.under_way == 0 {
                self.stretch *= 2;
            }
            self.under_way += count(
                &self.env,
                "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL AND due_at IS NOT NULL",
            ) - self.expired();
            return false;
        }
        run.ok();
        true
    }

    /// Claims that an earlier kill left behind.
    fn expired(&self) -> usize {
        let now = 1_893_456_000_000 + self.clock * 1_000;
        count(&self.env, &format!("SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL AND due_at <= {now}"))
    }
}

#[test]
fn killed_at_random_moments_it_loses_nothing_and_repeats_only_what_was_under_way() {
    let mut field = Field::new();
    let (least_batches, singles, kills) = (14 * scale(), 100 * scale(), 60 * scale());
    let mut open_files: Vec<String> = Vec::new();
    let mut made = 0;
    let mut open_singles: Vec<String> = (1..=singles).map(|number| format!("s-{number}")).collect();
    // Whoever gets no answer says it again, with the same event id.
    while field.kills < kills || made < least_batches || !open_files.is_empty() || !open_singles.is_empty() {
        let is_over = field.kills >= kills;
        if open_files.is_empty() && (made < least_batches || !is_over) {
            let name = format!("batch-{made}.jsonl");
            open_files.push(field.env.file(&name, batch(&format!("b{made}"), LINES)).display().to_string());
            made += 1;
        }
        match field.dice.below(4) {
            0 if !open_files.is_empty() => {
                let at = field.dice.below(open_files.len() as u64) as usize;
                let file = open_files[at].clone();
                if is_over {
                    field.start(&["emit", "--batch", &file]).wait_timeout(PATIENCE).ok();
                    open_files.swap_remove(at);
                } else if field.run_and_kill(&["emit", "--batch", &file], Duration::from_millis(120)) {
                    open_files.swap_remove(at);
                }
            }
            1 | 2 if !open_singles.is_empty() => {
                for _ in 0..4 {
                    let Some(id) = open_singles.pop() else { break };
                    let args = ["emit", "invoice.paid", "--event-id", &id, "--data", "{}"];
                    if is_over {
                        field.start(&args).wait_timeout(PATIENCE).ok();
                    } else if !field.run_and_kill(&args, Duration::from_millis(30)) {
                        open_singles.push(id);
                    }
                }
            }
            _ if !is_over => drop(field.run_and_kill(&["drain"], Duration::from_millis(60))),
            _ => {}
        }
    }
    // A drain takes up what the killed ones left, then the retries, and then there is nothing.
    for _ in 0..3 {
        field.start(&["drain"]).wait_timeout(PATIENCE).ok();
    }
    let env = &field.env;
    assert_whole(env);
    field.env.hookctl(["db", "check"]).now(&moment(field.clock)).run().ok();
    let deliveries = 2 * (made * LINES + singles);
    assert_eq!(count(env, "SELECT count(*) FROM deliveries"), deliveries);
    assert_eq!(
        count(env, "SELECT count(*) FROM deliveries WHERE status = 'success' AND claim_token IS NULL"),
        deliveries
    );
    assert_eq!(requests_by_event(&field.receiver).len(), deliveries, "each event went to each webhook");
    let recorded = count(env, "SELECT count(*) FROM attempts");
    let sent = field.receiver.count();
    assert!(sent >= recorded, "{recorded} attempts in the log, {sent} requests at the receiver");
    let repeated = sent - recorded;
    assert!(repeated <= field.under_way, "{repeated} repeated, {} were under way at the kills", field.under_way);
    assert!(field.kills >= kills && field.under_way > 0, "{} kills, {} under way", field.kills, field.under_way);

    // The log is pruned, too, by processes that die of it.
    field.clock += 2 * 86_400;
    for _ in 0..12 * scale() {
        field.run_and_kill(&["delivery", "prune", "--older-than", "1d", "--yes"], Duration::from_millis(80));
        assert_whole(&field.env);
    }
    field.start(&["delivery", "prune", "--older-than", "1d", "--yes"]).wait_timeout(PATIENCE).ok();
    assert_whole(&field.env);
    assert_eq!(count(&field.env, "SELECT count(*) FROM deliveries"), 0);
    assert_eq!(count(&field.env, "SELECT count(*) FROM events WHERE payload IS NOT NULL"), 0, "their ids stay");
    let list = field.env.hookctl(["webhook", "list", "-o", "json"]).run().ok().json();
    let counted = list.as_array().unwrap().iter().map(|webhook| webhook["successful_deliveries"].as_u64().unwrap());
    assert_eq!(counted.sum::<u64>() as usize, deliveries, "the counters outlive the log");
}

#[test]
fn killed_between_the_answer_and_its_record_it_sends_again_once_the_lease_is_over_with_the_same_id() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::WhenReleased(200));
    subscribe(&env, &receiver, &["left"], &["--timeout", "30s"]);
    let file = env.file("batch.jsonl", batch("e", 4));
    env.hookctl(["emit", "--enqueue", "--batch"]).arg(file).now(&moment(0)).run().ok();
    let drain = env.hookctl(["drain"]).now(&moment(0)).spawn();
    receiver.wait_for(4, PATIENCE);
    // Whoever holds the write lock keeps the answers, which come now, out of the log.
    let lock = env.lock();
    receiver.release();
    sleep(Duration::from_millis(400));
    drain.kill();
    lock.roll_back();
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 0);
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"), 4);
    let too_early = env.hookctl(["drain", "-o", "json"]).now(&moment(49)).run().ok().json();
    assert_eq!((&too_early["claimed"], &too_early["remaining_due"]), (&0.into(), &0.into()), "the lease holds");
    let after = env.hookctl(["drain", "-o", "json"]).now(&moment(51)).run().ok().json();
    assert_eq!((&after["claimed"], &after["succeeded"]), (&4.into(), &4.into()));
    assert!(requests_by_event(&receiver).values().all(|requests| *requests == 2));
    let is_first = |request: &crate::support::Recorded| request.header("x-webhook-attempt") == Some("1");
    assert!(receiver.requests().iter().all(is_first), "an attempt that is not in the log has not used its number");
    assert_whole(&env);
}

#[test]
fn a_check_with_fix_leaves_a_delivery_that_was_cancelled_during_its_attempt_to_the_attempt() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::StatusAfter(Duration::from_secs(2), 200));
    subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
    let emit = env.hookctl(["emit", "invoice.paid", "--event-id", "e"]).spawn();
    receiver.wait_for(1, PATIENCE);
    env.hookctl(["delivery", "cancel", "1"]).run().ok();
    env.hookctl(["db", "check", "--fix"]).run().ok();
    emit.wait_timeout(PATIENCE).ok();
    assert_eq!(env.sql("SELECT status, attempt_count FROM deliveries"), [["success", "1"]], "the answer is recorded");
    assert_whole(&env);
}

/// Delivery 1, whose request is under way: the receiver does not answer it. Its lease ends at second 80.
fn under_way() -> (TestEnv, TestReceiver, Child) {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(Reply::Stall);
    subscribe(&env, &receiver, &["crm"], &["--timeout", "60s"]);
    let emit = env.hookctl(["emit", "invoice.paid", "--event-id", "e"]).now(&moment(0)).spawn();
    receiver.wait_for(1, PATIENCE);
    receiver.now_answers(200);
    (env, receiver, emit)
}

#[test]
fn cancelled_during_its_attempt_and_then_killed_it_leaves_a_database_that_checks_clean() {
    let (env, receiver, emit) = under_way();
    env.hookctl(["delivery", "cancel", "1"]).now(&moment(1)).run().ok();
    emit.kill();
    env.hookctl(["db", "check"]).now(&moment(2)).run().ok();
    let early = env.hookctl(["delivery", "retry", "1"]).now(&moment(79)).run().ok();
    assert!(early.err().contains("1 was cancelled during an attempt"), "{early:?}");
    env.hookctl(["db", "check"]).now(&moment(79)).run().ok();
    assert_eq!((receiver.count(), env.sql("SELECT status FROM deliveries")), (1, vec![vec!["pending".to_owned()]]));
    env.hookctl(["drain"]).now(&moment(81)).run().ok();
    env.hookctl(["db", "check"]).now(&moment(81)).run().ok();
    assert_eq!(env.sql("SELECT status, attempt_count, claim_token FROM deliveries"), [["success", "1", "NULL"]]);
    assert_whole(&env);

    let (env, receiver, emit) = under_way();
    env.hookctl(["delivery", "cancel", "1"]).now(&moment(1)).run().ok();
    emit.kill();
    env.hookctl(["delivery", "retry", "1"]).now(&moment(81)).run().ok();
    assert_eq!((receiver.count(), env.sql("SELECT status FROM deliveries")), (2, vec![vec!["success".to_owned()]]));
}

#[test]
fn cancelled_during_its_attempt_and_retried_it_is_not_sent_beside_the_request_under_way() {
    let (env, receiver, emit) = under_way();
    env.hookctl(["delivery", "cancel", "1"]).now(&moment(1)).run().ok();
    let retried = env.hookctl(["delivery", "retry", "1", "-o", "json"]).now(&moment(2)).run().ok();
    assert_eq!((&retried.json()["retried"], &retried.json()["busy"]), (&0.into(), &1.into()));
    for again in [&["delivery", "retry", "1"][..], &["drain", "--all"], &["event", "resend", "e", "-w", "crm"]] {
        env.hookctl(again).now(&moment(3)).run().ok();
    }
    assert_eq!(receiver.count(), 1, "nothing is sent while the first request is under way");
    // Cut off, it costs no retry and is due at once: it was asked for.
    emit.signal("TERM");
    emit.wait_timeout(PATIENCE).fails(143);
    assert_eq!(env.sql("SELECT status, attempt_count FROM deliveries"), [["retrying", "1"]]);
    env.hookctl(["drain"]).now(&moment(4)).run().ok();
    assert_eq!(env.sql("SELECT status, attempt_count FROM deliveries"), [["success", "2"]]);
    assert_eq!(receiver.count(), 2);
    assert_whole(&env);
}

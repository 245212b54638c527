//! Which job a worker begins next.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::{answered, claimed, job, prepared, stored, timed_out};
use crate::delivery::fairness::WorkerShares;
use crate::delivery::job::{Ending, Job};
use crate::delivery::prepared::Prepared;
use crate::delivery::send_queue::SendQueue;
use crate::store::Store;

/// A queue for so many workers, and two webhooks.
fn queue(workers: usize) -> (SendQueue, Arc<Prepared>, Arc<Prepared>) {
    queue_with(workers, None)
}

/// The same, where each webhook has that `--concurrency`.
fn queue_with(workers: usize, concurrency: Option<u32>) -> (SendQueue, Arc<Prepared>, Arc<Prepared>) {
    let store = Store::empty().unwrap();
    let webhook = |name| prepared(&store, stored(&store, name, |settings| settings.concurrency = concurrency));
    (SendQueue::new(WorkerShares::new(workers)), webhook("one"), webhook("two"))
}

fn jobs(webhook: &Arc<Prepared>, ids: std::ops::Range<i64>) -> Vec<Job> {
    ids.map(|id| job(claimed(id, webhook.webhook_id), webhook)).collect()
}

/// Begins all that may begin now.
fn begin(queue: &SendQueue) -> Vec<Job> {
    std::iter::from_fn(|| queue.try_take()).collect()
}

fn ids(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.claimed.id).collect()
}

fn answer(queue: &SendQueue, job: &Job) {
    assert!(queue.done(job, &Ending::Attempted(answered(job, 200))));
}

#[test]
fn webhooks_take_turns() {
    let (queue, one, two) = queue(64);
    queue.push(jobs(&one, 1..4));
    queue.push(jobs(&two, 11..13));
    queue.set_shared(true);
    assert_eq!(ids(&begin(&queue)), [1, 11, 2, 12, 3]);
    assert_eq!((queue.queued(), queue.running()), (0, 5));
}

#[test]
fn two_webhooks_that_answer_leave_a_quarter_of_the_workers_and_a_third_gets_it() {
    let (queue, one, two) = queue(16);
    queue.push(jobs(&one, 1..30));
    queue.push(jobs(&two, 101..130));
    queue.set_shared(true);
    let silent = begin(&queue);
    assert_eq!(silent.len(), 4, "an eighth each, until they answer");
    silent.iter().for_each(|job| answer(&queue, job));
    assert_eq!(begin(&queue).len(), 12);
    let store = Store::empty().unwrap();
    for name in ["a", "b"] {
        stored(&store, name, |_| ());
    }
    let third = prepared(&store, stored(&store, "third", |_| ()));
    queue.push(jobs(&third, 1_001..1_010));
    assert_eq!(ids(&begin(&queue)), [1_001]);
}

#[test]
fn alone_a_webhook_takes_every_worker_and_a_time_out_costs_it_its_share_beside_others() {
    let (queue, one, _) = queue(16);
    queue.push(jobs(&one, 1..40));
    let running = begin(&queue);
    assert_eq!(running.len(), 16);
    queue.set_shared(true);
    for job in &running {
        queue.done(job, &Ending::Attempted(timed_out(job)));
    }
    assert_eq!(begin(&queue).len(), 2);
}

#[test]
fn what_is_taken_back_is_not_sent_and_what_runs_goes_on() {
    let (queue, one, two) = queue(1);
    queue.push(jobs(&one, 1..4));
    queue.push(jobs(&two, 11..13));
    let running = vec![queue.try_take().unwrap()];
    assert_eq!(ids(&running), [1]);
    assert_eq!(ids(&queue.take_back(Some(one.webhook_id))), [2, 3]);
    assert_eq!((queue.queued(), queue.running()), (2, 1));
    answer(&queue, &running[0]);
    assert_eq!(queue.try_take().unwrap().claimed.id, 11);
    assert_eq!(ids(&queue.take_back(None)), [12]);
    assert_eq!((queue.queued(), queue.running()), (0, 1));
}

#[test]
fn a_job_that_was_abandoned_brings_nothing_any_more() {
    let (queue, one, _) = queue(1);
    queue.push(jobs(&one, 1..2));
    let running = begin(&queue);
    let abandoned = queue.abandon_running();
    assert_eq!(abandoned.len(), 1);
    assert!(abandoned[0].1.elapsed() < Duration::from_secs(60));
    assert!(!queue.done(&running[0], &Ending::Unsent));
}

#[test]
fn a_closed_queue_ends_the_workers_once_it_is_empty() {
    let (queue, one, _) = queue(4);
    queue.push(jobs(&one, 1..3));
    queue.close();
    assert_eq!(
        [queue.take(), queue.take(), queue.take()].map(|job| job.map(|job| job.claimed.id)),
        [Some(1), Some(2), None]
    );
}

/// What a worker gets that was waiting as `then` happened.
fn woken_by(queue: &SendQueue, then: impl FnOnce()) -> Option<i64> {
    thread::scope(|scope| {
        let worker = scope.spawn(|| queue.take().map(|job| job.claimed.id));
        wait_for_idle(queue, 1);
        then();
        worker.join().unwrap()
    })
}

fn wait_for_idle(queue: &SendQueue, workers: usize) {
    while queue.idle() < workers {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn workers_that_wait_are_woken_by_what_they_wait_for() {
    let (queue, one, _) = queue(16);
    assert_eq!(woken_by(&queue, || queue.push(jobs(&one, 1..2))), Some(1));
    queue.set_shared(true);
    queue.push(jobs(&one, 2..4));
    let second = begin(&queue).remove(0);
    assert_eq!(second.claimed.id, 2, "two of them, an eighth, until the receiver is heard");
    assert_eq!(woken_by(&queue, || answer(&queue, &second)), Some(3), "it answered, and may hold more");
    assert_eq!(woken_by(&queue, || queue.close()), None);
    assert_eq!(queue.idle(), 0);
}

#[test]
fn a_webhook_that_is_alone_again_gets_the_workers_that_wait() {
    let (queue, one, _) = queue(16);
    queue.set_shared(true);
    queue.push(jobs(&one, 1..4));
    assert_eq!(begin(&queue).len(), 2);
    assert_eq!(woken_by(&queue, || queue.set_shared(false)), Some(3));
    assert_eq!(woken_by(&queue, || queue.close()), None);
}

#[test]
fn as_many_workers_are_woken_as_there_are_jobs() {
    let (queue, one, _) = queue(4);
    let mut taken: Vec<Option<i64>> = thread::scope(|scope| {
        let workers = [(); 3].map(|()| scope.spawn(|| queue.take().map(|job| job.claimed.id)));
        wait_for_idle(&queue, 3);
        queue.push(jobs(&one, 1..3));
        queue.push(jobs(&one, 3..4));
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    taken.sort_unstable();
    assert_eq!(taken, [Some(1), Some(2), Some(3)]);
}

#[test]
fn a_webhook_never_runs_more_than_its_concurrency_whatever_else_ends_or_is_taken_back() {
    let (queue, one, two) = queue_with(8, Some(2));
    queue.push(jobs(&one, 1..4));
    let running = begin(&queue);
    assert_eq!(ids(&running), [1, 2]);
    assert_eq!(ids(&queue.take_back(Some(one.webhook_id))), [3]);
    queue.push(jobs(&one, 4..6));
    queue.push(jobs(&two, 11..12));
    assert_eq!(ids(&begin(&queue)), [11], "two are under way");
    answer(&queue, &running[0]);
    let fourth = begin(&queue);
    assert_eq!(ids(&fourth), [4]);
    answer(&queue, &running[1]);
    assert_eq!(ids(&begin(&queue)), [5]);
    answer(&queue, &fourth[0]);
    queue.push(jobs(&one, 6..8));
    assert_eq!(ids(&begin(&queue)), [6], "5 is under way");
}

#[test]
fn after_all_was_taken_back_each_webhook_has_one_turn_as_before() {
    let (queue, one, two) = queue(64);
    queue.push(jobs(&one, 1..4));
    assert_eq!(ids(&queue.take_back(None)), [1, 2, 3]);
    queue.push(jobs(&one, 4..7));
    queue.push(jobs(&two, 11..13));
    assert_eq!(ids(&begin(&queue)), [4, 11, 5, 12, 6]);
}

#[test]
fn what_was_not_sent_says_nothing_about_the_receiver() {
    let (queue, one, _) = queue(16);
    queue.push(jobs(&one, 1..9));
    queue.set_shared(true);
    for job in begin(&queue) {
        assert!(queue.done(&job, &Ending::Unsent));
    }
    assert_eq!(begin(&queue).len(), 2, "an eighth, as before");
}

#[test]
fn a_receiver_that_answered_and_then_times_out_falls_back_to_an_eighth() {
    let (queue, one, _) = queue(16);
    queue.push(jobs(&one, 1..40));
    queue.set_shared(true);
    begin(&queue).iter().for_each(|job| answer(&queue, job));
    let running = begin(&queue);
    assert_eq!(running.len(), 8, "its receiver answers");
    for job in &running {
        queue.done(job, &Ending::Attempted(timed_out(job)));
    }
    assert_eq!(begin(&queue).len(), 2);
}

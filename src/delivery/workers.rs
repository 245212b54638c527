//! Worker threads: they send the jobs of the queue and return the results.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::fairness::WorkerShares;
use super::job::{EndedJob, Ending, Job};
use super::prepared::{NotSent, failed};
use super::send_queue::SendQueue;
use crate::clock::Clock;
use crate::domain::attempt::{Attempt, ErrorType, LocalTrouble};

/// The most results recorded in one transaction.
const LARGEST_GROUP: usize = 256;
/// How long to wait for more results while all workers are busy, so that many are recorded together.
const GROUP_LINGER: Duration = Duration::from_millis(1);
/// The most time spent waiting for a group to grow.
const LONGEST_LINGER: Duration = Duration::from_millis(5);
/// Stack of a worker thread, in bytes; only what is used takes memory.
const WORKER_STACK: usize = 1024 * 1024;
const SPARE_STACK: usize = 64 * 1024;

/// The worker threads of a run, started as needed.
#[derive(Debug)]
pub(super) struct Workers {
    queue: Arc<SendQueue>,
    results: Receiver<EndedJob>,
    sender: Sender<EndedJob>,
    shares: WorkerShares,
    started: usize,
    clock: Clock,
}

impl Workers {
    pub(super) fn new(shares: WorkerShares, clock: Clock) -> Workers {
        let (sender, results) = channel();
        Workers { queue: Arc::new(SendQueue::new(shares)), results, sender, shares, started: 0, clock }
    }

    /// Queues jobs, and starts workers for `in_flight` jobs. If no more threads can be started, the running workers do all
    /// the work, and one thread is left free for resolving names. An error means that there is no worker at all.
    pub(super) fn hand_out(&mut self, jobs: Vec<Job>, in_flight: usize) -> Result<(), LocalTrouble> {
        if jobs.is_empty() {
            return Ok(());
        }
        self.queue.push(jobs);
        let mut spare = None;
        while self.started < in_flight.min(self.shares.workers()) {
            if self.started > 0 && spare.is_none() {
                let Ok(held) = SpareThread::hold() else { return Ok(()) };
                spare = Some(held);
            }
            let (queue, results, clock) = (Arc::clone(&self.queue), self.sender.clone(), self.clock);
            let attempt = move |job: &Job| job.webhook.attempt(&job.claimed, &job.payload, clock);
            let worker = thread::Builder::new().stack_size(WORKER_STACK);
            let worker = worker.spawn(move || work(&queue, &results, clock, attempt));
            match worker {
                Ok(_) => self.started += 1,
                Err(_) if self.started > 0 => return Ok(()),
                Err(error) => return Err(LocalTrouble(format!("cannot start a thread: {error}"))),
            }
        }
        Ok(())
    }

    /// Results to record together: waits up to `patience` for the first. While the workers are busy, the group may grow to
    /// one and a half times the last one.
    pub(super) fn gather(&self, patience: Duration, last_group: usize) -> Vec<EndedJob> {
        let Some(first) = self.wait(patience) else { return Vec::new() };
        let mut group = vec![first];
        let end = Instant::now() + LONGEST_LINGER;
        let enough = (last_group * 3 / 2 + self.started).min(LARGEST_GROUP);
        group.extend(self.results.try_iter().take(LARGEST_GROUP - 1));
        while group.len() < enough && self.queue.queued() > group.len().max(self.started) && Instant::now() < end {
            thread::sleep(GROUP_LINGER);
            let before = group.len();
            group.extend(self.results.try_iter().take(LARGEST_GROUP - before));
            if group.len() - before < self.started / 2 {
                break; // the receiver is slow
            }
        }
        group
    }

    /// The next result; `None` if none came within `patience`.
    pub(super) fn wait(&self, patience: Duration) -> Option<EndedJob> {
        self.results.recv_timeout(patience).ok()
    }

    pub(super) fn set_shared(&self, is_shared: bool) {
        self.queue.set_shared(is_shared);
    }

    /// Removes and returns the jobs that no worker has begun, of one webhook or of all.
    pub(super) fn take_back(&self, webhook_id: Option<i64>) -> Vec<EndedJob> {
        self.queue.take_back(webhook_id).into_iter().map(EndedJob::unsent).collect()
    }

    /// How many jobs no worker has begun.
    pub(super) fn queued(&self) -> usize {
        self.queue.queued()
    }

    pub(super) fn running(&self) -> usize {
        self.queue.running()
    }

    /// Gives up the running jobs and returns them with their start times. Their results are dropped.
    pub(super) fn abandon_running(&self) -> Vec<(Job, Instant)> {
        self.queue.abandon_running()
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        // After an error nothing more is sent, as results could not be recorded.
        self.queue.take_back(None);
        self.queue.close();
    }
}

/// An idle thread. It exists while workers are started, so that they do not take the last thread of this user.
struct SpareThread {
    thread: Option<JoinHandle<()>>,
}

impl SpareThread {
    fn hold() -> io::Result<SpareThread> {
        let thread = thread::Builder::new().stack_size(SPARE_STACK).spawn(thread::park)?;
        Ok(SpareThread { thread: Some(thread) })
    }
}

impl Drop for SpareThread {
    fn drop(&mut self) {
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// The loop of a worker thread, until the queue is closed and empty. A panic costs the attempt, not the thread.
pub(super) fn work(
    queue: &SendQueue,
    results: &Sender<EndedJob>,
    clock: Clock,
    attempt: impl Fn(&Job) -> Result<Attempt, NotSent>,
) {
    while let Some(job) = queue.take() {
        let ending = if Instant::now() > job.start_before {
            Ending::Unsent
        } else {
            match catch_unwind(AssertUnwindSafe(|| attempt(&job))) {
                Ok(Ok(attempt)) => Ending::Attempted(attempt),
                Ok(Err(reason)) => reason.into(),
                Err(_) => Ending::Attempted(broken(&job, clock)),
            }
        };
        if queue.done(&job, &ending) && results.send(EndedJob { job, ending }).is_err() {
            return; // the engine is gone
        }
    }
}

/// The attempt to record when a worker panicked.
fn broken(job: &Job, clock: Clock) -> Attempt {
    let now = clock.now();
    Attempt {
        number: job.claimed.attempt_number,
        trigger: job.claimed.trigger,
        started_at: now,
        completed_at: now,
        duration_ms: 0,
        outcome: failed(
            ErrorType::UnknownError,
            "hookctl failed in the middle of the attempt; this is a bug".to_owned(),
        ),
    }
}

//! What is claimed and waits for a worker: a lane for each webhook, so that none takes more workers than it may.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::prepared::Prepared;
use crate::store::{Claimed, Payload};

/// One claimed delivery with all that sending it needs.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// The claim.
    pub claimed: Claimed,
    /// What it sends; shared by the deliveries of one event.
    pub payload: Arc<Payload>,
    /// Its webhook.
    pub webhook: Arc<Prepared>,
    /// It must not begin after this, or its lease could run out under way.
    pub start_before: Instant,
    /// It is the one request by which an open breaker sees whether the receiver is back.
    pub is_probe: bool,
}

/// How many workers a webhook may hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct LaneLimits {
    /// While no other webhook has anything to do.
    pub alone: usize,
    /// While others have.
    pub shared: usize,
}

/// The queue between the coordinator, who claims, and the workers, who send.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lanes: HashMap<i64, Lane>,
    /// The webhooks whose lanes have jobs, in the order in which they take turns.
    turns: VecDeque<i64>,
    running: HashMap<i64, (Job, Instant)>,
    queued: usize,
    /// Workers that wait for a job.
    idle: usize,
    /// Whether more than one webhook has deliveries due.
    is_shared: bool,
    is_closed: bool,
}

#[derive(Debug)]
struct Lane {
    jobs: VecDeque<Job>,
    running: usize,
    limits: LaneLimits,
}

impl Queue {
    /// Adds jobs; `is_shared` says whether more than one webhook has deliveries due.
    pub(super) fn push(&self, jobs: Vec<(Job, LaneLimits)>, is_shared: bool) {
        self.share(is_shared);
        let mut state = self.lock();
        state.queued += jobs.len();
        let wanted = jobs.len();
        for (job, limits) in jobs {
            let id = job.webhook.webhook_id;
            let lane = state.lanes.entry(id).or_insert(Lane { jobs: VecDeque::new(), running: 0, limits });
            lane.limits = limits;
            lane.jobs.push_back(job);
            if lane.jobs.len() == 1 {
                state.turns.push_back(id);
            }
        }
        let woken = wanted.min(state.idle);
        drop(state);
        for _ in 0..woken {
            self.work.notify_one();
        }
    }

    /// The next job for a worker; waits for one. `None` when the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
                state.running.insert(job.claimed.id, (job.clone(), Instant::now()));
                return Some(job);
            }
            if state.is_closed && state.queued == 0 {
                return None;
            }
            state.idle += 1;
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    /// A worker is done with a job; its place goes to the next. False when the job was taken from it meanwhile.
    pub(super) fn done(&self, job: &Job) -> bool {
        let mut state = self.lock();
        let was_running = state.running.remove(&job.claimed.id).is_some();
        let id = job.webhook.webhook_id;
        if let Some(lane) = state.lanes.get_mut(&id) {
            lane.running -= 1;
            if lane.running == 0 && lane.jobs.is_empty() {
                state.lanes.remove(&id);
            }
        }
        was_running
    }

    /// How many jobs wait, and how many run.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.queued, state.running.len())
    }

    /// Says whether more than one webhook has deliveries due: places that one had to leave to others are free again
    /// when the others are done.
    pub(super) fn share(&self, is_shared: bool) {
        let mut state = self.lock();
        if state.is_shared != is_shared {
            state.is_shared = is_shared;
            drop(state);
            self.work.notify_all();
        }
    }

    /// Takes back every job that no worker has begun; of all webhooks, or of one.
    pub(super) fn take_back(&self, webhook_id: Option<i64>) -> Vec<Job> {
        let mut state = self.lock();
        let mut back = Vec::new();
        for (id, lane) in &mut state.lanes {
            if webhook_id.is_none_or(|wanted| wanted == *id) {
                back.extend(lane.jobs.drain(..));
            }
        }
        state.queued -= back.len();
        state.turns.retain(|id| webhook_id.is_some_and(|wanted| wanted != *id));
        state.lanes.retain(|_, lane| lane.running > 0 || !lane.jobs.is_empty());
        back
    }

    /// Takes the jobs that run from their workers, with when they began: what the workers bring now comes too late.
    pub(super) fn abandon_running(&self) -> Vec<(Job, Instant)> {
        self.lock().running.drain().map(|(_, running)| running).collect()
    }

    /// Nothing more will come: workers end when it is empty.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole between any two statements; a worker that panicked has not broken it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The next job whose webhook may have one more worker; webhooks take turns.
    fn next(&mut self) -> Option<Job> {
        for _ in 0..self.turns.len() {
            let id = self.turns.pop_front()?;
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let limit = if self.is_shared { lane.limits.shared } else { lane.limits.alone };
            let job = if lane.running < limit { lane.jobs.pop_front() } else { None };
            if !lane.jobs.is_empty() {
                self.turns.push_back(id);
            }
            if let Some(job) = job {
                lane.running += 1;
                self.queued -= 1;
                return Some(job);
            }
        }
        None
    }
}

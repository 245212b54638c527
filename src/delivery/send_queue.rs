//! Claimed deliveries that wait for a worker: a queue (lane) for each webhook, served in turn.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::fairness::{Demand, WorkerShares};
use super::job::{Ending, Job};
use crate::domain::attempt::ErrorType;

/// The queue between the coordinator, which claims, and the workers, which send.
#[derive(Debug)]
pub(super) struct SendQueue {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug)]
struct State {
    shares: WorkerShares,
    lanes: HashMap<i64, SendLane>,
    /// The webhooks that have jobs queued, in the order in which they are served.
    turns: VecDeque<i64>,
    running: HashMap<i64, (Job, Instant)>,
    queued: usize,
    /// Workers that wait for a job.
    idle: usize,
    /// Whether several webhooks have deliveries due.
    is_shared: bool,
    /// The webhooks whose last attempt in this run did not time out.
    prompt: HashSet<i64>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct SendLane {
    jobs: VecDeque<Job>,
    running: usize,
}

impl SendQueue {
    pub(super) fn new(shares: WorkerShares) -> SendQueue {
        let state = State {
            shares,
            lanes: HashMap::new(),
            turns: VecDeque::new(),
            running: HashMap::new(),
            queued: 0,
            idle: 0,
            is_shared: false,
            prompt: HashSet::new(),
            is_closed: false,
        };
        SendQueue { state: Mutex::new(state), work: Condvar::new() }
    }

    pub(super) fn push(&self, jobs: Vec<Job>) {
        let mut state = self.lock();
        state.queued += jobs.len();
        let woken = jobs.len().min(state.idle);
        for job in jobs {
            let id = job.claimed.webhook_id;
            let lane = state.lanes.entry(id).or_default();
            lane.jobs.push_back(job);
            if lane.jobs.len() == 1 {
                state.turns.push_back(id);
            }
        }
        drop(state);
        for _ in 0..woken {
            self.work.notify_one();
        }
    }

    /// Waits for the next job that may begin; `None` once the queue is closed and empty.
    pub(super) fn take(&self) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.next() {
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

    /// The next job, if one may begin now.
    #[cfg(test)]
    pub(super) fn try_take(&self) -> Option<Job> {
        self.lock().next()
    }

    /// How many workers wait for a job.
    #[cfg(test)]
    pub(super) fn idle(&self) -> usize {
        self.lock().idle
    }

    /// Notes that a worker has finished a job. False if the job was abandoned meanwhile: its result is dropped.
    pub(super) fn done(&self, job: &Job, ending: &Ending) -> bool {
        let mut state = self.lock();
        let was_running = state.running.remove(&job.claimed.id).is_some();
        let id = job.claimed.webhook_id;
        if let Ending::Attempted(attempt) = ending {
            let error_type = attempt.outcome.error.as_ref().map(|error| error.error_type);
            if error_type == Some(ErrorType::Timeout) {
                state.prompt.remove(&id);
            } else if state.prompt.insert(id) && state.has_jobs(id) {
                self.work.notify_all(); // it may hold more workers now
            }
        }
        if let Some(lane) = state.lanes.get_mut(&id) {
            lane.running -= 1;
            if lane.running == 0 && lane.jobs.is_empty() {
                state.lanes.remove(&id);
            }
        }
        was_running
    }

    pub(super) fn queued(&self) -> usize {
        self.lock().queued
    }

    /// How many jobs workers are busy with.
    pub(super) fn running(&self) -> usize {
        self.lock().running.len()
    }

    /// Sets whether several webhooks have deliveries due, which limits the share of each.
    pub(super) fn set_shared(&self, is_shared: bool) {
        let mut state = self.lock();
        if state.is_shared != is_shared {
            state.is_shared = is_shared;
            drop(state);
            self.work.notify_all();
        }
    }

    /// Removes and returns all jobs that no worker has begun, of one webhook or of all.
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

    /// Gives up the running jobs and returns them with their start times. [`SendQueue::done`] returns false for them.
    pub(super) fn abandon_running(&self) -> Vec<(Job, Instant)> {
        self.lock().running.drain().map(|(_, running)| running).collect()
    }

    /// Closes the queue: workers end once it is empty.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.work.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements, so a worker that panicked has not damaged it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_jobs(&self, webhook_id: i64) -> bool {
        self.lanes.get(&webhook_id).is_some_and(|lane| !lane.jobs.is_empty())
    }

    /// Begins the next job whose webhook may have one more worker. Webhooks are served in turn.
    fn next(&mut self) -> Option<Job> {
        let held = self.running.len();
        for _ in 0..self.turns.len() {
            let id = self.turns.pop_front()?;
            let is_prompt = self.prompt.contains(&id);
            let Some(lane) = self.lanes.get_mut(&id) else { continue };
            let Some(first) = lane.jobs.front() else { continue };
            let concurrency = first.webhook.settings.concurrency;
            let demand = Demand { concurrency, holds: lane.running, is_prompt };
            let job = match self.shares.may_start(demand, held, self.is_shared) {
                true => lane.jobs.pop_front(),
                false => None,
            };
            if !lane.jobs.is_empty() {
                self.turns.push_back(id);
            }
            if let Some(job) = job {
                lane.running += 1;
                self.queued -= 1;
                self.running.insert(job.claimed.id, (job.clone(), Instant::now()));
                return Some(job);
            }
        }
        None
    }
}

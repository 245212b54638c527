//! What is claimed and waits for a worker: a lane for each webhook, so that none takes more workers than it may.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::prepared::Prepared;
use super::record::Ending;
use crate::domain::attempt::ErrorType;
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
    /// While others have, and answer.
    pub shared: usize,
    /// While others have, but it is the only one whose receiver answers.
    pub unopposed: usize,
    /// While others have, and its own receiver has not answered yet, or no more.
    pub unheard: usize,
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
    /// The webhooks whose last attempt of this run ended before its deadline.
    prompt: HashSet<i64>,
    /// The one prompt webhook among those that have deliveries due.
    only_prompt: Option<i64>,
    is_closed: bool,
}

#[derive(Debug)]
struct Lane {
    jobs: VecDeque<Job>,
    running: usize,
    limits: LaneLimits,
}

impl Queue {
    /// Adds jobs; `busy` are the webhooks that have deliveries due.
    pub(super) fn push(&self, jobs: Vec<(Job, LaneLimits)>, busy: &HashSet<i64>) {
        self.share(busy);
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
    pub(super) fn done(&self, job: &Job, ending: &Ending) -> bool {
        let mut state = self.lock();
        let was_running = state.running.remove(&job.claimed.id).is_some();
        let id = job.webhook.webhook_id;
        if let Ending::Attempted(attempt) = ending {
            let error_type = attempt.outcome.error.as_ref().map(|error| error.error_type);
            if error_type == Some(ErrorType::Timeout) {
                state.prompt.remove(&id);
            } else if state.prompt.insert(id) {
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

    /// How many jobs wait, and how many run.
    pub(super) fn load(&self) -> (usize, usize) {
        let state = self.lock();
        (state.queued, state.running.len())
    }

    /// Says which webhooks have deliveries due: places that one had to leave to others are free again when the others are
    /// done, or do not answer.
    pub(super) fn share(&self, busy: &HashSet<i64>) {
        let mut state = self.lock();
        let is_shared = busy.len() > 1;
        let mut prompt = busy.iter().filter(|id| state.prompt.contains(id)).copied();
        let only_prompt = prompt.next().filter(|_| prompt.next().is_none());
        if (state.is_shared, state.only_prompt) != (is_shared, only_prompt) {
            (state.is_shared, state.only_prompt) = (is_shared, only_prompt);
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
            let limit = match self.is_shared {
                false => lane.limits.alone,
                true if !self.prompt.contains(&id) => lane.limits.unheard,
                true if self.only_prompt == Some(id) => lane.limits.unopposed,
                true => lane.limits.shared,
            };
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

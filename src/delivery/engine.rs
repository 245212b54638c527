//! The engine: one coordinator claims and records, worker threads send. No transaction is open while a request is.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::prepared::{Clients, Prepared, failed};
use super::queue::{Job, LaneLimits, Queue};
use super::record::{EndedJob, Ending, Tally, record};
use crate::clock::Clock;
use crate::domain::attempt::{Attempt, ErrorType};
use crate::random::Random;
use crate::signals::Stop;
use crate::store::{Payload, Store, StoreError};

/// A lease ends this long after the attempt's deadline.
pub(super) const LEASE_MARGIN: Duration = Duration::from_secs(20);
/// A claim that no worker began after this long is given back: the rest of its lease must hold the whole attempt.
pub(super) const LONGEST_QUEUED: Duration = Duration::from_secs(15);
/// The most results that are recorded in one transaction.
const LARGEST_GROUP: usize = 256;
/// How long the coordinator lets a group grow while the workers have enough to do: one wake-up for many results.
const GROUP_LINGER: Duration = Duration::from_millis(1);
/// A group grows no longer than this.
const LONGEST_LINGER: Duration = Duration::from_millis(5);
/// How often the list of webhooks with something due is read while there is other work.
const REFRESH: Duration = Duration::from_millis(500);
/// A drain waits for a rate limit to let the next request go if that is at most so far away.
pub(super) const LONGEST_RATE_WAIT: Duration = Duration::from_secs(2);
/// How long requests under way may go on after the program was asked to stop.
pub(super) const STOP_GRACE: Duration = Duration::from_millis(800);
/// How often a waiting coordinator looks whether it was asked to stop.
const STOP_POLL: Duration = Duration::from_millis(100);
/// A prepared webhook is made anew after this long: secrets end with their overlap.
pub(super) const PREPARED_FOR: Duration = Duration::from_secs(60);
/// Stack of a worker thread, in bytes; only what is used takes memory.
const WORKER_STACK: usize = 1024 * 1024;

/// Whether a webhook's state can hold its deliveries back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// Disabled, held, paused by the breaker, or over the rate: wait.
    Respect,
    /// Send whatever the state: a test.
    Ignore,
}

/// How a run is to be done.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Worker threads at the most.
    pub concurrency: usize,
    /// Addresses allowed for every webhook.
    pub networks: Vec<IpNet>,
    /// Tells the time.
    pub clock: Clock,
    /// Says when to stop.
    pub stop: Stop,
    /// At most so many deliveries are claimed.
    pub limit: Option<u64>,
    /// Nothing is claimed after this.
    pub deadline: Option<Instant>,
    /// Whether state holds deliveries back.
    pub gates: Gates,
    /// Whether to wait for a rate limit that soon lets go.
    pub waits_for_rate: bool,
}

/// What a run did, in deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Claimed and attempted.
    pub claimed: u64,
    /// Ended as success.
    pub succeeded: u64,
    /// Failed, to be tried again.
    pub retrying: u64,
    /// Ended as failed.
    pub failed: u64,
    /// Results that came after their lease, and were left to whoever holds it now.
    pub lost: u64,
}

impl Summary {
    /// Deliveries whose attempt has ended.
    pub fn finished(&self) -> u64 {
        self.succeeded + self.not_delivered()
    }

    /// Deliveries whose attempt failed, for good or for now.
    pub fn not_delivered(&self) -> u64 {
        self.retrying + self.failed
    }
}

/// What there is to do after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// More.
    Busy,
    /// Nothing.
    Idle,
}

/// A run of the engine. Hand it work with [`Engine::add_deliveries`] or [`Engine::drain`], then let it turn until idle.
#[derive(Debug)]
pub struct Engine<'a> {
    pub(super) store: &'a Store,
    pub(super) setup: Setup,
    pub(super) random: Random,
    pub(super) clients: Clients,
    pub(super) queue: Arc<Queue>,
    pub(super) results: Receiver<EndedJob>,
    sender: Sender<EndedJob>,
    workers: usize,
    pub(super) prepared: HashMap<i64, (Arc<Prepared>, Instant)>,
    pub(super) lanes: BTreeMap<i64, Lane>,
    /// The webhook at which the next claim begins, so that all have their turn.
    pub(super) next_lane: i64,
    /// When draining: whose deliveries (empty: all), and when that was last asked.
    pub(super) draining: Option<Draining>,
    /// Claimed and not yet recorded, by webhook.
    pub(super) in_flight: HashMap<i64, usize>,
    pub(super) last_group: usize,
    /// When it was last looked whether what is claimed ahead may still go out.
    rechecked: Instant,
    /// The payloads of what is claimed and not yet recorded, in bytes.
    pub(super) bytes_in_flight: usize,
    /// The payload read last: deliveries of one event come together.
    pub(super) last_payload: Option<(i64, Arc<Payload>)>,
    pub(super) summary: Summary,
}

#[derive(Debug)]
pub(super) struct Draining {
    webhooks: HashSet<i64>,
    refreshed: Option<Instant>,
}

/// What is to be claimed for one webhook.
#[derive(Debug)]
pub(super) struct Lane {
    /// These deliveries, oldest first; or whatever is due.
    pub wanted: Option<VecDeque<i64>>,
    /// Answers in the last group: a lane whose receiver is quick may claim ahead. One that does not answer may not, or what
    /// was claimed ahead would be sent before its breaker is seen to have opened.
    pub recent: usize,
    /// Until when its rate limit holds it back.
    pub rate_wait: Option<Instant>,
}

impl<'a> Engine<'a> {
    /// An engine with nothing to do yet.
    pub fn new(store: &'a Store, setup: Setup, random: Random) -> Engine<'a> {
        let (sender, results) = channel();
        Engine {
            store,
            clients: Clients::new(setup.networks.clone(), setup.concurrency),
            setup,
            random,
            queue: Arc::default(),
            results,
            sender,
            workers: 0,
            prepared: HashMap::new(),
            lanes: BTreeMap::new(),
            next_lane: 0,
            draining: None,
            in_flight: HashMap::new(),
            last_group: 0,
            rechecked: Instant::now(),
            bytes_in_flight: 0,
            last_payload: None,
            summary: Summary::default(),
        }
    }

    /// Adds deliveries, each given with its webhook.
    pub fn add_deliveries(&mut self, deliveries: impl IntoIterator<Item = (i64, i64)>) {
        for (webhook_id, delivery_id) in deliveries {
            let lane = self.lanes.entry(webhook_id).or_insert_with(|| Lane {
                wanted: Some(VecDeque::new()),
                recent: 0,
                rate_wait: None,
            });
            if let Some(wanted) = &mut lane.wanted {
                wanted.push_back(delivery_id);
            }
        }
    }

    /// Adds everything that is due, and becomes due meanwhile, for these webhooks; for all when none is named.
    pub fn drain(&mut self, webhooks: &[i64]) {
        self.draining = Some(Draining { webhooks: webhooks.iter().copied().collect(), refreshed: None });
    }

    /// What was done so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// How many deliveries given to [`Engine::add_deliveries`] are neither claimed nor given up.
    pub fn backlog(&self) -> usize {
        self.lanes.values().filter_map(|lane| lane.wanted.as_ref()).map(VecDeque::len).sum()
    }

    /// Turns until there is nothing left to do, or the time is up, or the program is asked to stop.
    pub fn run(&mut self, mut after_turn: impl FnMut(&Summary)) -> Result<Summary, StoreError> {
        while self.turn()? == Turn::Busy {
            after_turn(&self.summary);
        }
        Ok(self.summary)
    }

    /// Waits for results, records them, and claims and hands out what the workers need next.
    pub fn turn(&mut self) -> Result<Turn, StoreError> {
        let group = self.gather();
        if self.setup.stop.is_asked() {
            self.stop(group)?;
            return Ok(Turn::Idle);
        }
        if self.is_time_up() || self.is_limit_reached() {
            self.lanes.clear();
            self.draining = None;
        }
        if self.is_time_up() {
            self.give_back(None, group)?;
            return Ok(self.state());
        }
        self.recheck()?;
        let is_up_to_date = self.refresh_lanes()?;
        if !group.is_empty() || !self.lanes.is_empty() {
            let jobs = self.record_and_claim(&group)?;
            self.hand_out(jobs);
            self.take_back_blocked(&group)?;
            self.want_again(&group);
            self.queue.share(&self.busy_webhooks());
        }
        // A drain ends when a fresh look found nothing that may be claimed.
        Ok(if is_up_to_date { self.state() } else { Turn::Busy })
    }

    fn state(&self) -> Turn {
        if self.in_flight.is_empty() && self.lanes.is_empty() { Turn::Idle } else { Turn::Busy }
    }

    /// Whether as many were attempted as may be. What is in flight is not counted: it may come back unsent.
    fn is_limit_reached(&self) -> bool {
        self.setup.limit.is_some_and(|limit| self.summary.claimed >= limit)
    }

    /// Deliveries of a list whose claim was given back because their turn came too late are wanted as before; a drain finds
    /// them by itself.
    pub(super) fn want_again(&mut self, group: &[EndedJob]) {
        if self.draining.is_none() {
            let unsent = group.iter().filter(|ended| matches!(ended.ending, Ending::Unsent));
            self.add_deliveries(unsent.map(|ended| (ended.job.claimed.webhook_id, ended.job.claimed.id)));
        }
    }

    /// Now and then: whether what is claimed ahead may still go out.
    fn recheck(&mut self) -> Result<(), StoreError> {
        if self.in_flight.is_empty() || self.rechecked.elapsed() < REFRESH {
            return Ok(());
        }
        self.rechecked = Instant::now();
        self.take_back_outdated()
    }

    /// Results that are there; waits for the first while anything is in flight.
    fn gather(&mut self) -> Vec<EndedJob> {
        let mut group = Vec::new();
        if self.in_flight.is_empty() {
            if let Some(wait) = self.rate_wait() {
                thread::sleep(wait.min(STOP_POLL));
            }
            return group;
        }
        let rate_wait = self.rate_wait().filter(|_| self.room() > 0);
        let patience = rate_wait.map_or(STOP_POLL, |wait| wait.min(STOP_POLL));
        match self.results.recv_timeout(patience) {
            Ok(ended) => group.push(ended),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return group,
        }
        // A larger group costs less per result: let it grow while it does, the workers have enough to do, and nobody waits.
        let end = Instant::now() + LONGEST_LINGER;
        let enough = (self.last_group * 3 / 2 + self.workers).min(LARGEST_GROUP);
        group.extend(self.results.try_iter().take(LARGEST_GROUP - 1));
        while group.len() < enough && self.queue.load().0 > group.len().max(self.workers) && Instant::now() < end {
            thread::sleep(GROUP_LINGER);
            let before = group.len();
            group.extend(self.results.try_iter().take(LARGEST_GROUP - before));
            if group.len() - before < self.workers / 2 {
                break; // the receiver is slow
            }
        }
        group
    }

    /// One transaction: the group's results, and the next claims.
    pub(super) fn record_and_claim(&mut self, group: &[EndedJob]) -> Result<Vec<(Job, LaneLimits)>, StoreError> {
        let (tally, jobs) = self.record_with(group, Engine::claim)?;
        self.land(group, tally);
        Ok(jobs)
    }

    /// One transaction: the group's results.
    pub(super) fn record_only(&mut self, group: &[EndedJob]) -> Result<(), StoreError> {
        let (tally, _) = self.record_with(group, |_, _| Ok(()))?;
        self.land(group, tally);
        Ok(())
    }

    /// Records a group and does `more` in the same transaction. A database that stays locked is asked again: what was sent
    /// must not be forgotten while that can be helped.
    fn record_with(
        &mut self,
        group: &[EndedJob],
        more: impl Fn(&mut Self, &mut Vec<(Job, LaneLimits)>) -> Result<(), StoreError>,
    ) -> Result<(Tally, Vec<(Job, LaneLimits)>), StoreError> {
        let store = self.store;
        let mut tries_left = if group.is_empty() { 0 } else { 2 };
        loop {
            let mut jobs = Vec::new();
            let done = store.transaction(|| {
                let tally = record(store, group, &mut self.random, self.setup.clock.now())?;
                more(self, &mut jobs)?;
                Ok::<_, StoreError>(tally)
            });
            match done {
                Ok(tally) => return Ok((tally, jobs)),
                Err(error) => {
                    self.unclaim(jobs);
                    if !matches!(error, StoreError::Busy) || tries_left == 0 {
                        return Err(error);
                    }
                    tries_left -= 1;
                }
            }
        }
    }

    /// Takes a recorded group into the books.
    fn land(&mut self, group: &[EndedJob], tally: Tally) {
        self.summary.claimed += tally.succeeded + tally.retrying + tally.failed;
        self.summary.succeeded += tally.succeeded;
        self.summary.retrying += tally.retrying;
        self.summary.failed += tally.failed;
        self.summary.lost += tally.lost;
        self.last_group = group.len();
        for lane in self.lanes.values_mut() {
            lane.recent = 0;
        }
        for ended in group {
            let id = ended.job.claimed.webhook_id;
            self.leave_flight(&ended.job);
            if let Some(lane) = self.lanes.get_mut(&id) {
                lane.recent += usize::from(ended.is_answered());
            }
        }
    }

    /// A job is no longer in flight.
    pub(super) fn leave_flight(&mut self, job: &Job) {
        self.bytes_in_flight -= job.payload.bytes.len();
        let id = job.claimed.webhook_id;
        if let Some(count) = self.in_flight.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.in_flight.remove(&id);
            }
        }
    }

    /// The webhooks that have something to claim or in flight.
    fn busy_webhooks(&self) -> HashSet<i64> {
        self.lanes.keys().chain(self.in_flight.keys()).copied().collect()
    }

    /// When draining: a lane for each webhook that has something due. True when the lanes are as fresh as can be.
    fn refresh_lanes(&mut self) -> Result<bool, StoreError> {
        let Some(draining) = &mut self.draining else { return Ok(true) };
        let is_fresh = draining.refreshed.is_some_and(|at| at.elapsed() < REFRESH);
        if is_fresh && !(self.lanes.is_empty() && self.in_flight.is_empty()) {
            return Ok(false);
        }
        draining.refreshed = Some(Instant::now());
        let (store, now) = (self.store, self.setup.clock.now());
        store.check_in_place()?; // a drain that watches would wait for ever on a file that is gone
        if store.is_clock_behind(now)? {
            store.transaction(|| store.mend_clock(now))?;
        }
        for id in store.due_webhooks(now)? {
            if draining.webhooks.is_empty() || draining.webhooks.contains(&id) {
                self.lanes.entry(id).or_insert(Lane { wanted: None, recent: 0, rate_wait: None });
            }
        }
        Ok(true)
    }

    /// Gives jobs to the workers, and starts as many workers as there is work for.
    fn hand_out(&mut self, jobs: Vec<(Job, LaneLimits)>) {
        if jobs.is_empty() {
            return;
        }
        let wanted = self.in_flight.values().sum::<usize>().min(self.setup.concurrency);
        self.queue.push(jobs, &self.busy_webhooks());
        while self.workers < wanted {
            let (queue, results, clock) = (Arc::clone(&self.queue), self.sender.clone(), self.setup.clock);
            let attempt = move |job: &Job| job.webhook.attempt(&job.claimed, &job.payload, clock);
            let worker = thread::Builder::new().stack_size(WORKER_STACK);
            let worker = worker.spawn(move || work(&queue, &results, clock, attempt));
            if worker.is_err() && self.workers > 0 {
                return; // out of threads: those that run do the work
            }
            self.workers += 1;
        }
    }

    fn is_time_up(&self) -> bool {
        self.setup.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// How long until the first rate limit lets go, where one holds a lane back.
    fn rate_wait(&self) -> Option<Duration> {
        let first = self.lanes.values().filter_map(|lane| lane.rate_wait).min()?;
        Some(first.saturating_duration_since(Instant::now()))
    }
}

impl Drop for Engine<'_> {
    fn drop(&mut self) {
        // Nothing more is sent when the run ended in an error: its result could not be recorded.
        self.queue.take_back(None);
        self.queue.close();
    }
}

/// A worker thread: sends what the queue gives it until the queue closes. A panic costs the attempt, not the worker.
pub(super) fn work(queue: &Queue, results: &Sender<EndedJob>, clock: Clock, attempt: impl Fn(&Job) -> Attempt) {
    while let Some(job) = queue.take() {
        let ending = if Instant::now() > job.start_before {
            Ending::Unsent
        } else {
            let made = catch_unwind(AssertUnwindSafe(|| attempt(&job)));
            Ending::Attempted(made.unwrap_or_else(|_| broken(&job, clock)))
        };
        if queue.done(&job, &ending) && results.send(EndedJob { job, ending }).is_err() {
            return; // the engine is gone
        }
    }
}

/// The attempt of a worker that panicked.
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

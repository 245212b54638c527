//! The coordinator: it claims and records in group commits, worker threads send. No transaction is open while a request is.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::claimer::{Claimer, HeldBack, Terms, Turns, lanes_at_once};
use super::fairness::WorkerShares;
use super::in_flight::InFlight;
use super::job::{EndedJob, Ending, Job, cut_off, with_payloads};
use super::known_states::KnownStates;
use super::log_lines::{log_attempts, log_claims};
use super::outage::{patiently, wait_out};
use super::passage::is_blocked;
use super::recorder::settle;
use super::room::Room;
use super::run::{Gates, RunOptions, Summary, Turn};
use super::settled::Settled;
use super::step::{Expected, Step};
use super::webhook_states::WebhookStates;
use super::workers::Workers;
use crate::domain::attempt::LocalTrouble;
use crate::domain::event::NewEvent;
use crate::random::Random;
use crate::store::{Claimed, GroupChange, GroupDone, Lease, Payload, Store, StoreError};

/// Of deliveries that were claimed as they were stored, so many are made ready before the first of them are handed out.
const READY_AT_ONCE: usize = 32;
/// How often it is looked whether what is claimed ahead may still go out.
const RECHECK: Duration = Duration::from_millis(500);
/// How long requests under way may go on after the program was asked to stop.
const STOP_GRACE: Duration = Duration::from_millis(800);
/// How long a worker may take to hand in a result that it has.
const HAND_IN: Duration = Duration::from_millis(200);
/// How often a waiting coordinator looks whether it was asked to stop.
const STOP_POLL: Duration = Duration::from_millis(100);
/// How often a group is tried again while the database stays locked: what was sent must not be forgotten.
const TRIES: u32 = 3;
/// What could not be sent without a key is due again after this, in milliseconds: not in the same turn for ever.
const LOCKED_PAUSE_MS: i64 = 10_000;

/// A run of the engine. Hand it work with [`Engine::add_deliveries`] or [`Engine::drain`], then let it turn until idle.
#[derive(Debug)]
pub struct Engine<'a> {
    store: &'a Store,
    options: RunOptions,
    random: Random,
    shares: WorkerShares,
    claimer: Claimer,
    /// Claimed as they were stored, and not handed out yet.
    claimed: Vec<(Claimed, Arc<Payload>)>,
    in_flight: InFlight,
    known: KnownStates,
    /// What became of deliveries, by id, where it is kept.
    settled: Option<HashMap<i64, Settled>>,
    /// Of the claims of a transaction whose end is not known yet: webhook and lease.
    leases: Vec<(i64, Lease)>,
    workers: Workers,
    last_group: usize,
    rechecked: Instant,
    /// What this machine lacked: the run ends when nothing is in flight any more.
    trouble: Option<LocalTrouble>,
    summary: Summary,
}

/// What a transaction did.
struct Done {
    settled: Vec<(i64, Settled)>,
    recorded: Summary,
    states: WebhookStates,
    /// The webhooks in whose states the store noted what claims cost.
    charged: Vec<i64>,
    plan: Vec<Terms>,
    done: GroupDone,
}

/// Nothing is claimed.
const NOBODY: Turns<'static> = Turns { lanes: &[], all: 0 };

impl<'a> Engine<'a> {
    /// An engine with nothing to do yet.
    pub fn new(store: &'a Store, options: RunOptions, random: Random) -> Engine<'a> {
        let shares = WorkerShares::new(options.concurrency);
        Engine {
            store,
            random,
            shares,
            claimer: Claimer::new(&options, shares),
            claimed: Vec::new(),
            in_flight: InFlight::default(),
            known: KnownStates::default(),
            settled: None,
            leases: Vec::new(),
            workers: Workers::new(shares, options.clock),
            last_group: 0,
            rechecked: Instant::now(),
            trouble: None,
            summary: Summary::default(),
            options,
        }
    }

    /// Adds deliveries, each given with its webhook.
    pub fn add_deliveries(&mut self, deliveries: impl IntoIterator<Item = (i64, i64)>) {
        self.claimer.lanes.add(deliveries);
    }

    /// Adds deliveries of an event that were claimed as they were stored.
    pub fn add_claimed(&mut self, claimed: Vec<Claimed>, event: &NewEvent) -> Result<(), StoreError> {
        self.claimed.extend(with_payloads(self.store, claimed, event)?);
        Ok(())
    }

    /// Adds everything that is due, and becomes due meanwhile, for these webhooks; for all when none is named.
    pub fn drain(&mut self, webhooks: &[i64]) {
        self.claimer.tidy();
        self.claimer.lanes.drain(webhooks);
    }

    pub fn store(&self) -> &'a Store {
        self.store
    }

    /// Keeps what becomes of each delivery from now on. Not for runs without end: it stays in memory.
    pub fn keep_settled(&mut self) {
        self.settled.get_or_insert_default();
    }

    /// What became of a delivery that this run attempted, where that was kept.
    pub fn settled(&self, delivery_id: i64) -> Option<&Settled> {
        self.settled.as_ref()?.get(&delivery_id)
    }

    /// What was done so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// How many deliveries given to [`Engine::add_deliveries`] are neither claimed nor given up.
    pub fn backlog(&self) -> usize {
        self.claimer.lanes.backlog()
    }

    /// The webhooks that were left out since this was last asked, as the database's key for them is not there, and why.
    pub fn take_locked_out(&mut self) -> Option<(BTreeSet<i64>, StoreError)> {
        self.claimer.take_locked_out()
    }

    /// The due deliveries, of all webhooks or of these, that are not sent now, by webhook.
    pub fn held_back(&mut self, webhooks: &[i64]) -> Result<Vec<HeldBack>, StoreError> {
        self.claimer.held_back(self.store, self.options.clock, webhooks)
    }

    /// Turns until there is nothing left to do, or the time is up, or the program is asked to stop. Errors are those of
    /// [`Engine::turn`] and of what is done between two turns.
    pub fn run(&mut self, mut between: impl FnMut(&Summary) -> anyhow::Result<()>) -> anyhow::Result<Summary> {
        while self.turn()? == Turn::Busy {
            between(&self.summary)?;
        }
        Ok(self.summary)
    }

    /// Waits for results, records them, and claims and hands out what the workers need next.
    ///
    /// An error is a [`StoreError`], [`StoreError::NotRecorded`] when requests had been made; or a [`LocalTrouble`], once
    /// everything that was sent is recorded and every other claim given back.
    pub fn turn(&mut self) -> anyhow::Result<Turn> {
        self.hand_out_claimed()?;
        let group = self.gather();
        self.note_trouble(&group);
        if self.options.stop.is_asked() {
            self.stop(group)?;
            return Ok(Turn::Idle);
        }
        let is_time_up = self.options.is_time_up() || self.trouble.is_some();
        if is_time_up || self.is_limit_reached() {
            self.claimer.lanes.clear();
        }
        if is_time_up {
            self.record_unsent(group, None)?;
            return self.state();
        }
        self.recheck()?;
        let is_idle = self.in_flight.is_empty();
        let (store, clock) = (self.store, self.options.clock);
        let is_up_to_date = patiently(|| self.claimer.lanes.refresh(store, clock.now(), is_idle))?;
        if !group.is_empty() || !self.claimer.lanes.is_empty() {
            let states = self.commit_turn(&group)?;
            self.take_back_blocked(&group, &states)?;
            self.want_unsent_again(&group);
            self.workers.set_shared(self.claimer.lanes.is_shared_with(self.in_flight.webhooks()));
        }
        // A drain ends when a fresh look found nothing that may be claimed.
        if is_up_to_date { self.state() } else { Ok(Turn::Busy) }
    }

    /// Hands out what was claimed as it was stored, unless the program was asked to stop: then it is given back. Workers send the
    /// first while the webhooks of the next are made ready.
    fn hand_out_claimed(&mut self) -> Result<(), StoreError> {
        let mut claimed = std::mem::take(&mut self.claimed);
        let mut unsent = Vec::new();
        while !claimed.is_empty() {
            let rest = claimed.split_off(claimed.len().min(READY_AT_ONCE));
            let (jobs, states) = self.claimer.ready(self.store, self.options.clock.now(), claimed)?;
            claimed = rest;
            self.known.learn(states);
            if self.options.stop.is_asked() {
                jobs.iter().for_each(|job| self.in_flight.enter(job));
                unsent.extend(jobs.into_iter().map(EndedJob::unsent));
            } else {
                self.enter(&[], Summary::default(), jobs);
            }
        }
        if unsent.is_empty() { Ok(()) } else { self.commit(&unsent, &NOBODY).map(drop) }
    }

    fn state(&self) -> anyhow::Result<Turn> {
        match &self.trouble {
            Some(trouble) if self.in_flight.is_empty() => Err(anyhow::Error::new(trouble.clone())
                .context("the run ended early, and what was not sent stays due; no receiver is charged for it")),
            None if self.in_flight.is_empty() && self.claimer.lanes.is_empty() => Ok(Turn::Idle),
            _ => Ok(Turn::Busy),
        }
    }

    fn note_trouble(&mut self, group: &[EndedJob]) {
        for ended in group {
            if let Ending::Locked(reason) = &ended.ending {
                self.claimer.lock_out(ended.job.claimed.webhook_id, reason.clone());
            }
        }
        let trouble = group.iter().find_map(|ended| match &ended.ending {
            Ending::Local(trouble) => Some(trouble),
            _ => None,
        });
        if let (None, Some(trouble)) = (&self.trouble, trouble) {
            self.trouble = Some(trouble.clone());
        }
    }

    /// Whether as many were attempted as may be. What is in flight is not counted: it may come back unsent.
    fn is_limit_reached(&self) -> bool {
        self.options.limit.is_some_and(|limit| self.summary.claimed >= limit)
    }

    fn room(&self) -> Room {
        let left = self.options.limit.map(|limit| limit.saturating_sub(self.summary.claimed));
        Room::new(self.shares, &self.in_flight, self.last_group, left)
    }

    /// Results that are there; waits for the first while anything is in flight.
    fn gather(&self) -> Vec<EndedJob> {
        let rate_wait = self.claimer.lanes.rate_wait();
        if self.in_flight.is_empty() {
            if let Some(wait) = rate_wait {
                thread::sleep(wait.min(STOP_POLL));
            }
            return Vec::new();
        }
        let rate_wait = rate_wait.filter(|_| self.room().is_any());
        self.workers.gather(rate_wait.map_or(STOP_POLL, |wait| wait.min(STOP_POLL)), self.last_group)
    }

    /// Records a group, and claims for every lane that finds room. Gives the states of the webhooks that the group touched.
    fn commit_turn(&mut self, group: &[EndedJob]) -> Result<WebhookStates, StoreError> {
        let turns = self.claimer.lanes.turns();
        let all = turns.len();
        let (lanes, mut rest) = turns.split_at(all.min(lanes_at_once(self.room())));
        let states = self.commit(group, &Turns { lanes, all })?;
        while let Some(first) = rest.first() {
            let room = self.room();
            if room.lanes() == 0 {
                self.claimer.lanes.deny(*first);
                break;
            }
            let (lanes, others) = rest.split_at(rest.len().min(lanes_at_once(room)));
            self.commit(&[], &Turns { lanes, all: rest.len() })?;
            rest = others;
        }
        Ok(states)
    }

    /// One transaction: the group's results, and the next claims, which are then handed out. Gives the states of the webhooks
    /// that it touched.
    fn commit(&mut self, group: &[EndedJob], turns: &Turns<'_>) -> Result<WebhookStates, StoreError> {
        let (store, started) = (self.store, Instant::now());
        // A delivery that was not sent for lack of a key is given back whatever became of its claim.
        let mut expects = !group.iter().any(|ended| matches!(ended.ending, Ending::Locked(_)));
        let mut known = self.known.of(group).filter(|_| turns.lanes.is_empty());
        let mut tries = 0;
        loop {
            let expected = Expected::of(expects, known.as_deref());
            match store.shared_transaction(|| self.step(group, turns, tries > 0, expected)) {
                Ok(Done { settled, recorded, states, charged, plan, done: GroupDone { claimed, moved_up } }) => {
                    self.leases.clear();
                    self.known.follow(&states, &charged);
                    if let Some(kept) = &mut self.settled {
                        kept.extend(settled);
                    }
                    self.claimer.lanes.move_up(&moved_up);
                    let jobs = self.claimer.take(plan, claimed, &self.in_flight);
                    self.enter(group, recorded, jobs);
                    return Ok(states);
                }
                Err(StoreError::Again) if expects => {
                    (expects, known) = (false, None);
                    self.known.forget();
                }
                Err(error) => {
                    (tries, expects) = (tries + 1, false);
                    let may_pass = match error {
                        StoreError::Again => tries < TRIES,
                        StoreError::Busy => !group.is_empty() && tries < TRIES,
                        _ => wait_out(&error, started) && !(group.is_empty() && self.options.stop.is_asked()),
                    };
                    if !may_pass {
                        return Err(self.not_recorded(group, error));
                    }
                }
            }
        }
    }

    /// Reads, decides, writes. Runs in a transaction. Where it runs again, the last one may have been committed all the same,
    /// its answer lost with the connection: then its results are there already, and its claims go back.
    fn step(
        &mut self,
        group: &[EndedJob],
        turns: &Turns<'_>,
        is_again: bool,
        expected: Expected<'_>,
    ) -> Result<Done, StoreError> {
        let (room, clock) = (self.room(), self.options.clock);
        let claiming = self.claimer.with_room(turns, &self.in_flight, room);
        let random = &mut self.random;
        let mut step = match expected {
            Expected::ClaimsAndStates(known) => Step::expecting(self.store, random, clock, group, known)?,
            _ => Step::locked(self.store, random, clock, group, &claiming, expected)?,
        };
        if is_again {
            step.find_recorded(group)?;
            self.store.release_leases(&self.leases, clock.now())?;
        }
        let recorded = settle(&mut step, group);
        let plan = self.claimer.plan(&mut step, turns, &self.in_flight, room)?;
        let lanes = self.claimer.claims(&plan);
        self.leases.extend(lanes.iter().map(|lane| (lane.webhook_id, lane.lease)));
        recorded.store_announcements(&mut step)?;
        self.store.release(&recorded.locked, clock.now().plus_millis(LOCKED_PAUSE_MS))?;
        let done = self.store.commit_group(&GroupChange {
            is_expected: step.is_expected,
            results: &recorded.results,
            released: &recorded.released,
            now: step.now(),
            attempt_counts: &recorded.attempt_counts,
            states: &step.states.changes(),
            ended: &recorded.ended,
            lanes: &lanes,
            bytes: room.bytes(),
        })?;
        let settled = self.settled.iter().flat_map(|_| recorded.results.iter().map(Settled::of)).collect();
        let charged = lanes.iter().filter(|lane| lane.cost.is_any()).map(|lane| lane.webhook_id).collect();
        Ok(Done { settled, recorded: recorded.summary, states: step.states, charged, plan, done })
    }

    /// What a transaction's failure means: of requests that were made, nobody knows what became of them.
    fn not_recorded(&self, group: &[EndedJob], reason: StoreError) -> StoreError {
        match group.iter().filter(|ended| ended.attempt().is_some()).count() + self.workers.running() {
            0 => reason,
            attempts => StoreError::NotRecorded { attempts, reason: Box::new(reason) },
        }
    }

    /// Takes a recorded group and new claims into the books, and hands the claims out.
    fn enter(&mut self, group: &[EndedJob], recorded: Summary, jobs: Vec<Job>) {
        log_attempts(group);
        log_claims(&jobs);
        self.summary.add(recorded);
        self.last_group = group.len();
        self.claimer.lanes.note_answers(group);
        group.iter().for_each(|ended| self.in_flight.leave(&ended.job));
        jobs.iter().for_each(|job| self.in_flight.enter(job));
        self.workers.set_shared(self.claimer.lanes.is_shared_with(self.in_flight.webhooks()));
        if let Err(trouble) = self.workers.hand_out(jobs, self.in_flight.total()) {
            self.trouble = Some(trouble);
        }
    }

    /// Records a group together with the jobs that no worker has begun, of all webhooks or of one: these are due again.
    fn record_unsent(&mut self, mut group: Vec<EndedJob>, webhook_id: Option<i64>) -> Result<(), StoreError> {
        group.extend(self.workers.take_back(webhook_id));
        if !group.is_empty() {
            self.commit(&group, &NOBODY)?;
        }
        Ok(())
    }

    /// Deliveries of a list that came back unsent are wanted as before.
    fn want_unsent_again(&mut self, group: &[EndedJob]) {
        let unsent = group.iter().filter(|ended| matches!(ended.ending, Ending::Unsent));
        self.claimer.lanes.want_again(unsent.map(|ended| &ended.job));
    }

    /// After a group: a webhook that was disabled, held or paused by it gives back what it had claimed ahead.
    fn take_back_blocked(&mut self, group: &[EndedJob], states: &WebhookStates) -> Result<(), StoreError> {
        if self.options.gates == Gates::Ignore {
            return Ok(());
        }
        let now = self.options.clock.now();
        let failing = group.iter().filter(|ended| ended.is_failure());
        let mut failing: Vec<i64> = failing.map(|ended| ended.job.claimed.webhook_id).collect();
        failing.dedup();
        for id in failing {
            let is_blocked = states.get(id).is_some_and(|state| is_blocked(&state.health, now));
            if is_blocked && self.in_flight.of(id) > 0 {
                self.record_unsent(Vec::new(), Some(id))?;
            }
        }
        Ok(())
    }

    /// Now and then: takes back what was claimed ahead for webhooks that were disabled, deleted or changed since, by anybody:
    /// nothing goes out by settings that no longer count.
    fn recheck(&mut self) -> Result<(), StoreError> {
        if self.workers.queued() == 0 || self.rechecked.elapsed() < RECHECK {
            return Ok(());
        }
        self.rechecked = Instant::now();
        let now = self.options.clock.now();
        let webhooks: Vec<i64> = self.in_flight.webhooks().collect();
        let states = WebhookStates::new(patiently(|| self.store.healths(&webhooks))?);
        for id in webhooks {
            let state = states.get(id);
            let is_changed = state.is_some_and(|state| self.claimer.claimed_version(id) != Some(state.version));
            let is_stopped =
                self.options.gates == Gates::Respect && state.is_some_and(|state| is_blocked(&state.health, now));
            if state.is_some() && !is_changed && !is_stopped {
                continue;
            }
            let unsent = self.workers.take_back(Some(id));
            if unsent.is_empty() {
                continue;
            }
            self.commit(&unsent, &NOBODY)?;
            if is_changed {
                self.want_unsent_again(&unsent);
            }
        }
        Ok(())
    }

    /// The program was asked to stop: gives back what no worker has begun, records what comes in within a moment, and the rest
    /// as cut off.
    fn stop(&mut self, mut group: Vec<EndedJob>) -> Result<(), StoreError> {
        let end = Instant::now() + STOP_GRACE;
        self.record_unsent(Vec::new(), None)?;
        self.collect_until(end, &mut group);
        for (job, since) in self.workers.abandon_running() {
            let attempt = cut_off(&job, since, self.options.clock);
            group.push(EndedJob { job, ending: Ending::Interrupted(attempt) });
        }
        // Workers that were done but had not yet handed in what they brought: a matter of microseconds.
        self.collect_until(Instant::now() + HAND_IN, &mut group);
        self.claimer.lanes.clear();
        self.commit(&group, &NOBODY).map(|_| ())
    }

    /// Adds results to a group until it holds everything in flight, or the time has come.
    fn collect_until(&self, end: Instant, group: &mut Vec<EndedJob>) {
        while self.in_flight.total() > group.len() {
            match self.workers.wait(end.saturating_duration_since(Instant::now())) {
                Some(ended) => group.push(ended),
                None => return,
            }
        }
    }
}

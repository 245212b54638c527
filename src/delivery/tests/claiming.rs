//! Claiming step by step: a run without workers, on a store of its own.

use std::collections::BTreeMap;

use super::{NOW, accept_all, event, options, stored};
use crate::clock::Clock;
use crate::delivery::claimer::{Claimer, Turns};
use crate::delivery::fairness::WorkerShares;
use crate::delivery::in_flight::InFlight;
use crate::delivery::job::Job;
use crate::delivery::room::Room;
use crate::delivery::run::{Gates, RunOptions};
use crate::delivery::step::{Expected, Step};
use crate::domain::event::NewEvent;
use crate::domain::webhook::{Counters, Health, Settings};
use crate::random::Random;
use crate::store::{GroupChange, HealthChange, Store};

/// A run with so many workers, on a store of its own.
pub(super) struct Run {
    pub(super) store: Store,
    pub(super) random: Random,
    pub(super) claimer: Claimer,
    pub(super) in_flight: InFlight,
    pub(super) shares: WorkerShares,
    pub(super) last_group: usize,
    pub(super) limit: Option<u64>,
    pub(super) clock: Clock,
}

impl Run {
    pub(super) fn new(workers: usize) -> Run {
        Run::with_gates(workers, Gates::Respect)
    }

    pub(super) fn with_gates(workers: usize, gates: Gates) -> Run {
        Run::with(RunOptions { gates, ..options(workers) })
    }

    pub(super) fn with(options: RunOptions) -> Run {
        let workers = options.concurrency;
        let shares = WorkerShares::new(workers);
        Run {
            store: Store::empty().unwrap(),
            random: Random::new().unwrap(),
            claimer: Claimer::new(&options, shares),
            in_flight: InFlight::default(),
            shares,
            last_group: 0,
            limit: None,
            clock: options.clock,
        }
    }

    pub(super) fn webhook(&self, name: &str, change: impl FnOnce(&mut Settings)) -> i64 {
        stored(&self.store, name, change)
    }

    /// Claims once; what was claimed is in flight then.
    pub(super) fn claim(&mut self) -> Vec<Job> {
        self.claimer.lanes.refresh(&self.store, NOW, true).unwrap();
        let room = Room::new(self.shares, &self.in_flight, self.last_group, self.limit);
        let lanes = self.claimer.lanes.turns();
        let turns = Turns { lanes: &lanes, all: lanes.len() };
        let claiming = self.claimer.with_room(&turns, &self.in_flight, room);
        let mut step =
            Step::locked(&self.store, &mut self.random, self.clock, &[], &claiming, Expected::Nothing).unwrap();
        let plan = self.claimer.plan(&mut step, &turns, &self.in_flight, room).unwrap();
        let change = GroupChange {
            is_expected: false,
            results: &[],
            released: &[],
            now: NOW,
            attempt_counts: &[],
            ended: &[],
            states: &step.states.changes(),
            lanes: &self.claimer.claims(&plan),
            bytes: room.bytes(),
        };
        let claimed = self.store.commit_group(&change).unwrap().claimed;
        let jobs = self.claimer.take(plan, claimed, &self.in_flight);
        jobs.iter().for_each(|job| self.in_flight.enter(job));
        jobs
    }

    /// How many were claimed, by webhook.
    pub(super) fn counts(&mut self) -> BTreeMap<i64, usize> {
        let mut counts = BTreeMap::new();
        for job in self.claim() {
            *counts.entry(job.claimed.webhook_id).or_default() += 1;
        }
        counts
    }

    /// How many of a webhook's were claimed.
    pub(super) fn count(&mut self, webhook: i64) -> usize {
        self.counts().get(&webhook).copied().unwrap_or(0)
    }

    /// The deliveries of these jobs are given back, and no longer in flight.
    pub(super) fn release(&mut self, jobs: &[Job]) {
        let claims: Vec<_> = jobs.iter().map(|job| &job.claimed).collect();
        self.store.release(&claims, NOW).unwrap();
        jobs.iter().for_each(|job| self.in_flight.leave(job));
    }

    pub(super) fn change_health(&self, webhook: i64, change: impl FnOnce(&mut Health)) {
        let (mut health, _) = self.store.health(webhook).unwrap().unwrap();
        change(&mut health);
        let counted = Counters::default();
        self.store
            .save_healths(&[HealthChange { webhook_id: webhook, health: &health, before: &health, counted }])
            .unwrap();
    }
}

/// Accepts events of one ordering key; the deliveries, webhook and delivery.
pub(super) fn keyed(store: &Store, events: std::ops::Range<usize>) -> Vec<(i64, i64)> {
    let keyed = |number| NewEvent { key: Some("customer-7".to_owned()), ..event(&format!("e-{number}"), Vec::new()) };
    accept_all(store, &events.map(keyed).collect::<Vec<_>>())
}

pub(super) fn ids(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.claimed.id).collect()
}

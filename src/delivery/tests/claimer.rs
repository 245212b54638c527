//! What is claimed, for whom, and how many, given what is due, what is in flight and what state the webhooks are in.

use std::collections::BTreeMap;

use super::{NOW, claim, emit, options, stored};
use crate::clock::Clock;
use crate::delivery::claimer::{Claimer, Turns};
use crate::delivery::fairness::WorkerShares;
use crate::delivery::in_flight::InFlight;
use crate::delivery::job::{EndedJob, Ending, Job};
use crate::delivery::room::Room;
use crate::delivery::run::Gates;
use crate::delivery::step::Step;
use crate::domain::rate_limit::RateLimit;
use crate::domain::webhook::{Counters, Order, Settings};
use crate::random::Random;
use crate::store::{GroupChange, HealthChange, Lease, Store};

/// A run with so many workers, on a store of its own.
struct Run {
    store: Store,
    random: Random,
    claimer: Claimer,
    in_flight: InFlight,
    shares: WorkerShares,
    last_group: usize,
    limit: Option<u64>,
}

impl Run {
    fn new(workers: usize) -> Run {
        Run::with_gates(workers, Gates::Respect)
    }

    fn with_gates(workers: usize, gates: Gates) -> Run {
        let mut options = options(workers);
        options.gates = gates;
        let shares = WorkerShares::new(workers);
        Run {
            store: Store::empty().unwrap(),
            random: Random::new().unwrap(),
            claimer: Claimer::new(&options, shares),
            in_flight: InFlight::default(),
            shares,
            last_group: 0,
            limit: None,
        }
    }

    fn webhook(&self, name: &str, change: impl FnOnce(&mut Settings)) -> i64 {
        stored(&self.store, name, change)
    }

    /// Claims once; what was claimed is in flight then.
    fn claim(&mut self) -> Vec<Job> {
        self.claimer.lanes.refresh(&self.store, NOW, true).unwrap();
        let room = Room::new(self.shares, &self.in_flight, self.last_group, self.limit);
        let lanes = self.claimer.lanes.turns();
        let turns = Turns { lanes: &lanes, all: lanes.len() };
        let claiming = self.claimer.with_room(&turns, &self.in_flight, room);
        let clock = Clock::new(Some(NOW));
        let mut step = Step::locked(&self.store, &mut self.random, clock, &[], &claiming).unwrap();
        let plan = self.claimer.plan(&mut step, &turns, &self.in_flight, room).unwrap();
        let change = GroupChange {
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
    fn counts(&mut self) -> BTreeMap<i64, usize> {
        let mut counts = BTreeMap::new();
        for job in self.claim() {
            *counts.entry(job.claimed.webhook_id).or_default() += 1;
        }
        counts
    }

    /// How many of a webhook's were claimed.
    fn count(&mut self, webhook: i64) -> usize {
        self.counts().get(&webhook).copied().unwrap_or(0)
    }

    /// The deliveries of these jobs are given back, and no longer in flight.
    fn release(&mut self, jobs: &[Job]) {
        let claims: Vec<_> = jobs.iter().map(|job| &job.claimed).collect();
        self.store.release(&claims, NOW).unwrap();
        jobs.iter().for_each(|job| self.in_flight.leave(job));
    }

    fn change_health(&self, webhook: i64, change: impl FnOnce(&mut crate::domain::webhook::Health)) {
        let (mut health, _) = self.store.health(webhook).unwrap().unwrap();
        change(&mut health);
        let counted = Counters::default();
        self.store
            .save_healths(&[HealthChange { webhook_id: webhook, health: &health, before: &health, counted }])
            .unwrap();
    }
}

fn ids(jobs: &[Job]) -> Vec<i64> {
    jobs.iter().map(|job| job.claimed.id).collect()
}

#[test]
fn a_webhook_alone_claims_for_every_worker_and_as_many_ahead_and_then_no_more() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |_| ());
    emit(&run.store, 0..30, 2);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.count(crm), 8);
    assert_eq!(run.count(crm), 0);
}

#[test]
fn a_receiver_that_answers_is_claimed_ahead_for_three_times_the_last_group() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |_| ());
    emit(&run.store, 0..60, 2);
    run.claimer.lanes.drain(&[]);
    let jobs = run.claim();
    let ended = |job: &Job| {
        let attempt = super::answered(job, 500);
        EndedJob { job: job.clone(), ending: Ending::Attempted(attempt) }
    };
    let group: Vec<EndedJob> = jobs[..5].iter().map(ended).collect();
    run.last_group = 5;
    assert_eq!(run.count(crm), 0, "the lane does not know yet that its receiver answers");
    run.claimer.lanes.note_answers(&group);
    assert_eq!(run.count(crm), 15);
    run.claimer.lanes.note_answers(&[]);
    run.release(&jobs);
    assert_eq!(run.count(crm), 0, "no more is claimed ahead once no answers come");
}

#[test]
fn what_a_rate_limit_lets_through_is_claimed_for_the_workers_alone() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |settings| settings.rate_limit = Some(RateLimit::parse("1000/s").unwrap()));
    emit(&run.store, 0..20, 2);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.count(crm), 4);
}

#[test]
fn a_probe_that_found_nothing_to_claim_is_not_out() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |_| ());
    let deliveries = emit(&run.store, 0..1, 2);
    claim(&run.store, crm, &[deliveries[0].1], Lease { now: NOW, until: NOW.plus_millis(1_000), token: 7 });
    run.change_health(crm, |health| health.breaker.open_until = Some(NOW));
    run.claimer.lanes.add(deliveries);
    assert_eq!(run.count(crm), 0);
    assert!(!run.store.webhook(crm).unwrap().unwrap().health.breaker.probing);
}

#[test]
fn workers_are_shared_when_a_second_webhook_has_something_to_claim_or_in_flight() {
    let mut run = Run::new(4);
    let is_shared = |run: &Run, in_flight: &[i64]| run.claimer.lanes.is_shared_with(in_flight.iter().copied());
    assert!(!is_shared(&run, &[]) && !is_shared(&run, &[1]) && is_shared(&run, &[1, 2]));
    run.claimer.lanes.add([(1, 1)]);
    assert!(!is_shared(&run, &[]) && !is_shared(&run, &[1]) && is_shared(&run, &[2]));
    run.claimer.lanes.add([(2, 2)]);
    assert!(is_shared(&run, &[]));
}

#[test]
fn two_webhooks_share_the_room_and_each_claims_for_half_of_the_workers_and_as_many_ahead() {
    let mut run = Run::new(8);
    let (one, two) = (run.webhook("one", |_| ()), run.webhook("two", |_| ()));
    emit(&run.store, 0..40, 2);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.counts(), BTreeMap::from([(one, 8), (two, 8)]));
    assert_eq!(run.counts(), BTreeMap::new());
}

#[test]
fn a_webhook_with_nothing_in_flight_claims_though_the_others_have_used_up_the_room() {
    let mut run = Run::new(8);
    let (one, two) = (run.webhook("one", |_| ()), run.webhook("two", |_| ()));
    emit(&run.store, 0..40, 2);
    run.claimer.lanes.drain(&[]);
    run.counts();
    let late = run.webhook("late", |_| ());
    emit(&run.store, 40..60, 2);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.counts(), BTreeMap::from([(late, 1)]), "its turn among {one} and {two}");
}

#[test]
fn the_webhook_that_found_no_room_has_the_first_turn_next_time() {
    let mut run = Run::new(1);
    let webhooks: Vec<i64> = ["a", "b", "c", "d"].iter().map(|name| run.webhook(name, |_| ())).collect();
    emit(&run.store, 0..9, 2);
    run.claimer.lanes.drain(&[]);
    let first = run.claim();
    let of = |jobs: &[Job]| jobs.iter().map(|job| job.claimed.webhook_id).collect::<Vec<_>>();
    assert_eq!(of(&first), webhooks[..2]);
    run.release(&first);
    let second = run.claim();
    assert_eq!(of(&second), webhooks[2..]);
}

#[test]
fn a_concurrency_that_was_given_counts_the_claims_of_other_processes() {
    let mut run = Run::new(16);
    let crm = run.webhook("crm", |settings| settings.concurrency = Some(3));
    let deliveries: Vec<i64> = emit(&run.store, 0..20, 2).into_iter().map(|(_, id)| id).collect();
    let elsewhere = Lease { now: NOW, until: NOW.plus_millis(50_000), token: 7 };
    claim(&run.store, crm, &deliveries[..2], elsewhere);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.count(crm), 1);
    assert_eq!(run.count(crm), 0, "full, by this run's claim too");
    let mut other = Run { store: run.store, ..Run::new(16) };
    other.claimer.lanes.drain(&[]);
    assert_eq!(other.count(crm), 0);
    assert!(other.claimer.lanes.is_empty(), "others send as many as may be sent at once");
    assert_eq!(other.claimer.count_held_back(&other.store, super::Clock::new(Some(NOW)), &[]).unwrap(), 17);
}

#[test]
fn a_lease_that_ended_fills_no_place() {
    let mut run = Run::new(16);
    let crm = run.webhook("crm", |settings| settings.concurrency = Some(1));
    let deliveries: Vec<i64> = emit(&run.store, 0..2, 2).into_iter().map(|(_, id)| id).collect();
    claim(&run.store, crm, &deliveries[..1], Lease { now: NOW, until: NOW, token: 7 });
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.count(crm), 1);
}

#[test]
fn a_rate_limit_lets_through_its_burst_and_closes_the_lane_until_the_next_run() {
    let mut run = Run::new(16);
    let crm = run.webhook("crm", |settings| settings.rate_limit = Some(RateLimit::parse("50/s").unwrap()));
    emit(&run.store, 0..20, 2);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.count(crm), 5);
    assert_eq!(run.count(crm), 0);
    assert!(!run.claimer.lanes.is_empty(), "what is in flight may open the way");
}

#[test]
fn a_webhook_that_is_disabled_or_held_gets_nothing_and_its_lane_goes() {
    for stop in [
        (|health| health.is_active = false) as fn(&mut crate::domain::webhook::Health),
        |health| health.held_until = Some(NOW.plus_millis(1_000)),
        |health| health.breaker.open_until = Some(NOW.plus_millis(1_000)),
    ] {
        let mut run = Run::new(4);
        let crm = run.webhook("crm", |_| ());
        let deliveries = emit(&run.store, 0..3, 2);
        run.change_health(crm, stop);
        run.claimer.lanes.add(deliveries);
        assert_eq!(run.count(crm), 0);
        assert!(run.claimer.lanes.is_empty());
    }
}

#[test]
fn a_test_is_sent_whatever_the_state() {
    let mut run = Run::with_gates(1, Gates::Ignore);
    let crm = run.webhook("crm", |settings| settings.concurrency = Some(1));
    let deliveries = emit(&run.store, 0..2, 2);
    run.change_health(crm, |health| health.is_active = false);
    claim(&run.store, crm, &[deliveries[0].1], Lease { now: NOW, until: NOW.plus_millis(1_000), token: 7 });
    run.claimer.lanes.add([deliveries[1]]);
    assert_eq!(run.count(crm), 1);
}

#[test]
fn behind_an_open_breaker_one_probe_goes_and_only_when_nothing_is_in_flight() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |_| ());
    emit(&run.store, 0..9, 2);
    run.claimer.lanes.drain(&[]);
    let before = run.claim();
    run.change_health(crm, |health| health.breaker.open_until = Some(NOW));
    run.release(&before[1..]);
    assert_eq!(run.count(crm), 0, "what is in flight may tell more");
    run.release(&before[..1]);
    let probes = run.claim();
    assert_eq!(probes.iter().map(|job| job.is_probe).collect::<Vec<_>>(), [true]);
    run.in_flight = InFlight::default();
    assert_eq!(run.count(crm), 0, "a probe is out: another process sees it too");
}

#[test]
fn of_an_ordered_webhook_the_oldest_goes_alone() {
    for is_listed in [false, true] {
        let mut run = Run::new(4);
        let crm = run.webhook("crm", |settings| settings.order = Order::Webhook);
        let deliveries = emit(&run.store, 0..3, 2);
        let all: Vec<i64> = deliveries.iter().map(|(_, id)| *id).collect();
        match is_listed {
            true => run.claimer.lanes.add(deliveries),
            false => run.claimer.lanes.drain(&[]),
        }
        assert_eq!(ids(&run.claim()), all[..1]);
        assert_eq!(run.count(crm), 0);
        run.in_flight = InFlight::default();
        assert_eq!(run.count(crm), 0, "it is under way elsewhere");
    }
}

#[test]
fn a_list_is_claimed_in_its_order_and_what_is_not_due_is_left_out() {
    let mut run = Run::new(2);
    let crm = run.webhook("crm", |_| ());
    let deliveries = emit(&run.store, 0..8, 2);
    claim(&run.store, crm, &[deliveries[1].1], Lease { now: NOW, until: NOW.plus_millis(1_000), token: 7 });
    run.claimer.lanes.add(deliveries.clone());
    let first = run.claim();
    assert_eq!(ids(&first), [0, 2, 3, 4].map(|at| deliveries[at].1));
    assert_eq!(run.claimer.lanes.backlog(), 3);
    run.release(&first);
    run.claimer.lanes.want_again(first.iter().skip(3));
    assert_eq!(ids(&run.claim()), [5, 6, 7, 4].map(|at| deliveries[at].1));
    assert!(run.claimer.lanes.is_empty());
}

#[test]
fn a_limit_counts_what_is_in_flight() {
    let mut run = Run::new(8);
    let crm = run.webhook("crm", |_| ());
    emit(&run.store, 0..20, 2);
    run.claimer.lanes.drain(&[]);
    run.limit = Some(5);
    assert_eq!(run.count(crm), 5);
    assert_eq!(run.count(crm), 0);
    run.limit = Some(7);
    assert_eq!(run.count(crm), 2);
}

#[test]
fn payloads_in_flight_are_bounded_and_what_is_over_stays_due() {
    const MIB: usize = 1024 * 1024;
    let mut run = Run::new(16);
    let crm = run.webhook("crm", |_| ());
    emit(&run.store, 0..20, MIB);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.count(crm), 8);
    assert_eq!(run.count(crm), 0);
    assert_eq!(run.store.count_due(NOW, &[]).unwrap(), 12);
    let late = run.webhook("late", |_| ());
    emit(&run.store, 20..21, MIB);
    run.claimer.lanes.drain(&[late]);
    assert_eq!(run.counts(), BTreeMap::from([(late, 1)]), "one with nothing in flight still may");
}

#[test]
fn a_webhook_that_was_deleted_has_no_lane() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |_| ());
    let deliveries = emit(&run.store, 0..3, 2);
    run.store.delete_webhook(crm).unwrap();
    run.claimer.lanes.add(deliveries);
    assert_eq!(run.count(crm), 0);
    assert!(run.claimer.lanes.is_empty());
}

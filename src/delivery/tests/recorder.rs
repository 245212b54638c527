//! What results make of deliveries and webhooks, and what late ones do not.

use std::sync::Arc;

use super::{NOW, answered, claim, emit, job, record_group, timed_out, webhook};
use crate::clock::Clock;
use crate::delivery::job::{EndedJob, Ending, Job};
use crate::delivery::prepared::Prepared;
use crate::delivery::recorder::settle;
use crate::delivery::run::Summary;
use crate::delivery::step::Step;
use crate::domain::attempt::LocalTrouble;
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::{HealthChange, Lease, Store};

const LEASE_MS: i64 = 50_000;

struct World {
    store: Store,
    random: Random,
    webhook: Arc<Prepared>,
    deliveries: Vec<i64>,
}

impl World {
    fn new(events: usize) -> World {
        let store = Store::empty().unwrap();
        let webhook = webhook(&store);
        let deliveries = emit(&store, 0..events, 2).into_iter().map(|(_, id)| id).collect();
        World { store, random: Random::new().unwrap(), webhook, deliveries }
    }

    fn claim(&mut self, now: Timestamp) -> Vec<Job> {
        let lease = Lease { now, until: now.plus_millis(LEASE_MS), token: self.random.next_token() };
        let claimed = claim(&self.store, self.webhook.webhook_id, &self.deliveries, lease);
        claimed.deliveries.into_iter().map(|(claimed, _)| job(claimed, &self.webhook)).collect()
    }

    fn record(&mut self, jobs: &[Job], ending: impl Fn(&Job) -> Ending) -> Summary {
        let group: Vec<EndedJob> = jobs.iter().map(|job| EndedJob { job: job.clone(), ending: ending(job) }).collect();
        record_group(&self.store, &mut self.random, NOW, &group)
    }

    /// Everything that a result can change.
    fn all(&self) -> String {
        let webhook = self.store.webhook(self.webhook.webhook_id).unwrap().unwrap();
        let rows: Vec<_> = self.deliveries.iter().map(|id| self.store.delivery(*id).unwrap()).collect();
        let attempts: Vec<_> = self.deliveries.iter().map(|id| self.store.attempts(*id).unwrap()).collect();
        let counts = self.store.attempt_counts().unwrap();
        format!("{:?}\n{:?}\n{rows:?}\n{attempts:?}\n{counts:?}", webhook.health, webhook.counters)
    }
}

#[test]
fn a_result_whose_lease_another_process_took_over_changes_nothing() {
    for is_done in [false, true] {
        let mut world = World::new(6);
        let late = world.claim(NOW);
        let taken_over = world.claim(NOW.plus_millis(LEASE_MS));
        assert_eq!(taken_over.len(), 6);
        if is_done {
            world.record(&taken_over, |job| Ending::Attempted(answered(job, 200)));
        }
        let before = world.all();
        for ending in [
            (|job| Ending::Attempted(timed_out(job))) as fn(&Job) -> Ending,
            |job| Ending::Attempted(answered(job, 410)),
            |job| Ending::Attempted(answered(job, 200)),
            |job| Ending::Interrupted(timed_out(job)),
        ] {
            assert_eq!(world.record(&late, ending), Summary { lost: 6, ..Summary::default() });
            assert_eq!(world.all(), before);
        }
        assert_eq!(world.record(&late, |_| Ending::Unsent), Summary::default());
        assert_eq!(world.all(), before);
    }
}

#[test]
fn of_a_group_only_the_results_whose_claims_hold_count() {
    let mut world = World::new(4);
    let mut jobs = world.claim(NOW);
    for lost in &mut jobs[..2] {
        lost.claimed.token += 1;
    }
    let summary = world.record(&jobs, |job| Ending::Attempted(timed_out(job)));
    assert_eq!(summary, Summary { claimed: 2, retrying: 2, lost: 2, ..Summary::default() });
    let webhook = world.store.webhook(world.webhook.webhook_id).unwrap().unwrap();
    assert_eq!(webhook.health.breaker.failures, 2);
    assert_eq!(world.store.attempt_counts().unwrap().iter().map(|count| count.attempts).sum::<i64>(), 2);
}

#[test]
fn what_this_machine_lacked_costs_no_attempt_and_the_delivery_is_due_at_once() {
    let mut world = World::new(6);
    let before = world.all();
    let jobs = world.claim(NOW);
    let trouble = LocalTrouble("too many open files".to_owned());
    assert_eq!(world.record(&jobs, |_| Ending::Local(trouble.clone())), Summary::default());
    assert_eq!(world.all(), before);
}

#[test]
fn a_probe_that_told_nothing_lets_the_next_go_at_once() {
    for ending in [
        (|_| Ending::Unsent) as fn(&Job) -> Ending,
        |_| Ending::Local(LocalTrouble("no thread".to_owned())),
        |job| Ending::Interrupted(timed_out(job)),
    ] {
        let mut world = World::new(1);
        let id = world.webhook.webhook_id;
        let (mut health, _) = world.store.health(id).unwrap().unwrap();
        health.breaker = health.breaker.with_probe(NOW.plus_millis(LEASE_MS));
        let counted = crate::domain::webhook::Counters::default();
        world
            .store
            .save_healths(&[HealthChange { webhook_id: id, health: &health, before: &health, counted }])
            .unwrap();
        let mut jobs = world.claim(NOW);
        jobs[0].is_probe = true;
        world.record(&jobs, ending);
        let (health, _) = world.store.health(id).unwrap().unwrap();
        assert_eq!((health.breaker.open_until, health.breaker.probing), (Some(NOW), false));
    }
}

#[test]
fn a_probe_whose_claim_was_lost_leaves_the_breaker_to_the_one_that_took_over() {
    let mut world = World::new(1);
    let id = world.webhook.webhook_id;
    let mut late = world.claim(NOW);
    late[0].is_probe = true;
    let (mut health, _) = world.store.health(id).unwrap().unwrap();
    health.breaker = health.breaker.with_probe(NOW.plus_millis(2 * LEASE_MS));
    let counted = crate::domain::webhook::Counters::default();
    world.store.save_healths(&[HealthChange { webhook_id: id, health: &health, before: &health, counted }]).unwrap();
    world.claim(NOW.plus_millis(LEASE_MS));
    let before = world.all();
    world.record(&late, |_| Ending::Unsent);
    assert_eq!(world.all(), before);
}

#[test]
fn a_delivery_that_failed_for_good_is_announced_unless_it_is_an_announcement() {
    for (event_type, announced) in [("a.b", 1), ("delivery.failed", 0)] {
        let mut world = World::new(1);
        super::stored(&world.store, "ops", |settings| settings.events = vec!["delivery.failed".to_owned()]);
        let mut jobs = world.claim(NOW);
        let payload = crate::store::Payload { event_type: event_type.to_owned(), ..(*jobs[0].payload).clone() };
        jobs[0].payload = Arc::new(payload);
        assert_eq!(world.record(&jobs, |job| Ending::Attempted(answered(job, 410))).failed, 1);
        assert_eq!(world.store.count_due(NOW, &[]).unwrap(), announced, "{event_type}");
    }
}

#[test]
fn a_delivery_cancelled_under_way_stays_so_unless_it_was_delivered() {
    for (status, becomes) in [(500, Status::Cancelled), (200, Status::Success)] {
        let mut world = World::new(1);
        let jobs = world.claim(NOW);
        assert_eq!(world.store.cancel_deliveries(&world.deliveries).unwrap(), 1);
        world.record(&jobs, |job| Ending::Attempted(answered(job, status)));
        let delivery = world.store.delivery(world.deliveries[0]).unwrap().unwrap();
        assert_eq!((delivery.status, delivery.due_at, delivery.attempt_count), (becomes, None, 1));
    }
}

#[test]
fn a_webhook_that_is_disabled_by_a_group_is_announced_once() {
    let mut world = World::new(3);
    super::stored(&world.store, "ops", |settings| settings.events = vec!["webhook.disabled".to_owned()]);
    let jobs = world.claim(NOW);
    let summary = world.record(&jobs, |job| Ending::Attempted(answered(job, 410)));
    assert_eq!(summary, Summary { claimed: 3, failed: 3, ..Summary::default() });
    assert_eq!(world.store.count_due(NOW, &[]).unwrap(), 1);
    let counters = world.store.webhook(world.webhook.webhook_id).unwrap().unwrap().counters;
    assert_eq!((counters.successful, counters.failed), (0, 3));
}

#[test]
fn a_group_whose_commit_was_not_answered_is_recorded_once_and_counted_as_it_was() {
    let mut world = World::new(3);
    let jobs = world.claim(NOW);
    let statuses = [200, 410, 500];
    let ended =
        |(job, status): (&Job, u16)| EndedJob { job: job.clone(), ending: Ending::Attempted(answered(job, status)) };
    let group: Vec<EndedJob> = jobs.iter().zip(statuses).map(ended).collect();
    let first = record_group(&world.store, &mut world.random, NOW, &group);
    let before = world.all();
    let mut step = Step::locked(&world.store, &mut world.random, Clock::new(Some(NOW)), &group, &[]).unwrap();
    step.find_recorded(&group).unwrap();
    let again = settle(&mut step, &group);
    assert_eq!(again.summary, first);
    assert_eq!((again.results.len(), again.released.len(), step.states.changes().len()), (0, 0, 0));
    assert_eq!(world.all(), before);
}

#[test]
fn what_a_lost_transaction_claimed_is_due_again() {
    let mut world = World::new(2);
    let id = world.webhook.webhook_id;
    let lease = Lease { now: NOW, until: NOW.plus_millis(LEASE_MS), token: 7 };
    claim(&world.store, id, &world.deliveries, lease);
    world.store.release_leases(&[(id, Lease { token: 8, ..lease })], NOW).unwrap();
    assert_eq!(world.store.count_due(NOW, &[]).unwrap(), 0);
    world.store.release_leases(&[(id, lease)], NOW).unwrap();
    assert_eq!(world.claim(NOW).len(), 2);
}

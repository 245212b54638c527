//! What results make of deliveries and webhooks, and what late ones do not.

use std::sync::Arc;

use super::{NOW, answered, claim, emit, job, record_group, timed_out, webhook};
use crate::clock::Clock;
use crate::delivery::job::{EndedJob, Ending, Job};
use crate::delivery::prepared::{Prepared, failed};
use crate::delivery::recorder::settle;
use crate::delivery::run::Summary;
use crate::delivery::step::{Expected, Step};
use crate::domain::attempt::{Attempt, ErrorType, LocalTrouble};
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Order;
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
    let mut step =
        Step::locked(&world.store, &mut world.random, Clock::new(Some(NOW)), &group, &[], Expected::Nothing).unwrap();
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

/// The operational events that were stored, with their data, oldest first.
fn announced(world: &World) -> Vec<(String, serde_json::Value)> {
    let filter = crate::store::EventFilter::default();
    let mut events = world.store.events(&filter).unwrap();
    events.retain(|event| event.event_type.starts_with("webhook."));
    events.reverse();
    let data = |event: &crate::store::EventRow| {
        let payload = world.store.payload(event.id).unwrap().unwrap();
        serde_json::from_slice::<serde_json::Value>(&payload).unwrap()["data"].clone()
    };
    events.iter().map(|event| (event.event_type.clone(), data(event))).collect()
}

#[test]
fn a_webhook_that_fails_and_recovers_is_announced_once_each_with_how_often_it_failed() {
    let mut world = World::new(14);
    super::stored(&world.store, "ops", |settings| settings.events = vec!["webhook.*".to_owned()]);
    let jobs = world.claim(NOW);
    let mut record = |range: std::ops::Range<usize>, status| {
        world.record(&jobs[range], |job| Ending::Attempted(answered(job, status)));
        announced(&world).len()
    };
    assert_eq!((record(0..4, 500), record(4..5, 500)), (0, 1));
    assert_eq!((record(5..6, 200), record(6..7, 200)), (2, 2));
    assert_eq!((record(7..13, 500), record(13..14, 200)), (3, 4));
    let announced = announced(&world);
    let told: Vec<_> = announced.iter().map(|(name, data)| (&**name, data["failures"].as_i64())).collect();
    let (failing, recovered) = ("webhook.failing", "webhook.recovered");
    assert_eq!(told, [(failing, Some(5)), (recovered, Some(5)), (failing, Some(5)), (recovered, Some(6))]);
    assert_eq!(announced[0].1["response_status_code"], 500);
}

#[test]
fn deliveries_are_counted_by_their_own_webhook_when_they_are_finished() {
    let mut world = World::new(0);
    let other = super::prepared(&world.store, super::stored(&world.store, "other", |_| ()));
    let both = emit(&world.store, 0..4, 2);
    let of = |id: i64| both.iter().filter(|(of, _)| *of == id).map(|(_, id)| *id).collect::<Vec<_>>();
    world.deliveries = of(world.webhook.webhook_id);
    let mut jobs = world.claim(NOW);
    let lease = Lease { now: NOW, until: NOW.plus_millis(LEASE_MS), token: 7 };
    let claimed = claim(&world.store, other.webhook_id, &of(other.webhook_id)[..1], lease);
    jobs.extend(claimed.deliveries.into_iter().map(|(claimed, _)| job(claimed, &other)));
    let statuses = [200, 200, 410, 500, 200];
    let status = |job: &Job| statuses[jobs.iter().position(|known| known.claimed.id == job.claimed.id).unwrap()];
    world.record(&jobs, |job| Ending::Attempted(answered(job, status(job))));
    let counters = |id| world.store.webhook(id).unwrap().unwrap().counters;
    let (own, others) = (counters(world.webhook.webhook_id), counters(other.webhook_id));
    assert_eq!((own.total, own.successful, own.failed), (4, 2, 1));
    assert_eq!((others.total, others.successful, others.failed), (4, 1, 0));
    let attempts = world.store.attempt_counts().unwrap();
    let of = |id| attempts.iter().filter(|count| count.webhook_id == id).map(|count| count.attempts).sum::<i64>();
    assert_eq!((of(world.webhook.webhook_id), of(other.webhook_id)), (4, 1));
}

#[test]
fn attempts_are_counted_by_outcome_and_duration() {
    let mut world = World::new(5);
    let jobs = world.claim(NOW);
    let durations = [3, 4, 70_000, -1, 1];
    let attempt = |job: &Job| {
        let at = jobs.iter().position(|known| known.claimed.id == job.claimed.id).unwrap();
        let status = if at == 1 { 500 } else { 200 };
        Ending::Attempted(Attempt { duration_ms: durations[at], ..answered(job, status) })
    };
    world.record(&jobs, attempt);
    let counts = world.store.attempt_counts().unwrap();
    let of = |outcome: &str| {
        let alike = counts.iter().filter(|count| count.outcome == outcome);
        alike.map(|count| (count.attempts, count.duration_ms)).collect::<Vec<_>>()
    };
    assert_eq!(of("success"), [(3, 4), (1, 70_000)], "a duration below zero is none");
    assert_eq!(of("http_error"), [(1, 4)]);
}

#[test]
fn each_failure_of_a_proxy_doubles_the_delay_and_a_retry_by_hand_begins_anew() {
    let mut world = World::new(1);
    let due = |world: &World| world.store.delivery(world.deliveries[0]).unwrap().unwrap().due_at.unwrap();
    let fail = |world: &mut World, now| {
        let jobs = world.claim(now);
        let attempt = |job: &Job| super::attempted(job, failed(ErrorType::ProxyError, "no".to_owned()));
        assert_eq!(world.record(&jobs, |job| Ending::Attempted(attempt(job))).retrying, 1);
        due(world).millis_since(NOW)
    };
    assert_eq!(fail(&mut world, NOW), 60_000);
    let now = due(&world);
    assert_eq!(fail(&mut world, now), 120_000);
    world.store.retry_deliveries(&world.deliveries, NOW).unwrap();
    assert_eq!(fail(&mut world, NOW), 60_000);
    // An attempt that was answered is a retry, and no failure of the proxy.
    let mut world = World::new(1);
    let jobs = world.claim(NOW);
    world.record(&jobs, |job| Ending::Attempted(answered(job, 500)));
    let now = due(&world);
    assert_eq!(fail(&mut world, now), 60_000);
}

#[test]
fn a_test_that_was_cut_off_has_failed_and_changes_nothing_about_its_webhook() {
    let mut world = World::new(1);
    super::stored(&world.store, "ops", |settings| settings.events = vec!["delivery.failed".to_owned()]);
    let mut jobs = world.claim(NOW);
    let before = world.store.health(world.webhook.webhook_id).unwrap();
    jobs[0].claimed.is_test = true;
    assert_eq!(world.record(&jobs, |job| Ending::Interrupted(timed_out(job))).failed, 1);
    assert_eq!(world.store.health(world.webhook.webhook_id).unwrap(), before);
    assert_eq!(world.store.attempt_counts().unwrap(), []);
    assert_eq!(world.store.webhook(world.webhook.webhook_id).unwrap().unwrap().counters.failed, 0);
    assert_eq!((announced(&world), world.store.count_due(NOW, &[]).unwrap()), (Vec::new(), 0), "nobody is told");
}

#[test]
fn an_interrupted_attempt_costs_no_retry_and_is_due_at_once() {
    let mut world = World::new(1);
    let jobs = world.claim(NOW);
    assert_eq!(world.record(&jobs, |job| Ending::Interrupted(timed_out(job))).retrying, 1);
    let delivery = world.store.delivery(world.deliveries[0]).unwrap().unwrap();
    assert_eq!((delivery.due_at, delivery.retry_count, delivery.attempt_count), (Some(NOW), 0, 1));
}

#[test]
fn what_may_hold_others_in_line_is_told_where_there_are_lines_or_where_there_may_be() {
    for (order, is_changed, told) in
        [(Order::None, false, 0), (Order::Key, false, 2), (Order::Webhook, false, 0), (Order::None, true, 2)]
    {
        let mut world = World::new(3);
        let id = super::stored(&world.store, "lines", |settings| settings.order = order);
        world.deliveries =
            emit(&world.store, 10..13, 2).into_iter().filter(|(of, _)| *of == id).map(|(_, id)| id).collect();
        world.webhook = super::prepared(&world.store, id);
        let jobs = world.claim(NOW);
        if is_changed {
            world.store.pause_webhook(id, NOW).unwrap();
        }
        let statuses = [200, 410, 500];
        let ended = |(job, status): (&Job, u16)| EndedJob {
            job: job.clone(),
            ending: Ending::Attempted(answered(job, status)),
        };
        let group: Vec<EndedJob> = jobs.iter().zip(statuses).map(ended).collect();
        let mut step =
            Step::locked(&world.store, &mut world.random, Clock::new(Some(NOW)), &group, &[], Expected::Nothing)
                .unwrap();
        let finished: Vec<i64> = settle(&mut step, &group).ended;
        assert_eq!(finished, world.deliveries[..told], "{order:?} {is_changed}");
    }
}

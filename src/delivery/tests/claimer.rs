//! What is claimed, for whom, and how many, given what is due and what is in flight.

use std::collections::BTreeMap;
use std::time::Instant;

use super::claiming::{Run, ids};
use super::{NOW, claim, emit};
use crate::delivery::job::{EndedJob, Ending, Job};
use crate::delivery::room::Room;
use crate::store::{LEASE_MARGIN_MS, Lease};

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
fn two_webhooks_claim_for_eight_workers_each_however_many_there_are() {
    let mut run = Run::new(64);
    let (one, two) = (run.webhook("one", |_| ()), run.webhook("two", |_| ()));
    emit(&run.store, 0..40, 2);
    run.claimer.lanes.drain(&[]);
    assert_eq!(run.counts(), BTreeMap::from([(one, 16), (two, 16)]));
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
fn what_is_in_flight_is_counted_with_its_bytes_until_it_is_recorded() {
    let mut run = Run::new(2);
    let crm = run.webhook("crm", |_| ());
    emit(&run.store, 0..3, 5);
    run.claimer.lanes.drain(&[]);
    let jobs = run.claim();
    assert_eq!((run.in_flight.total(), run.in_flight.bytes(), run.in_flight.of(crm)), (3, 15, 3));
    run.release(&jobs[..2]);
    assert_eq!((run.in_flight.total(), run.in_flight.bytes(), run.in_flight.of(crm)), (1, 5, 1));
    assert!(!run.in_flight.is_empty() && run.in_flight.webhooks().eq([crm]));
    run.release(&jobs[2..]);
    assert_eq!((run.in_flight.total(), run.in_flight.bytes(), run.in_flight.of(crm)), (0, 0, 0));
    assert!(run.in_flight.is_empty() && run.in_flight.webhooks().next().is_none());
}

#[test]
fn what_a_webhook_with_nothing_in_flight_may_claim_beyond_the_room_is_bounded_too() {
    let mut run = Run::new(4);
    run.webhook("crm", |_| ());
    emit(&run.store, 0..1, 2);
    run.claimer.lanes.drain(&[]);
    let jobs = run.claim();
    for (in_flight, lanes) in [(3 * 4 + 767, 1), (3 * 4 + 768, 0)] {
        while run.in_flight.total() < in_flight {
            run.in_flight.enter(&jobs[0]);
        }
        assert_eq!(Room::new(run.shares, &run.in_flight, 0, None).lanes(), lanes, "{in_flight} in flight");
    }
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
fn a_lease_outlives_the_time_out_of_its_attempt() {
    let mut run = Run::new(4);
    run.webhook("crm", |settings| settings.timeout_ms = 7_000);
    let delivery = emit(&run.store, 0..1, 2)[0].1;
    run.claimer.lanes.drain(&[]);
    let before = Instant::now();
    let jobs = run.claim();
    assert!(jobs[0].start_before > before, "a worker may begin it");
    assert_eq!(ids(&jobs), [delivery]);
    assert_eq!(run.store.delivery(delivery).unwrap().unwrap().due_at, Some(NOW.plus_millis(7_000 + LEASE_MARGIN_MS)));
    let begins = jobs[0].start_before.saturating_duration_since(Instant::now()).as_millis();
    assert!(begins <= LEASE_MARGIN_MS as u128, "what begins {begins} ms from now ends after its lease");
}

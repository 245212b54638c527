//! What the state of a webhook lets through: whether it is active, its breaker, its limits, the order that it keeps.

use std::time::Duration;

use super::claiming::{Run, ids, keyed};
use super::{NOW, claim, emit, options};
use crate::clock::Clock;
use crate::delivery::Hold;
use crate::delivery::in_flight::InFlight;
use crate::delivery::passage::is_blocked;
use crate::delivery::run::{Gates, RunOptions};
use crate::domain::rate_limit::RateLimit;
use crate::domain::webhook::{Health, Order, Pause, Settings};
use crate::store::Lease;

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
    let held_back = other.claimer.held_back(&other.store, Clock::new(Some(NOW)), &[]).unwrap();
    assert_eq!(held_back.iter().map(|held| (held.count, held.hold)).collect::<Vec<_>>(), [(17, Hold::Concurrency)]);
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
        (|health| health.is_active = false) as fn(&mut Health),
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
fn a_webhook_that_was_deleted_has_no_lane() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |_| ());
    let deliveries = emit(&run.store, 0..3, 2);
    run.store.delete_webhook(crm).unwrap();
    run.claimer.lanes.add(deliveries);
    assert_eq!(run.count(crm), 0);
    assert!(run.claimer.lanes.is_empty());
}

#[test]
fn a_test_waits_neither_for_an_order_nor_for_a_rate_and_costs_none() {
    let mut run = Run::with_gates(1, Gates::Ignore);
    let crm = run.webhook("crm", |settings| {
        settings.order = Order::Webhook;
        settings.rate_limit = Some(RateLimit::parse("1/h").unwrap());
    });
    let deliveries = emit(&run.store, 0..2, 2);
    claim(&run.store, crm, &[deliveries[0].1], Lease { now: NOW, until: NOW.plus_millis(1_000), token: 7 });
    run.change_health(crm, |health| health.rate_next_us = 3_600_000_000);
    run.claimer.lanes.add([deliveries[1]]);
    assert_eq!(run.count(crm), 1);
    assert_eq!(run.store.health(crm).unwrap().unwrap().0.rate_next_us, 3_600_000_000);
}

#[test]
fn what_waits_in_lines_for_others_is_given_up_when_nothing_of_this_run_is_in_flight() {
    let mut run = Run::new(4);
    let crm = run.webhook("crm", |settings| settings.order = Order::Key);
    let deliveries = keyed(&run.store, 0..3);
    run.claimer.lanes.add(deliveries[..2].to_vec());
    let first = run.claim();
    assert_eq!(ids(&first), [deliveries[0].1], "the second is behind it");
    assert_eq!(run.count(crm), 0);
    assert!(!run.claimer.lanes.is_empty(), "it may move up");
    run.in_flight = InFlight::default();
    assert_eq!(run.count(crm), 0);
    assert!(run.claimer.lanes.is_empty(), "another process sends what it waits for");
}

#[test]
fn a_run_that_waits_for_rates_keeps_the_lane_of_one_that_lets_go_soon() {
    for (rate, waits_for_rate, stays) in [("30/m", true, true), ("30/m", false, false), ("1/h", true, false)] {
        let mut run = Run::with(RunOptions { waits_for_rate, clock: Clock::new(None), ..options(4) });
        let crm = run.webhook("crm", |settings| settings.rate_limit = Some(RateLimit::parse(rate).unwrap()));
        run.claimer.lanes.add(emit(&run.store, 0..50, 2));
        // Whoever is held up for two seconds between these finds the limit open, and tries again.
        loop {
            run.change_health(crm, |health| health.rate_next_us = run.clock.now_us() + 6_000_000);
            if run.count(crm) == 0 {
                break;
            }
            run.in_flight = InFlight::default();
        }
        assert_eq!(!run.claimer.lanes.is_empty(), stays, "{rate} {waits_for_rate}");
        let wait = run.claimer.lanes.rate_wait();
        assert_eq!(wait.is_some(), stays, "{rate} {waits_for_rate}");
        assert!(wait.is_none_or(|wait| wait <= Duration::from_secs(2)), "{wait:?}");
        if stays {
            run.change_health(crm, |health| health.rate_next_us = 0);
            assert!(run.count(crm) > 0);
            assert_eq!(run.claimer.lanes.rate_wait(), None, "it waits no longer");
        }
    }
}

#[test]
fn what_is_due_and_held_back_is_counted_by_what_holds_it() {
    let mut run = Run::new(4);
    let limited = |settings: &mut Settings| settings.concurrency = Some(5);
    let [_free, held, open, ordered, _limited, rated, disabled] = [
        run.webhook("free", |_| ()),
        run.webhook("held", |_| ()),
        run.webhook("open", |_| ()),
        run.webhook("ordered", |settings| settings.order = Order::Webhook),
        run.webhook("limited", limited),
        run.webhook("rated", |settings| settings.rate_limit = Some(RateLimit::parse("1/h").unwrap())),
        run.webhook("disabled", |_| ()),
    ];
    emit(&run.store, 0..3, 2);
    run.change_health(held, |health| health.held_until = Some(NOW.plus_millis(1_000)));
    run.change_health(open, |health| health.breaker.open_until = Some(NOW.plus_millis(1_000)));
    run.change_health(rated, |health| health.rate_next_us = 3_600_000_000);
    run.change_health(disabled, |health| health.is_active = false);
    let mut held_back = |webhooks: &[i64]| -> Vec<(String, u64, Hold)> {
        let held_back = run.claimer.held_back(&run.store, run.clock, webhooks).unwrap();
        held_back.into_iter().map(|held| (held.webhook, held.count, held.hold)).collect()
    };
    let until = NOW.plus_millis(1_000);
    let expected = [
        ("held", Hold::Pause(Pause::Held(until))),
        ("open", Hold::Pause(Pause::Refusing(until))),
        ("ordered", Hold::Order),
        ("rated", Hold::RateLimit),
    ];
    assert_eq!(held_back(&[]), expected.map(|(name, hold)| (name.to_owned(), 3, hold)));
    assert_eq!((held_back(&[held]).len(), held_back(&[ordered, open]).len()), (1, 2));
    assert_eq!(held_back(&[disabled]), [], "nothing is due of it");
}

#[test]
fn what_was_claimed_ahead_is_given_back_when_its_webhook_is_disabled_paused_held_or_not_reached() {
    let run = Run::new(1);
    let crm = run.webhook("crm", |_| ());
    let after = |change: fn(&mut Health)| {
        let (mut health, _) = run.store.health(crm).unwrap().unwrap();
        change(&mut health);
        is_blocked(&health, NOW)
    };
    assert!(!after(|_| ()));
    let stops: [fn(&mut Health); 5] = [
        |health| health.is_active = false,
        |health| health.paused_at = Some(NOW),
        |health| health.held_until = Some(NOW.plus_millis(1_000)),
        |health| health.breaker.open_until = Some(NOW.plus_millis(1_000)),
        |health| health.breaker.open_until = Some(NOW),
    ];
    assert_eq!(stops.map(after), [true; 5]);
}

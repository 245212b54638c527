//! What is claimed of which webhook, how much of it, and what is said about the rest.

use std::sync::Arc;

use super::*;
use crate::domain::webhook::{Counters, Health, Order, Settings};
use crate::store::{GroupChange, HealthChange};

/// A time late enough for deliveries to be due before it.
fn now() -> Timestamp {
    Timestamp::from_millis(1_000_000)
}

/// How long a lease lasts here, in milliseconds.
const LEASE_MS: i64 = 50_000;

fn webhook(store: &Store, name: &str, order: Order) -> i64 {
    let settings = Settings { name: name.to_owned(), order, ..Settings::default() };
    store.insert_webhook(&settings, true, None, now()).unwrap()
}

/// So many events: number n carries `payload n`. Their rows are numbered from 1.
fn events(store: &Store, count: i64) {
    for number in 1..=count {
        let sql = "INSERT INTO events (event_id, event_type, payload, fingerprint, created_at)
            VALUES ('e' || $1, 'a.b', CAST('payload ' || $1 AS BLOB), x'', 0)";
        store.execute(sql, params![number]).unwrap();
    }
}

/// A delivery of an event, due at a time, in a line.
fn deliver(store: &Store, webhook: i64, event: i64, due_at: Timestamp, line: Option<&str>) -> i64 {
    let sql = "INSERT INTO deliveries (webhook_id, event_id, event_type, status, due_at, line, created_at)
        VALUES ($1, $2, 'a.b', 'pending', $3, $4, 0)";
    store.insert(sql, params![webhook, event, due_at, line]).unwrap().unwrap()
}

/// A webhook with so many deliveries that are due: one each millisecond, the last one now.
fn due(order: Order, count: i64) -> (Store, i64, Vec<i64>) {
    let store = Store::empty().unwrap();
    let id = webhook(&store, "crm", order);
    events(&store, count);
    let line = match order {
        Order::None => None,
        Order::Webhook => Some("*"),
        Order::Key => Some("customer-7"),
    };
    let at = |event| now().plus_millis(event - count);
    let deliveries = (1..=count).map(|event| deliver(&store, id, event, at(event), line)).collect();
    (store, id, deliveries)
}

fn lease(now: Timestamp, token: i64) -> Lease {
    Lease { now, until: now.plus_millis(LEASE_MS), token }
}

fn lane(webhook_id: i64, wanted: Wanted<'_>, most: usize) -> LaneClaim<'_> {
    LaneClaim {
        webhook_id,
        wanted,
        most,
        at_once: None,
        is_counted: false,
        lease: lease(now(), 7),
        cost: ClaimCost::default(),
    }
}

fn claim(store: &Store, lane: LaneClaim<'_>) -> LaneClaimed {
    store.claim_lanes(&[lane], usize::MAX).unwrap().remove(0)
}

fn ids(claimed: &LaneClaimed) -> Vec<i64> {
    claimed.deliveries.iter().map(|(claimed, _)| claimed.id).collect()
}

fn due_now(store: &Store) -> u64 {
    store.count_due(now(), &[]).unwrap()
}

/// Commits a turn that does nothing but claim.
fn commit(store: &Store, lanes: &[LaneClaim<'_>]) -> Vec<LaneClaimed> {
    let change = GroupChange {
        is_expected: false,
        results: &[],
        released: &[],
        now: now(),
        attempt_counts: &[],
        states: &[],
        ended: &[],
        lanes,
        bytes: usize::MAX,
    };
    store.commit_group(&change).unwrap().claimed
}

#[test]
fn the_longest_due_are_claimed_until_their_lease_ends() {
    let (store, id, all) = due(Order::None, 4);
    let first = claim(&store, lane(id, Wanted::Due, 3));
    assert_eq!(ids(&first), all[..3]);
    let (one, _) = &first.deliveries[0];
    assert_eq!((one.token, one.attempt_number, one.retry_count, one.trigger), (7, 1, 0, Trigger::Scheduled));
    assert_eq!(ids(&claim(&store, lane(id, Wanted::Due, 9))), all[3..], "what is due at this very moment goes too");
    for (at, again) in [(LEASE_MS - 1, 0), (LEASE_MS, 4)] {
        let lane = LaneClaim { lease: lease(now().plus_millis(at), 8), ..lane(id, Wanted::Due, 9) };
        assert_eq!(claim(&store, lane).count(), again, "{at} ms later");
    }
}

#[test]
fn a_claim_that_got_less_than_it_might_says_that_there_is_no_more() {
    let (store, id, _) = due(Order::None, 5);
    assert!(!claim(&store, lane(id, Wanted::Due, 3)).is_exhausted, "three of five");
    let rest = claim(&store, lane(id, Wanted::Due, 3));
    assert_eq!((rest.count(), rest.is_exhausted), (2, true));
    let (store, id, _) = due(Order::None, 3);
    assert!(!claim(&store, lane(id, Wanted::Due, 3)).is_exhausted, "there may be more than it asked for");
    assert!(claim(&store, lane(id, Wanted::Due, 3)).is_exhausted, "none are left");
}

#[test]
fn each_claim_carries_the_bytes_of_its_own_delivery_and_those_that_are_equal_are_read_once() {
    let (store, one, _) = due(Order::None, 2);
    let two = webhook(&store, "two", Order::None);
    let shaped = deliver(&store, two, 1, now(), None);
    let plain = deliver(&store, two, 2, now().plus_millis(-1), None);
    store.execute("INSERT INTO bodies (id, event_id, number, body) VALUES (5, 1, 1, x'6f6b')", &[]).unwrap();
    store.execute("UPDATE deliveries SET body_id = 5 WHERE id = $1", params![shaped]).unwrap();
    let claimed = store.claim_lanes(&[lane(one, Wanted::Due, 9), lane(two, Wanted::Listed(&[plain, shaped]), 9)], 99);
    let payloads: Vec<_> = claimed.unwrap().into_iter().flat_map(|lane| lane.deliveries).collect();
    let texts: Vec<_> = payloads.iter().map(|(_, payload)| String::from_utf8_lossy(&payload.bytes)).collect();
    assert_eq!(texts, ["payload 1", "payload 2", "payload 2", "ok"]);
    assert_eq!(payloads.iter().map(|(_, payload)| &*payload.event_id).collect::<Vec<_>>(), ["e1", "e2", "e2", "e1"]);
    assert!(Arc::ptr_eq(&payloads[1].1, &payloads[2].1), "two webhooks get one event: its bytes are in memory once");
}

#[test]
fn no_more_is_claimed_once_the_payloads_have_so_many_bytes_and_what_is_over_is_due_at_once() {
    let (store, id, all) = due(Order::None, 5);
    let of = |bytes| store.claim_lanes(&[lane(id, Wanted::Due, 9)], bytes).unwrap().remove(0);
    let some = of(10);
    assert_eq!((ids(&some), some.is_exhausted), (all[..2].to_vec(), false), "each has nine bytes");
    assert_eq!(due_now(&store), 3);
    assert_eq!(ids(&of(9)), all[2..3]);
    assert_eq!(ids(&of(0)), [0; 0]);
    let listed = store.claim_lanes(&[lane(id, Wanted::Listed(&all[3..]), 9)], 9).unwrap().remove(0);
    assert_eq!((ids(&listed), listed.tried, listed.is_exhausted), (all[3..4].to_vec(), 1, false));
}

#[test]
fn of_a_list_so_many_as_are_wanted_are_claimed_in_its_order_and_it_is_said_how_many_were_tried() {
    let (store, id, all) = due(Order::None, 5);
    let listed = [all[4], all[1], all[0], all[2]];
    claim(&store, lane(id, Wanted::Listed(&[all[1]]), 1));
    let two = claim(&store, lane(id, Wanted::Listed(&listed), 2));
    assert_eq!((ids(&two), two.tried, two.is_exhausted), (vec![all[4], all[0]], 3, false));
    let rest = claim(&store, lane(id, Wanted::Listed(&listed[3..]), 2));
    assert_eq!((ids(&rest), rest.tried, rest.is_exhausted), (vec![all[2]], 1, true));
    assert_eq!(due_now(&store), 1, "what is not listed stays due");
}

#[test]
fn of_an_ordered_webhook_its_head_goes_alone_if_it_is_wanted() {
    let (store, id, all) = due(Order::Webhook, 3);
    let other = claim(&store, lane(id, Wanted::HeadIfListed(&all[1..]), 9));
    assert_eq!((ids(&other), other.head, other.is_exhausted), (vec![], None, true), "the head is not listed");
    let head = claim(&store, lane(id, Wanted::HeadIfListed(&all[..1]), 9));
    assert_eq!((ids(&head), head.head, head.is_exhausted), (all[..1].to_vec(), Some(all[0]), false));
    let again = claim(&store, lane(id, Wanted::Head, 9));
    assert_eq!((ids(&again), again.head, again.is_exhausted), (vec![], None, true), "it is under way");
}

#[test]
fn a_head_that_is_not_due_or_was_put_before_the_one_under_way_holds_the_rest() {
    let (store, id, all) = due(Order::Webhook, 3);
    let later = "UPDATE deliveries SET due_at = $1 WHERE id = $2";
    store.execute(later, params![now().plus_millis(1), all[0]]).unwrap();
    assert_eq!(ids(&claim(&store, lane(id, Wanted::Head, 9))), [0; 0]);
    // The first one ends, the second is under way, and the first is retried by hand.
    store.execute("UPDATE deliveries SET due_at = NULL WHERE id = $1", params![all[0]]).unwrap();
    assert_eq!(ids(&claim(&store, lane(id, Wanted::Head, 9))), all[1..2]);
    store.execute(later, params![now(), all[0]]).unwrap();
    assert_eq!(ids(&claim(&store, lane(id, Wanted::Head, 9))), [0; 0]);
    let late = LaneClaim { lease: lease(now().plus_millis(LEASE_MS), 8), ..lane(id, Wanted::Head, 9) };
    assert_eq!(ids(&claim(&store, late)), all[..1], "the lease of the one under way has ended");
}

#[test]
fn heads_of_lines_are_claimed_and_of_a_list_it_is_said_who_is_behind() {
    let (store, id, all) = due(Order::Key, 4);
    let free = all[3];
    store.execute("UPDATE deliveries SET line = '' WHERE id = $1", params![free]).unwrap();
    let listed = [all[1], free, all[0]];
    let one = claim(&store, lane(id, Wanted::ListedInFront(&listed), 1));
    assert_eq!((ids(&one), &*one.behind, one.tried, one.is_exhausted), (vec![free], &all[1..2], 2, false));
    let head = claim(&store, lane(id, Wanted::InFront, 1));
    assert_eq!((ids(&head), head.is_exhausted), (all[..1].to_vec(), false), "it got as many as it asked for");
    let none = claim(&store, lane(id, Wanted::InFront, 1));
    assert_eq!((ids(&none), none.is_exhausted), (vec![], true), "the others are behind it");
}

#[test]
fn heads_for_which_no_bytes_are_left_stay_due() {
    let (store, id, all) = due(Order::Key, 1);
    let none = store.claim_lanes(&[lane(id, Wanted::InFront, 5)], 0).unwrap().remove(0);
    assert_eq!((ids(&none), none.is_exhausted), (vec![], false));
    assert_eq!(ids(&claim(&store, lane(id, Wanted::InFront, 5))), all);
}

#[test]
fn all_processes_together_hold_as_many_claims_as_the_webhook_allows() {
    let (store, id, all) = due(Order::None, 6);
    let limited = |at_once, most| LaneClaim { at_once: Some(at_once), ..lane(id, Wanted::Due, most) };
    assert_eq!(ids(&claim(&store, limited(3, 2))), all[..2], "no more than is wanted");
    assert_eq!(ids(&claim(&store, limited(3, 9))), all[2..3]);
    let full = claim(&store, limited(3, 9));
    assert!(full.is_full && full.count() == 0 && !full.is_exhausted);
    assert!(claim(&store, limited(2, 9)).is_full, "it was lowered meanwhile");
    assert!(!claim(&store, limited(9, 1)).is_full);
    let later = now().plus_millis(LEASE_MS);
    let others = |now| store.count_claims(id, now, lease(now, 0).until).unwrap();
    assert_eq!((others(now()), others(later.plus_millis(-1)), others(later)), (4, 4, 0), "leases end");
    assert_eq!(
        store.count_claims(id, now(), later.plus_millis(-1 - CLOCK_SKEW_MS)).unwrap(),
        0,
        "no claim lasts as long as a retry waits"
    );
}

#[test]
fn only_active_webhooks_with_something_due_are_asked_for() {
    let (store, ready, _) = due(Order::None, 2);
    let [later, disabled, paused, _idle] =
        ["later", "disabled", "paused", "idle"].map(|name| webhook(&store, name, Order::None));
    deliver(&store, later, 1, now().plus_millis(1), None);
    deliver(&store, disabled, 1, now(), None);
    deliver(&store, paused, 1, now(), None);
    store.disable_webhook(disabled, "for a test", now()).unwrap();
    store.pause_webhook(paused, now()).unwrap();
    assert_eq!(store.due_webhooks(now()).unwrap(), [ready]);
    assert_eq!(store.due_webhooks(now().plus_millis(1)).unwrap(), [ready, later]);
}

#[test]
fn what_claims_cost_is_added_up_by_their_number_for_their_own_webhook() {
    let (store, id, _) = due(Order::None, 3);
    let other = webhook(&store, "other", Order::None);
    let health = |id| store.health(id).unwrap().unwrap().0;
    let rate = Some(RateCost { start_us: 1_000, each_us: 20 });
    let cost = |rate, is_probe| ClaimCost { rate, is_probe };
    let of = |id, most, cost| LaneClaim { cost, ..lane(id, Wanted::Due, most) };
    let claimed = commit(&store, &[of(id, 2, cost(rate, false)), of(other, 2, cost(rate, true))]);
    assert_eq!(claimed.iter().map(LaneClaimed::count).collect::<Vec<_>>(), [2, 0]);
    assert_eq!((health(id).rate_next_us, health(id).breaker.probing), (1_040, false));
    assert_eq!((health(other).rate_next_us, health(other).breaker.probing), (0, false), "nothing was claimed");
    commit(&store, &[of(id, 2, cost(None, true))]);
    let Health { breaker, rate_next_us, .. } = health(id);
    assert_eq!((rate_next_us, breaker.probing), (1_040, true));
    assert_eq!(breaker.open_until, Some(now().plus_millis(LEASE_MS)), "until the lease of the probe ends");
}

#[test]
fn claims_that_cost_nothing_leave_the_state_as_it_is() {
    let (store, id, _) = due(Order::None, 3);
    let (mut before, _) = store.health(id).unwrap().unwrap();
    before.rate_next_us = 5;
    before.breaker.open_until = Some(now());
    let counted = Counters::default();
    store.save_healths(&[HealthChange { webhook_id: id, health: &before, before: &before, counted }]).unwrap();
    commit(&store, &[lane(id, Wanted::Due, 2)]);
    assert_eq!(store.health(id).unwrap().unwrap().0, before);
}

#[test]
fn a_claim_by_id_is_given_once() {
    let (store, _, all) = due(Order::None, 2);
    assert_eq!(store.claim_one(all[1], lease(now(), 7)).unwrap().map(|claimed| claimed.id), Some(all[1]));
    assert!(store.claim_one(all[1], lease(now(), 8)).unwrap().is_none());
    assert!(store.claim_one(99, lease(now(), 8)).unwrap().is_none());
    assert_eq!(store.claimed(all[1]).unwrap().map(|claimed| claimed.token), Some(7));
}

#[test]
fn an_event_whose_payload_is_gone_is_an_error_that_says_so() {
    let (store, _, _) = due(Order::None, 1);
    assert!(matches!(store.load_payload((99, None)), Err(StoreError::Gone("event"))));
    assert!(matches!(store.load_payload((1, Some(3))), Err(StoreError::Gone("event"))), "a body that is not there");
}

#[test]
fn one_that_was_cancelled_during_its_attempt_holds_its_line_until_its_lease_ends() {
    for (order, wanted) in [(Order::Webhook, Wanted::Head), (Order::Key, Wanted::InFront)] {
        let (store, id, all) = due(order, 2);
        assert_eq!(ids(&claim(&store, lane(id, wanted, 1))), all[..1]);
        store.cancel_deliveries(&all[..1]).unwrap();
        assert_eq!(ids(&claim(&store, lane(id, wanted, 1))), [0; 0], "its request may be under way");
        let late = LaneClaim { lease: lease(now().plus_millis(LEASE_MS), 8), ..lane(id, wanted, 1) };
        assert_eq!(ids(&claim(&store, late)), all[1..], "{order:?}");
    }
}

#[test]
fn a_younger_one_that_waits_for_its_retry_holds_nobody_and_is_no_claim() {
    let (store, id, all) = due(Order::Webhook, 2);
    let waits = "UPDATE deliveries SET due_at = $1 WHERE id = $2";
    store.execute(waits, params![now().plus_millis(1_000), all[1]]).unwrap();
    assert_eq!(store.count_claims(id, now(), lease(now(), 0).until).unwrap(), 0);
    assert_eq!(ids(&claim(&store, lane(id, Wanted::Head, 1))), all[..1]);
}

#[test]
fn only_the_token_of_a_claim_gives_it_back_and_what_is_finished_stays_so() {
    let (store, id, all) = due(Order::None, 2);
    let claimed = claim(&store, lane(id, Wanted::Due, 2));
    let (one, two) = (&claimed.deliveries[0].0, &claimed.deliveries[1].0);
    store.release(&[&Claimed { token: 99, ..one.clone() }], now()).unwrap();
    assert_eq!(due_now(&store), 0);
    store.cancel_deliveries(&all[1..]).unwrap();
    store.release(&[one, two], now()).unwrap();
    assert_eq!(due_now(&store), 1);
    assert_eq!(store.delivery(all[1]).unwrap().unwrap().due_at, None);
}

#[test]
fn deliveries_without_a_key_wait_for_nobody() {
    let (store, id, all) = due(Order::Key, 3);
    store.execute("UPDATE deliveries SET line = ''", &[]).unwrap();
    assert_eq!(ids(&claim(&store, lane(id, Wanted::InFront, 9))), all);
}

#[test]
fn what_claims_cost_of_a_rate_leaves_the_breaker_alone() {
    let (store, id, _) = due(Order::None, 2);
    store.execute("UPDATE webhook_state SET breaker_open_until = 5 WHERE webhook_id = $1", params![id]).unwrap();
    let cost = ClaimCost { rate: Some(RateCost { start_us: 0, each_us: 1 }), is_probe: false };
    commit(&store, &[LaneClaim { cost, ..lane(id, Wanted::Due, 2) }]);
    let health = store.health(id).unwrap().unwrap().0;
    assert_eq!((health.rate_next_us, health.breaker.open_until), (2, Some(Timestamp::from_millis(5))));
}

#[test]
fn the_due_query_is_answered_from_one_partial_index() {
    let plan = Store::empty().expect("a database").plan(CLAIM_DUE);
    assert!(plan.contains("USING COVERING INDEX deliveries_due (webhook_id=? AND due_at<?)"), "{plan}");
    assert!(!plan.contains("SCAN deliveries") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[test]
fn which_webhooks_have_something_due_is_asked_of_the_same_index() {
    let plan = Store::empty().expect("a database").plan(&due_webhooks(Dialect::Sqlite));
    assert!(plan.contains("deliveries_due (webhook_id=? AND due_at<?)"), "{plan}");
}

#[test]
fn what_is_under_way_of_an_ordered_webhook_is_read_from_what_is_claimed() {
    let plan = Store::empty().expect("a database").plan(WEBHOOK_UNDER_WAY);
    assert!(plan.contains("deliveries_under_way (webhook_id=? AND line=?)"), "{plan}");
}

#[test]
fn how_many_claims_a_webhook_has_is_read_within_the_time_of_a_lease() {
    let plan = Store::empty().expect("a database").plan(&held_claims(Dialect::Sqlite));
    assert!(plan.contains("deliveries_due (webhook_id=? AND due_at>? AND due_at<?)"), "{plan}");
}

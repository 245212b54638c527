//! What there is to claim, and whose turn it is.

use std::time::{Duration, Instant};

use super::{NOW, accept_all, answered, claimed, event, job, prepared, stored};
use crate::delivery::claim_lanes::ClaimLanes;
use crate::delivery::job::{EndedJob, Ending, Job};
use crate::domain::webhook::Order;
use crate::store::{LaneClaimed, Store, Wanted};

fn listed(deliveries: &[(i64, i64)]) -> ClaimLanes {
    let mut lanes = ClaimLanes::default();
    lanes.add(deliveries.iter().copied());
    lanes
}

/// What is left of the list of a webhook.
fn left(lanes: &ClaimLanes, webhook: i64) -> Option<Vec<i64>> {
    match lanes.get(webhook)?.wanted(Order::None) {
        Wanted::Listed(listed) => Some(listed.to_vec()),
        wanted => panic!("{wanted:?}"),
    }
}

fn tried(tried: usize, is_exhausted: bool) -> LaneClaimed {
    LaneClaimed { tried, is_exhausted, ..LaneClaimed::default() }
}

/// A job of a webhook that is stored, with that id.
fn job_of(store: &Store, webhook: i64, delivery: i64) -> Job {
    job(claimed(delivery, webhook), &prepared(store, webhook))
}

#[test]
fn what_is_claimed_depends_on_the_order_that_the_webhook_keeps() {
    let mut lanes = listed(&[(1, 10)]);
    let lane = lanes.get_mut(1).unwrap();
    assert!(matches!(lane.wanted(Order::None), Wanted::Listed([10])));
    assert!(matches!(lane.wanted(Order::Webhook), Wanted::HeadIfListed([10])));
    assert!(matches!(lane.wanted(Order::Key), Wanted::ListedInFront([10])));
    let (mut draining, store) = (ClaimLanes::default(), Store::empty().unwrap());
    let id = stored(&store, "crm", |_| ());
    accept_all(&store, &[event("e-1", Vec::new())]);
    draining.drain(&[]);
    draining.refresh(&store, NOW, true).unwrap();
    let lane = draining.get(id).unwrap();
    assert!(matches!(lane.wanted(Order::None), Wanted::Due));
    assert!(matches!(lane.wanted(Order::Webhook), Wanted::Head));
    assert!(matches!(lane.wanted(Order::Key), Wanted::InFront));
}

#[test]
fn a_lane_goes_when_its_list_was_tried_to_the_end_and_not_before() {
    let mut lanes = listed(&[(1, 10), (1, 11), (1, 12), (2, 20)]);
    assert_eq!((lanes.backlog(), lanes.is_empty()), (4, false));
    lanes.take_out(1, &tried(2, false));
    assert_eq!((left(&lanes, 1), lanes.backlog()), (Some(vec![12]), 2));
    lanes.take_out(1, &LaneClaimed { is_full: true, ..tried(1, true) });
    assert_eq!(
        left(&lanes, 1),
        Some(vec![12]),
        "others send as many as may be sent at once: all of it is still wanted"
    );
    lanes.take_out(1, &tried(1, true));
    assert!(lanes.get(1).is_none());
    lanes.take_out(1, &tried(1, true));
    assert_eq!(left(&lanes, 2), Some(vec![20]), "a lane that is gone has nothing to take out");
    lanes.take_out(2, &tried(1, true));
    assert!(lanes.is_empty());
}

#[test]
fn of_an_ordered_list_what_is_older_than_the_head_is_done_with() {
    let mut lanes = listed(&[(1, 10), (1, 11), (1, 12)]);
    lanes.take_out(1, &LaneClaimed { head: Some(11), ..tried(0, false) });
    assert_eq!(left(&lanes, 1), Some(vec![12]));
    lanes.take_out(1, &tried(0, true));
    assert!(lanes.get(1).is_none(), "the head is another one, which this run does not send");
}

#[test]
fn what_is_behind_others_keeps_its_lane_and_is_wanted_once_it_moved_up() {
    let mut lanes = listed(&[(1, 10), (1, 11)]);
    lanes.take_out(1, &LaneClaimed { behind: vec![11], ..tried(2, true) });
    assert_eq!(left(&lanes, 1), Some(vec![]));
    assert!(lanes.get(1).unwrap().waits_in_line());
    assert!(!listed(&[(1, 10)]).get(1).unwrap().waits_in_line());
    lanes.move_up(&[(1, 12), (2, 11)]);
    assert_eq!(left(&lanes, 1), Some(vec![]), "neither is one of this list");
    assert!(lanes.get(2).is_none(), "nobody asked for what moved up there");
    lanes.move_up(&[(1, 11)]);
    assert_eq!(left(&lanes, 1), Some(vec![11]));
    lanes.move_up(&[(1, 11)]);
    assert_eq!(left(&lanes, 1), Some(vec![11]), "once");
}

#[test]
fn a_drain_goes_on_with_what_moved_up_of_its_webhooks() {
    for (webhooks, goes_on) in [(&[] as &[i64], true), (&[1], true), (&[2], false)] {
        let mut lanes = ClaimLanes::default();
        lanes.drain(webhooks);
        lanes.move_up(&[(1, 11)]);
        assert_eq!(lanes.get(1).is_some(), goes_on, "{webhooks:?}");
    }
}

#[test]
fn a_drain_of_some_webhooks_claims_for_no_other() {
    let store = Store::empty().unwrap();
    let ids = ["a", "b", "c"].map(|name| stored(&store, name, |_| ()));
    accept_all(&store, &[event("e-1", Vec::new())]);
    let turns = |webhooks: &[i64]| {
        let mut lanes = ClaimLanes::default();
        lanes.drain(webhooks);
        assert!(lanes.refresh(&store, NOW, true).unwrap());
        lanes.turns()
    };
    assert_eq!(turns(&[]), ids);
    assert_eq!(turns(&[ids[1]]), [ids[1]]);
}

#[test]
fn a_drain_looks_again_when_it_has_nothing_else_to_do_and_a_list_is_never_looked_for() {
    let store = Store::empty().unwrap();
    let id = stored(&store, "crm", |_| ());
    let mut lanes = ClaimLanes::default();
    lanes.drain(&[]);
    assert!(lanes.refresh(&store, NOW, false).unwrap(), "the first look");
    accept_all(&store, &[event("e-1", Vec::new())]);
    assert!(!lanes.refresh(&store, NOW, false).unwrap(), "requests are in flight, and it looked a moment ago");
    assert!(lanes.get(id).is_none());
    assert!(lanes.refresh(&store, NOW, true).unwrap());
    assert!(lanes.get(id).is_some());
    assert!(!lanes.refresh(&store, NOW, true).unwrap(), "there is a lane to claim for");
    let mut list = listed(&[(7, 1)]);
    assert!(list.refresh(&store, NOW, true).unwrap());
    assert_eq!(list.turns(), [7]);
}

#[test]
fn what_was_given_back_is_wanted_again_by_a_list_and_found_by_a_drain() {
    let store = Store::empty().unwrap();
    let id = stored(&store, "crm", |_| ());
    let jobs = [job_of(&store, id, 5)];
    let (mut list, mut drain) = (ClaimLanes::default(), ClaimLanes::default());
    list.want_again(&jobs);
    assert_eq!(left(&list, id), Some(vec![5]));
    drain.drain(&[]);
    drain.want_again(&jobs);
    assert!(drain.is_empty());
    list.clear();
    assert!(list.is_empty());
    drain.clear();
    drain.want_again(&jobs);
    assert_eq!(left(&drain, id), Some(vec![5]), "it drains no more");
}

#[test]
fn the_first_that_found_no_room_begins_the_next_turn_and_the_turn_after_it() {
    let mut lanes = listed(&[(1, 1), (2, 2), (3, 3), (4, 4)]);
    assert_eq!(lanes.turns(), [1, 2, 3, 4]);
    lanes.deny(3);
    lanes.deny(4);
    assert_eq!(lanes.turns(), [3, 4, 1, 2]);
    assert_eq!(lanes.turns(), [3, 4, 1, 2], "all found room");
    lanes.remove(3);
    assert_eq!(lanes.turns(), [4, 1, 2]);
}

#[test]
fn the_answers_of_the_last_group_are_counted_for_each_webhook() {
    let store = Store::empty().unwrap();
    let ids = ["a", "b"].map(|name| stored(&store, name, |_| ()));
    let mut lanes = listed(&[(ids[0], 1), (ids[1], 2)]);
    let ended = |at: usize, status| {
        let job = job_of(&store, ids[at], 9);
        EndedJob { ending: Ending::Attempted(answered(&job, status)), job }
    };
    let unsent = EndedJob { job: job_of(&store, ids[1], 9), ending: Ending::Unsent };
    let recent = |lanes: &ClaimLanes| ids.map(|id| lanes.get(id).unwrap().recent);
    lanes.note_answers(&[ended(0, 200), ended(0, 500), unsent]);
    assert_eq!(recent(&lanes), [2, 0]);
    lanes.note_answers(&[ended(1, 200)]);
    assert_eq!(recent(&lanes), [0, 1]);
}

#[test]
fn the_wait_for_a_rate_limit_is_the_shortest_of_all_lanes() {
    let mut lanes = listed(&[(1, 1), (2, 2), (3, 3)]);
    assert_eq!(lanes.rate_wait(), None);
    let until = |seconds| Some(Instant::now() + Duration::from_secs(seconds));
    lanes.get_mut(1).unwrap().rate_wait = until(900);
    lanes.get_mut(2).unwrap().rate_wait = until(600);
    let wait = lanes.rate_wait().unwrap();
    assert!((Duration::from_secs(300)..=Duration::from_secs(600)).contains(&wait), "{wait:?}");
    lanes.get_mut(2).unwrap().rate_wait = Some(Instant::now());
    assert_eq!(lanes.rate_wait(), Some(Duration::ZERO), "it is over");
}

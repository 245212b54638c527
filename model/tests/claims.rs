//! The properties hold with every guard, and each guard that is taken out is missed by one of them.

use std::time::Duration;

use hookctl_model::{Guards, Protocol, Scenario};
use stateright::{Checker, HasDiscoveries, Model};

const LATE_RESULT: &str = "a late result has no effect";
const TWICE: &str = "one request for a claim while leases hold";
const IN_TIME: &str = "what nothing disturbs is sent and answered within its lease";
const LOST: &str = "no event is lost";
const LOG: &str = "the log is whole";

fn holds(scenario: Scenario) {
    let checker = Protocol { guards: Guards::ALL, scenario }.checker().spawn_bfs().join();
    println!("{} states, {} deep", checker.unique_state_count(), checker.max_depth());
    checker.assert_properties();
}

/// What the properties find once a guard is out.
#[track_caller]
fn is_missed(guards: Guards, scenario: Scenario, property: &'static str) {
    let checker = Protocol { guards, scenario }
        .checker()
        .finish_when(HasDiscoveries::AllOf([property].into()))
        .timeout(Duration::from_secs(120))
        .spawn_bfs()
        .join();
    let path = checker.discovery(property).unwrap_or_else(|| panic!("nothing missed it: {property}"));
    println!("{property}: {:?}", path.into_actions());
}

/// A process that is stopped in the middle, and two more claims.
const STOPPED: Scenario = Scenario { events: 1, claims: 3, ticks: 4, kills: 0, stops: 1, jumps: 0, hands: 0, is_line: false };
/// Two deliveries of one line.
const LINE: Scenario = Scenario { events: 2, is_line: true, ..STOPPED };

#[test]
fn two_events_and_receivers_that_fail() {
    holds(Scenario { events: 2, claims: 4, ticks: 3, ..Scenario::default() });
}

#[test]
fn processes_that_are_stopped_and_killed() {
    holds(Scenario { kills: 1, ..STOPPED });
}

#[test]
fn a_clock_that_jumps() {
    holds(Scenario { claims: 2, jumps: 2, ..STOPPED });
}

#[test]
fn people_who_retry_cancel_and_disable_meanwhile() {
    holds(Scenario { claims: 2, hands: 2, ..STOPPED });
}

#[test]
fn everything_at_once() {
    holds(Scenario { events: 1, claims: 2, ticks: 4, kills: 1, stops: 1, jumps: 1, hands: 1, is_line: false });
}

#[test]
fn a_line_goes_one_at_a_time_and_is_held_by_nobody_who_is_gone() {
    holds(Scenario { events: 3, claims: 4, ticks: 3, stops: 0, kills: 1, ..LINE });
    holds(Scenario { claims: 2, ..LINE });
    holds(Scenario { claims: 2, hands: 2, stops: 0, ..LINE });
}

#[test]
fn a_line_in_which_nobody_moves_up_is_found() {
    is_missed(Guards { moves_up: false, ..Guards::ALL }, LINE, LOST);
}

#[test]
fn a_head_that_does_not_wait_for_what_it_was_retried_before_is_found() {
    is_missed(Guards { waits_for_others: false, ..Guards::ALL }, Scenario { hands: 1, stops: 0, ..LINE }, TWICE);
}

#[test]
fn a_result_that_settles_health_before_its_token_is_checked_is_found() {
    is_missed(Guards { settles_after_token: false, ..Guards::ALL }, STOPPED, LATE_RESULT);
}

#[test]
fn a_claim_without_a_token_is_found() {
    let guards = Guards { matches_token: false, ..Guards::ALL };
    is_missed(guards, STOPPED, TWICE);
    is_missed(guards, STOPPED, LOG);
}

#[test]
fn a_claim_that_is_sent_however_long_it_waited_is_found() {
    is_missed(Guards { checks_age: false, ..Guards::ALL }, STOPPED, IN_TIME);
}

#[test]
fn due_times_of_a_clock_ahead_that_nobody_mends_are_found() {
    is_missed(Guards { mends_clock: false, ..Guards::ALL }, Scenario { jumps: 2, ..STOPPED }, LOST);
}

#[test]
fn a_cancelled_attempt_that_a_retry_sends_beside_is_found() {
    let guards = Guards { keeps_lease: false, ..Guards::ALL };
    is_missed(guards, Scenario { hands: 2, stops: 0, ..STOPPED }, TWICE);
}

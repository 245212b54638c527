//! Every rule by which an outcome moves a delivery and its webhook.

use super::*;
use crate::domain::attempt::Answer;
use crate::domain::breaker::Breaker;
use crate::domain::retry::RetryPolicy;
use crate::domain::webhook::rules::DEFAULT_DISABLE_AFTER_MS;
use crate::domain::webhook::{Condition, Pause};

const HOUR: i64 = 3_600_000;
/// The day was a Friday.
const FAR_WITH_A_WRONG_DAY: &str = "Thu, 01 Jan 9999 00:00:00 GMT";

fn settings() -> Settings {
    Settings {
        name: "crm".to_owned(),
        url: "https://crm.example/".to_owned(),
        events: vec!["*".to_owned()],
        retry: RetryPolicy::timetracker(),
        ..Settings::default()
    }
}

fn healthy() -> Health {
    Health {
        is_active: true,
        disabled_reason: None,
        disabled_at: None,
        paused_at: None,
        failures: 0,
        failing_since: None,
        held_until: None,
        breaker: Breaker::default(),
        rate_next_us: 0,
        last_delivery_at: None,
        last_success_at: None,
        last_failure_at: None,
    }
}

/// 2026-01-01T00:00:00Z and so many milliseconds.
fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_767_225_600_000 + millis)
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Outcome {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let error = (!(200..300).contains(&status))
        .then(|| AttemptError { error_type: ErrorType::HttpError, message: status.to_string() });
    Outcome { answer: Some(Answer { status, headers, ..Answer::default() }), error, ..Outcome::default() }
}

fn no_answer(error_type: ErrorType) -> Outcome {
    Outcome { error: Some(AttemptError { error_type, message: "no".to_owned() }), ..Outcome::default() }
}

fn ended(outcome: &Outcome, millis: i64) -> Ended<'_> {
    Ended { outcome, at: at(millis), retry_count: 0, free_attempts: 0, jitter: 0.0, is_test: false }
}

fn settled(outcome: &Outcome) -> (Settlement, Health) {
    let mut health = healthy();
    let settlement = settle(&settings(), &mut health, &ended(outcome, 0));
    (settlement, health)
}

/// Milliseconds until the retry after this outcome, without jitter.
fn delay(outcome: &Outcome) -> i64 {
    settled(outcome).0.due_at.unwrap().millis_since(at(0))
}

#[test]
fn a_success_finishes_the_delivery_and_heals_the_webhook() {
    let mut health = Health { failing_since: Some(at(-HOUR)), ..healthy() };
    health.breaker = (1..=5).fold(health.breaker, |breaker, row| breaker.after_no_answer(row, at(-HOUR)));
    let settlement = settle(&settings(), &mut health, &Ended { retry_count: 2, ..ended(&answer(204, &[]), 0) });
    assert_eq!(settlement, Settlement { status: Status::Success, due_at: None, retry_count: 2 });
    assert_eq!((health.failing_since, health.breaker), (None, Breaker::default()));
    assert_eq!(
        (health.last_delivery_at, health.last_success_at, health.last_failure_at),
        (Some(at(0)), Some(at(0)), None)
    );
}

#[test]
fn a_failure_is_retried_after_its_delay_until_the_retries_are_used_up() {
    for (retry_count, minutes) in [(0, Some(1)), (1, Some(2)), (2, Some(4)), (3, None)] {
        let outcome = answer(500, &[]);
        let settlement = settle(&settings(), &mut healthy(), &Ended { retry_count, ..ended(&outcome, 0) });
        assert_eq!(settlement.due_at, minutes.map(|minutes: i64| at(minutes * 60_000)));
        let status = if minutes.is_some() { Status::Retrying } else { Status::Failed };
        assert_eq!((settlement.status, settlement.retry_count), (status, retry_count + u32::from(minutes.is_some())));
    }
}

#[test]
fn jitter_moves_the_delay_but_never_before_a_retry_after() {
    let jittered = |outcome: &Outcome, jitter: f64| {
        let settlement = settle(&settings(), &mut healthy(), &Ended { jitter, ..ended(outcome, 0) });
        settlement.due_at.unwrap().millis_since(at(0))
    };
    assert_eq!((jittered(&answer(500, &[]), -1.0), jittered(&answer(500, &[]), 1.0)), (54_000, 66_000));
    assert_eq!(jittered(&answer(500, &[("Retry-After", "60")]), -1.0), 60_000);
}

#[test]
fn retry_after_lengthens_the_delay_after_any_failure() {
    for status in [301, 400, 404, 429, 500, 503] {
        assert_eq!(delay(&answer(status, &[("retry-AFTER", "3600")])), HOUR, "{status}");
    }
    assert_eq!(delay(&answer(500, &[("Retry-After", "Thu, 01 Jan 2026 02:00:00 GMT")])), 2 * HOUR);
    assert_eq!(delay(&answer(500, &[("Retry-After", "5")])), 60_000, "it never shortens");
    assert_eq!(delay(&answer(500, &[("Retry-After", "Wed, 31 Dec 2025 00:00:00 GMT")])), 60_000, "past");
}

#[test]
fn retry_after_is_clamped_to_a_day_and_junk_is_ignored() {
    for value in ["86401", "99999999999999999999", "Fri, 01 Jan 2038 00:00:00 GMT", FAR_WITH_A_WRONG_DAY] {
        assert_eq!(delay(&answer(500, &[("Retry-After", value)])), 24 * HOUR, "{value}");
    }
    for value in ["", "-1", "+60000", "1e9", "9000.5", "soon", "2026-01-01T02:00:00Z", "Xyz, 01 Jan 2038 00:00:00 GMT"]
    {
        assert_eq!(delay(&answer(500, &[("Retry-After", value)])), 60_000, "{value}");
    }
    assert_eq!(retry_after_ms(&answer(200, &[("Retry-After", "60")]), at(0)), None, "a success asks for nothing");
}

#[test]
fn an_overloaded_receiver_holds_the_whole_webhook() {
    for status in [429, 502, 503, 504] {
        assert_eq!(settled(&answer(status, &[])).1.held_until, Some(at(LEAST_HOLD_MS)), "{status}");
        let (_, health) = settled(&answer(status, &[("Retry-After", "2")]));
        assert_eq!(health.held_until, Some(at(2_000)), "{status}: as it asks");
    }
    for status in [301, 400, 408, 500, 501, 505] {
        assert_eq!(settled(&answer(status, &[("Retry-After", "2")])).1.held_until, None, "{status}");
    }
}

#[test]
fn a_retry_is_not_due_before_its_webhook_may_send_and_a_hold_never_shrinks() {
    let quick = Settings { retry: RetryPolicy { max_retries: 3, delay_ms: 0, schedule: None }, ..settings() };
    let mut health = Health { held_until: Some(at(HOUR)), ..healthy() };
    let settlement = settle(&quick, &mut health, &ended(&answer(503, &[]), 0));
    assert_eq!((settlement.due_at, health.held_until), (Some(at(HOUR)), Some(at(HOUR))));
}

#[test]
fn gone_and_the_header_disable_fail_the_delivery_and_the_webhook() {
    for (outcome, reason) in [
        (answer(410, &[]), "the receiver answered 410 Gone"),
        (answer(500, &[("Webhook-Delivery", " DISABLE ")]), "the receiver answered with webhook-delivery: disable"),
    ] {
        let (settlement, health) = settled(&outcome);
        assert_eq!((settlement.status, settlement.due_at), (Status::Failed, None));
        assert!(!health.is_active);
        assert_eq!((health.disabled_reason.as_deref(), health.disabled_at), (Some(reason), Some(at(0))));
    }
}

#[test]
fn the_header_abort_message_fails_the_delivery_alone() {
    let (settlement, health) = settled(&answer(500, &[("webhook-delivery", "abort-message")]));
    assert_eq!((settlement.status, health.is_active), (Status::Failed, true));
    for value in ["", "later", "disabled"] {
        assert_eq!(settled(&answer(500, &[("webhook-delivery", value)])).0.status, Status::Retrying, "{value}");
    }
}

#[test]
fn a_proxys_failure_costs_no_retry_and_says_nothing_about_the_receiver() {
    let outcome = no_answer(ErrorType::ProxyError);
    let no_retries = Settings { retry: RetryPolicy { max_retries: 0, ..RetryPolicy::default() }, ..settings() };
    for (free_attempts, minutes) in [(0, 1), (1, 2), (2, 4), (5, 32), (6, 60), (4_000_000_000, 60)] {
        let mut health = healthy();
        let settlement = settle(&no_retries, &mut health, &Ended { free_attempts, ..ended(&outcome, 0) });
        let due_at = Some(at(minutes * 60_000));
        assert_eq!(settlement, Settlement { status: Status::Retrying, due_at, retry_count: 0 });
        assert_eq!(health, Health { last_delivery_at: Some(at(0)), ..healthy() });
    }
    let test = settle(&settings(), &mut healthy(), &Ended { is_test: true, ..ended(&outcome, 0) });
    assert_eq!(test.status, Status::Failed, "a test is never tried again");
}

#[test]
fn a_probe_that_a_proxy_ended_is_made_again_and_no_pause_gets_longer() {
    let probing = Breaker { failures: 5, open_until: Some(at(HOUR)), pause_ms: 60_000, probing: true };
    let mut health = Health { breaker: probing, ..healthy() };
    settle(&settings(), &mut health, &ended(&no_answer(ErrorType::ProxyError), 0));
    assert_eq!(health.breaker, Breaker { open_until: Some(at(0)), probing: false, ..probing });
    let open = Breaker { probing: false, ..probing };
    let mut health = Health { breaker: open, ..healthy() };
    settle(&settings(), &mut health, &ended(&no_answer(ErrorType::ProxyError), 0));
    assert_eq!(health.breaker, open);
}

#[test]
fn a_blocked_address_is_final_and_no_matter_of_the_breaker() {
    let mut health = healthy();
    health.breaker = (1..=4).fold(health.breaker, |breaker, row| breaker.after_no_answer(row, at(0)));
    let before = health.breaker;
    let settlement = settle(&settings(), &mut health, &ended(&no_answer(ErrorType::BlockedAddress), 0));
    assert_eq!((settlement.status, health.breaker), (Status::Failed, before));
}

#[test]
fn five_failures_to_get_an_answer_open_the_breaker_and_an_answer_breaks_the_row() {
    for error_type in [ErrorType::Timeout, ErrorType::ConnectionError, ErrorType::DnsError, ErrorType::TlsError] {
        let mut health = healthy();
        for _ in 0..5 {
            assert_eq!(health.breaker.open_until, None);
            settle(&settings(), &mut health, &ended(&no_answer(error_type), 0));
        }
        assert!(health.breaker.open_until.is_some(), "{error_type:?}");
    }
    for outcome in [answer(500, &[]), no_answer(ErrorType::ProtocolError)] {
        let mut health = healthy();
        health.breaker = (1..=4).fold(health.breaker, |breaker, row| breaker.after_no_answer(row, at(0)));
        settle(&settings(), &mut health, &ended(&outcome, 0));
        assert_eq!(health.breaker, Breaker::default(), "{outcome:?}");
    }
}

#[test]
fn ten_failures_of_any_kind_open_the_breaker_and_a_success_ends_the_row() {
    let mut health = healthy();
    let condition = |health: &Health, millis| (health.failures, health.condition(at(millis)));
    for row in 1..=10 {
        assert_eq!(health.breaker.open_until, None);
        settle(&settings(), &mut health, &ended(&answer(500, &[]), 0));
        assert_eq!(condition(&health, 0), (row, (row >= 5).then_some(Condition::Failing)));
    }
    assert_eq!((health.pause(at(0)), health.breaker.failures), (Some(Pause::Refusing(at(60_000))), 0));
    settle(&settings(), &mut health, &ended(&answer(200, &[]), 1));
    assert_eq!((condition(&health, 1), health.pause(at(1))), ((0, None), None));
}

#[test]
fn the_condition_says_what_is_wrong_with_the_receiver() {
    let after = |outcome: &Outcome, count: u32| {
        let mut health = healthy();
        for _ in 0..count {
            settle(&settings(), &mut health, &ended(outcome, 0));
        }
        health
    };
    for (health, expected) in [
        (after(&answer(502, &[]), 1), Some(Condition::Held)),
        (after(&answer(502, &[]), 5), Some(Condition::Failing)),
        (after(&answer(500, &[]), 4), None),
        (after(&no_answer(ErrorType::Timeout), 4), None),
        (after(&no_answer(ErrorType::Timeout), 5), Some(Condition::Unreachable)),
    ] {
        assert_eq!(health.condition(at(0)), expected);
    }
}

#[test]
fn days_of_failures_without_a_success_disable_the_webhook() {
    let (outcome, mut health) = (answer(500, &[]), healthy());
    settle(&settings(), &mut health, &ended(&outcome, 0));
    settle(&settings(), &mut health, &ended(&outcome, DEFAULT_DISABLE_AFTER_MS - 1));
    assert!(health.is_active);
    settle(&settings(), &mut health, &ended(&outcome, DEFAULT_DISABLE_AFTER_MS));
    assert_eq!((health.is_active, health.disabled_reason.as_deref()), (false, Some("no success for 5d")));
}

#[test]
fn zero_never_disables_and_a_success_starts_the_count_again() {
    let (outcome, mut health) = (answer(500, &[]), healthy());
    let never = Settings { disable_after_ms: 0, ..settings() };
    settle(&never, &mut health, &ended(&outcome, 0));
    settle(&never, &mut health, &ended(&outcome, 100 * DEFAULT_DISABLE_AFTER_MS));
    assert!(health.is_active);
    let mut health = healthy();
    settle(&settings(), &mut health, &ended(&outcome, 0));
    settle(&settings(), &mut health, &ended(&answer(200, &[]), HOUR));
    settle(&settings(), &mut health, &ended(&outcome, DEFAULT_DISABLE_AFTER_MS));
    assert!(health.is_active);
}

#[test]
fn a_webhook_that_is_disabled_keeps_its_first_reason() {
    let by_hand = Health {
        is_active: false,
        disabled_reason: Some("disabled by hand".to_owned()),
        disabled_at: Some(at(-HOUR)),
        ..healthy()
    };
    let mut health = by_hand.clone();
    settle(&settings(), &mut health, &ended(&answer(410, &[]), 0));
    assert_eq!((health.disabled_reason, health.disabled_at), (by_hand.disabled_reason, by_hand.disabled_at));
}

#[test]
fn a_test_is_never_retried_and_says_nothing_about_the_webhook() {
    for outcome in [answer(500, &[]), answer(410, &[]), answer(503, &[]), answer(200, &[])] {
        let mut health = healthy();
        let settlement = settle(&settings(), &mut health, &Ended { is_test: true, ..ended(&outcome, 0) });
        assert_eq!((settlement.due_at, settlement.status.is_open()), (None, false));
        assert_eq!(health, healthy());
    }
}

#[test]
fn it_is_kept_when_an_attempt_last_ended_succeeded_and_failed() {
    let mut health = healthy();
    settle(&settings(), &mut health, &ended(&answer(500, &[]), 5));
    assert_eq!(
        (health.last_delivery_at, health.last_failure_at, health.last_success_at),
        (Some(at(5)), Some(at(5)), None)
    );
    settle(&settings(), &mut health, &ended(&answer(200, &[]), 9));
    let last = (health.last_delivery_at, health.last_failure_at, health.last_success_at);
    assert_eq!(last, (Some(at(9)), Some(at(5)), Some(at(9))));
}

//! One event to be sent to one webhook: its status, and how the outcome of an attempt changes it and its webhook.

use serde::Serialize;

use super::attempt::{AttemptError, ErrorType, Outcome};
use super::retry::LONGEST_DELAY_MS;
use super::time::Timestamp;
use super::webhook::{Health, Settings};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Never attempted.
    Pending,
    /// The last attempt failed; there will be another.
    Retrying,
    /// Answered with a 2xx.
    Success,
    /// Dead-lettered: retries are exhausted, or a retry would not help.
    Failed,
    /// Cancelled by hand.
    Cancelled,
}

names! {
    Status:
    Pending = "pending",
    Retrying = "retrying",
    Success = "success",
    Failed = "failed",
    Cancelled = "cancelled",
}

impl Status {
    /// Whether there will be another attempt.
    pub fn is_open(self) -> bool {
        matches!(self, Status::Pending | Status::Retrying)
    }
}

/// The delay after a proxy's first failure, in milliseconds; each further one doubles it.
pub const FIRST_PROXY_DELAY_MS: i64 = 60_000;
/// The longest delay after a proxy's failure: one hour, in milliseconds.
pub const LONGEST_PROXY_DELAY_MS: i64 = 3_600_000;

/// How long nothing is sent to a webhook after a 429, 502, 503 or 504 without `Retry-After`, in milliseconds.
pub const LEAST_HOLD_MS: i64 = 60_000;

/// What becomes of a delivery after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub status: Status,
    /// When it is due again; `None` if it is finished.
    pub due_at: Option<Timestamp>,
    pub retry_count: u32,
}

impl Settlement {
    /// The same for a delivery that was cancelled during its attempt: it stays cancelled unless the attempt succeeded.
    #[must_use]
    pub fn of_cancelled(self) -> Settlement {
        match self.status {
            Status::Success => self,
            _ => Settlement { status: Status::Cancelled, due_at: None, ..self },
        }
    }
}

/// An attempt that ended, and what is needed to decide what comes next.
#[derive(Clone, Copy, Debug)]
pub struct Ended<'a> {
    pub outcome: &'a Outcome,
    pub at: Timestamp,
    /// Retries used before this attempt.
    pub retry_count: u32,
    /// Earlier scheduled attempts that did not count as retries.
    pub free_attempts: u32,
    /// In −1.0..=1.0, see [`super::retry::RetryPolicy::delay_with_jitter`].
    pub jitter: f64,
    /// A test is attempted once only.
    pub is_test: bool,
}

/// Decides what becomes of a delivery, and updates the state of its webhook.
/// Rules: docs/design/delivery-life.md; throttling, 410 and `webhook-delivery` follow the Standard Webhooks specification's advice to senders.
pub fn settle(settings: &Settings, health: &mut Health, ended: &Ended<'_>) -> Settlement {
    let Ended { outcome, at, retry_count, free_attempts, jitter, is_test } = *ended;
    if !is_test {
        record_health(settings, health, ended);
    }
    let Some(error) = &outcome.error else {
        return Settlement { status: Status::Success, due_at: None, retry_count };
    };
    if error.error_type == ErrorType::ProxyError && !is_test {
        let delay = FIRST_PROXY_DELAY_MS.saturating_mul(1 << free_attempts.min(16)).min(LONGEST_PROXY_DELAY_MS);
        return Settlement { status: Status::Retrying, due_at: Some(at.plus_millis(delay)), retry_count };
    }
    let delay =
        if is_test || is_final(outcome, error) { None } else { settings.retry.delay_with_jitter(retry_count, jitter) };
    let Some(delay) = delay else {
        return Settlement { status: Status::Failed, due_at: None, retry_count };
    };
    let due_at = at.plus_millis(delay.max(retry_after_ms(outcome, at).unwrap_or(0)));
    let due_at = health.held_until.map_or(due_at, |held| due_at.max(held));
    Settlement { status: Status::Retrying, due_at: Some(due_at), retry_count: retry_count + 1 }
}

/// The receiver's `Retry-After` (RFC 9110 §10.2.3: seconds, or an HTTP date) in milliseconds from `at`, at most 24 h;
/// `None` without a valid one, and after a success.
pub fn retry_after_ms(outcome: &Outcome, at: Timestamp) -> Option<i64> {
    outcome.error.as_ref()?;
    let value = outcome.answer.as_ref()?.header("retry-after")?.trim();
    let millis = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        value.parse::<i64>().unwrap_or(i64::MAX).saturating_mul(1_000)
    } else {
        http_date_ms(value)?.saturating_sub(at.millis())
    };
    Some(millis.clamp(0, LONGEST_DELAY_MS))
}

/// An HTTP date in milliseconds since 1970. The name of the day may be wrong, as it often is in dates far away.
fn http_date_ms(value: &str) -> Option<i64> {
    if let Ok(date) = httpdate::parse_http_date(value) {
        let since_1970 = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
        return i64::try_from(since_1970).ok();
    }
    let (day, date) = value.split_once(", ")?;
    let is_day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].contains(&day);
    let date = chrono::NaiveDateTime::parse_from_str(date, "%d %b %Y %H:%M:%S GMT").ok().filter(|_| is_day)?;
    Some(date.and_utc().timestamp_millis())
}

/// Whether a retry would not help.
fn is_final(outcome: &Outcome, error: &AttemptError) -> bool {
    let asked = asked_by_header(outcome);
    error.error_type == ErrorType::BlockedAddress
        || asked == Some("disable")
        || asked == Some("abort-message")
        || outcome.answer.as_ref().is_some_and(|answer| answer.status == 410)
}

/// The value of the `webhook-delivery` header, if it is a known one.
fn asked_by_header(outcome: &Outcome) -> Option<&'static str> {
    let value = outcome.answer.as_ref()?.header("webhook-delivery")?.trim();
    ["disable", "abort-message"].into_iter().find(|known| value.eq_ignore_ascii_case(known))
}

fn record_health(settings: &Settings, health: &mut Health, ended: &Ended<'_>) {
    let Ended { outcome, at, .. } = *ended;
    health.last_delivery_at = Some(at);
    let Some(error) = &outcome.error else {
        health.last_success_at = Some(at);
        health.failing_since = None;
        health.failures = 0;
        health.breaker = health.breaker.after_success();
        return;
    };
    if error.error_type == ErrorType::ProxyError {
        // This says nothing about the receiver. If it was the breaker's probe, another one may be sent.
        if health.breaker.probing {
            health.breaker = health.breaker.with_probe_allowed(at);
        }
        return;
    }
    health.last_failure_at = Some(at);
    let failing_since = *health.failing_since.get_or_insert(at);
    health.failures = health.failures.saturating_add(1);
    health.breaker = match error.error_type {
        ErrorType::Timeout | ErrorType::ConnectionError | ErrorType::DnsError | ErrorType::TlsError => {
            health.breaker.after_no_answer(health.failures, at)
        }
        ErrorType::BlockedAddress => health.breaker,
        _ => health.breaker.after_refusal(health.failures, at),
    };
    let status = outcome.answer.as_ref().map(|answer| answer.status);
    if matches!(status, Some(429 | 502 | 503 | 504)) {
        let hold = retry_after_ms(outcome, at).unwrap_or(LEAST_HOLD_MS);
        let until = at.plus_millis(hold);
        health.held_until = Some(health.held_until.map_or(until, |held| held.max(until)));
    }
    let lasted = at.millis_since(failing_since);
    let reason = match status {
        Some(410) => Some("the receiver answered 410 Gone".to_owned()),
        _ if asked_by_header(outcome) == Some("disable") => {
            Some("the receiver answered with webhook-delivery: disable".to_owned())
        }
        _ if settings.disable_after_ms > 0 && lasted >= settings.disable_after_ms => {
            let length = std::time::Duration::from_millis(settings.disable_after_ms as u64);
            Some(format!("no success for {}", super::duration::format(length)))
        }
        _ => None,
    };
    if let (Some(reason), true) = (reason, health.is_active) {
        health.is_active = false;
        health.disabled_reason = Some(reason);
        health.disabled_at = Some(at);
    }
}

#[cfg(test)]
mod tests;

//! Webhooks: who gets which events, and how they are sent.

pub mod echo;
mod egress;
mod field;
mod hmac;
pub mod masked;
mod order;
pub mod rules;
mod settings;
mod shape;

pub use egress::{EgressSettings, LONGEST_CLIENT_PEM};
pub use field::{Field, Invalid};
pub use hmac::HmacSettings;
pub use order::Order;
pub use rules::{DEFAULT_CONCURRENCY, LONGEST_TIMEOUT_MS};
pub use settings::{LONGEST_CA_CERT, Settings};
pub use shape::Shape;

use serde::Serialize;

use super::breaker::{Breaker, Passage};
use super::retry::LONGEST_DELAY_MS;
use super::time::Timestamp;

/// The reason shown for a webhook that was disabled by hand.
pub const DISABLED_BY_HAND: &str = "disabled by hand";

/// Consecutive failed attempts from which on a webhook counts as failing.
pub const FAILURES_TO_REPORT: u32 = 5;

/// The state that deliveries change, as opposed to the settings; stored, so that all processes share it.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether deliveries are sent.
    pub is_active: bool,
    pub disabled_reason: Option<String>,
    pub disabled_at: Option<Timestamp>,
    /// Since when it is paused by hand.
    pub paused_at: Option<Timestamp>,
    /// Consecutive failed attempts.
    pub failures: u32,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
    /// Nothing is sent before this time: the receiver asked to wait (429, 503 and the like).
    pub held_until: Option<Timestamp>,
    pub breaker: Breaker,
    /// The state of the rate limit, see [`super::rate_limit::RateLimit::available`].
    pub rate_next_us: i64,
    /// When an attempt last ended.
    pub last_delivery_at: Option<Timestamp>,
    pub last_success_at: Option<Timestamp>,
    pub last_failure_at: Option<Timestamp>,
}

/// Why no delivery of a webhook is sent at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    Disabled,
    ByHand,
    /// The receiver asked to wait until then.
    Held(Timestamp),
    /// The breaker is open until then: the receiver could not be reached.
    Unreachable(Timestamp),
    /// The breaker is open until then: the receiver refused many requests.
    Refusing(Timestamp),
}

/// Whether a webhook is active, paused or disabled, by hand or by hookctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    /// It gets deliveries of new events, but nothing is sent.
    Paused,
    /// It gets no deliveries of new events, and nothing is sent.
    Disabled,
}

/// What is wrong with a webhook's receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The breaker is open because the receiver does not answer.
    Unreachable,
    /// At least the last [`FAILURES_TO_REPORT`] attempts failed.
    Failing,
    /// The receiver asked to wait.
    Held,
}

impl Health {
    /// Why nothing is sent at `now`; `None` if deliveries may be sent.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        if !self.is_active {
            return Some(Pause::Disabled);
        }
        if self.paused_at.is_some() {
            return Some(Pause::ByHand);
        }
        // Longer than any that hookctl sets: the clock was set back since.
        let held = self.held_until.filter(|until| now < *until && until.millis_since(now) <= LONGEST_DELAY_MS);
        match (held, self.breaker.passage(now)) {
            (Some(until), _) => Some(Pause::Held(until)),
            (None, Passage::Open(until)) if self.breaker.is_open_on_connecting() => Some(Pause::Unreachable(until)),
            (None, Passage::Open(until)) => Some(Pause::Refusing(until)),
            (None, Passage::Closed | Passage::Probe) => None,
        }
    }

    pub fn state(&self) -> State {
        match (self.is_active, self.paused_at) {
            (false, _) => State::Disabled,
            (true, Some(_)) => State::Paused,
            (true, None) => State::Active,
        }
    }

    /// What is wrong at `now`; `None` if nothing is.
    pub fn condition(&self, now: Timestamp) -> Option<Condition> {
        if self.breaker.is_open_on_connecting() {
            return Some(Condition::Unreachable);
        }
        if self.failures >= FAILURES_TO_REPORT {
            return Some(Condition::Failing);
        }
        matches!(self.pause(now), Some(Pause::Held(_) | Pause::Refusing(_))).then_some(Condition::Held)
    }
}

/// How many deliveries a webhook has had; pruning does not change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub total: i64,
    pub successful: i64,
    pub failed: i64,
}

/// A stored webhook.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub id: i64,
    pub settings: Settings,
    pub health: Health,
    pub counters: Counters,
    /// Increases with every change of settings or secrets.
    pub version: i64,
    /// The system user who created it.
    pub created_by: Option<String>,
    pub created_at: Timestamp,
    /// When the settings last changed.
    pub updated_at: Timestamp,
}

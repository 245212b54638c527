//! Webhooks: who wants which events, and how they are to be sent.

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

/// The reason of a webhook that a person disabled.
pub const DISABLED_BY_HAND: &str = "disabled by hand";

/// From so many failed attempts in a row a webhook counts as failing.
pub const FAILURES_TO_REPORT: u32 = 5;

/// What deliveries have made of a webhook; kept in the database so that it holds across processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether deliveries go out.
    pub is_active: bool,
    /// Why it was disabled, for people.
    pub disabled_reason: Option<String>,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
    /// Since when a person keeps its deliveries back.
    pub paused_at: Option<Timestamp>,
    /// Failed attempts since the last success.
    pub failures: u32,
    /// The first failure since the last success.
    pub failing_since: Option<Timestamp>,
    /// Nothing is sent before this: the receiver asked for patience.
    pub held_until: Option<Timestamp>,
    pub breaker: Breaker,
    /// The rate limit's one number, see [`super::rate_limit::RateLimit::available`].
    pub rate_next_us: i64,
    /// When an attempt last ended.
    pub last_delivery_at: Option<Timestamp>,
    /// When an attempt last succeeded.
    pub last_success_at: Option<Timestamp>,
    /// When an attempt last failed.
    pub last_failure_at: Option<Timestamp>,
}

/// What keeps all deliveries of a webhook back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    Disabled,
    ByHand,
    /// The receiver asked for patience until then.
    Held(Timestamp),
    /// The receiver could not be reached, and is left alone until then.
    Unreachable(Timestamp),
    /// The receiver refused many requests, and is left alone until then.
    Refusing(Timestamp),
}

/// What people decided about a webhook, or hookctl in their place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Active,
    /// Events are owed to it, and nothing is sent.
    Paused,
    /// Nothing new is owed to it, and nothing is sent.
    Disabled,
}

/// What is wrong with a webhook's receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// The breaker is open because the receiver gives no answer.
    Unreachable,
    /// The last [`FAILURES_TO_REPORT`] attempts failed, or more.
    Failing,
    /// Nothing is sent for another reason: the receiver asked for patience.
    Held,
}

impl Health {
    /// What keeps all deliveries back at `now`; `None` when they may go.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        if !self.is_active {
            return Some(Pause::Disabled);
        }
        if self.paused_at.is_some() {
            return Some(Pause::ByHand);
        }
        // One that is longer than any that is ever set: the clock was set back since.
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

    /// What is wrong at `now`; `None` when nothing is.
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

/// How many deliveries a webhook has had; they survive pruning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    pub total: i64,
    /// Deliveries that are `success`.
    pub successful: i64,
    /// Deliveries that are `failed`.
    pub failed: i64,
}

/// A webhook as it is stored.
#[derive(Clone, Debug)]
pub struct Webhook {
    pub id: i64,
    /// What a person decided.
    pub settings: Settings,
    /// What deliveries made of it.
    pub health: Health,
    pub counters: Counters,
    /// Grows with every change of settings or secrets.
    pub version: i64,
    /// The user who created it, as the system named them.
    pub created_by: Option<String>,
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
}

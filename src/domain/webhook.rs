//! Webhooks: who wants which events, and how they are to be sent.

mod field;
pub mod masked;
pub mod rules;
mod settings;

pub use field::{Field, Invalid};
pub use rules::{DEFAULT_CONCURRENCY, LONGEST_TIMEOUT_MS};
pub use settings::{LONGEST_CA_CERT, Settings};

use super::breaker::{Breaker, Passage};
use super::retry::LONGEST_DELAY_MS;
use super::time::Timestamp;

/// The reason of a webhook that a person disabled.
pub const DISABLED_BY_HAND: &str = "disabled by hand";

/// What deliveries have made of a webhook; kept in the database so that it holds across processes.
#[derive(Clone, Debug, PartialEq)]
pub struct Health {
    /// Whether deliveries go out.
    pub is_active: bool,
    /// Why it was disabled, for people.
    pub disabled_reason: Option<String>,
    /// When it was disabled.
    pub disabled_at: Option<Timestamp>,
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
    /// The receiver asked for patience until then.
    Held(Timestamp),
    /// The receiver could not be reached, and is left alone until then.
    Unreachable(Timestamp),
}

impl Health {
    /// What keeps all deliveries back at `now`; `None` when they may go.
    pub fn pause(&self, now: Timestamp) -> Option<Pause> {
        if !self.is_active {
            return Some(Pause::Disabled);
        }
        // One that is longer than any that is ever set: the clock was set back since.
        let held = self.held_until.filter(|until| now < *until && until.millis_since(now) <= LONGEST_DELAY_MS);
        match (held, self.breaker.passage(now)) {
            (Some(until), _) => Some(Pause::Held(until)),
            (None, Passage::Open(until)) => Some(Pause::Unreachable(until)),
            (None, Passage::Closed | Passage::Probe) => None,
        }
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

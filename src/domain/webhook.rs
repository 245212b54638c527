//! Webhooks: who wants which events, and how they are to be sent.

mod field;
pub mod masked;
mod settings;

pub use field::{Field, Invalid};
pub use settings::{LONGEST_CA_CERT, Settings};

use super::breaker::{Breaker, Passage};
use super::retry::LONGEST_DELAY_MS;
use super::text::{self, TextError};
use super::time::Timestamp;

/// The most characters of a webhook's name.
pub const LONGEST_NAME: usize = 200;
/// The longest deadline of an attempt, in milliseconds.
pub const LONGEST_TIMEOUT_MS: i64 = 3_600_000;
/// How many requests of one webhook run at once while others wait too, unless it says otherwise.
pub const DEFAULT_CONCURRENCY: u32 = 8;
/// A webhook without one success for so long is disabled, unless it says otherwise: 5 days, in milliseconds.
pub const DEFAULT_DISABLE_AFTER_MS: i64 = 5 * 86_400_000;

/// The reason of a webhook that a person disabled.
pub const DISABLED_BY_HAND: &str = "disabled by hand";

/// The HTTP methods that a webhook may use.
pub const METHODS: [&str; 3] = ["POST", "PUT", "PATCH"];

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
    /// When it was created.
    pub created_at: Timestamp,
    /// When its settings last changed.
    pub updated_at: Timestamp,
}

/// Why a text is no webhook name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    /// Empty or blank.
    #[error("a name is empty or blank")]
    Blank,
    /// Only digits: it would be taken for an id.
    #[error("a name of digits alone would be taken for an id; add a letter")]
    Digits,
    #[error("a name {0}")]
    Text(#[from] TextError),
    /// A blank at the beginning or end.
    #[error("a name begins or ends with a blank")]
    Edges,
}

/// Checks a webhook's name: 1 to 200 characters, none of them unsafe, at least one that is no digit.
pub fn check_name(name: &str) -> Result<(), NameError> {
    if name.trim().is_empty() {
        return Err(NameError::Blank);
    }
    text::check_line(name, LONGEST_NAME)?;
    match name {
        _ if name.trim() != name => Err(NameError::Edges),
        _ if name.chars().all(|c| c.is_ascii_digit()) => Err(NameError::Digits),
        _ => Ok(()),
    }
}

/// Why a text is no owner.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OwnerError {
    #[error("an owner is blank")]
    Blank,
    #[error("an owner {0}")]
    Text(#[from] TextError),
}

/// Checks an owner: 1 to 200 characters, not all blank, none of them unsafe.
pub fn check_owner(owner: &str) -> Result<(), OwnerError> {
    text::check_line(owner, LONGEST_NAME)?;
    if owner.trim().is_empty() { Err(OwnerError::Blank) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_visible_and_no_number() {
        for name in [
            "",
            " ",
            "\t",
            "12345",
            " a",
            "a ",
            "a\nb",
            "a\u{1b}[31m",
            "a\u{202e}b",
            "cr\u{200b}m",
            "\u{3164}",
            &"x".repeat(201),
        ] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
        for name in ["a", "42a", "Kunden-Portal ü", &"x".repeat(200)] {
            assert_eq!(check_name(name), Ok(()), "{name:?}");
        }
    }
}

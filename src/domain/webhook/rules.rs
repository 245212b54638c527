//! Limits and defaults of a webhook's settings, and what a name may be.

use crate::domain::text::{self, TextError};

/// The longest name, in characters.
pub const LONGEST_NAME: usize = 200;
/// The longest deadline of an attempt, in milliseconds.
pub const LONGEST_TIMEOUT_MS: i64 = 3_600_000;
/// By default a webhook has at most this many requests in flight while other webhooks have deliveries due.
pub const DEFAULT_CONCURRENCY: u32 = 8;
/// By default a webhook is disabled after failing for 5 days without one success, in milliseconds.
pub const DEFAULT_DISABLE_AFTER_MS: i64 = 5 * 86_400_000;

pub const METHODS: [&str; 3] = ["POST", "PUT", "PATCH"];

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NameError {
    #[error("a name is empty or blank")]
    Blank,
    #[error("a name of digits alone would be taken for an id; add a letter")]
    Digits,
    #[error("a name {0}")]
    Text(#[from] TextError),
    #[error("a name begins or ends with a blank")]
    Edges,
}

/// Checks a webhook's name: 1 to 200 safe characters, not all of them digits.
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

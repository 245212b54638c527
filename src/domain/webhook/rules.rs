//! What the settings of a webhook may be: bounds and names.

use crate::domain::text::{self, TextError};

/// The most characters of a webhook's name.
pub const LONGEST_NAME: usize = 200;
/// The longest deadline of an attempt, in milliseconds.
pub const LONGEST_TIMEOUT_MS: i64 = 3_600_000;
/// How many requests of one webhook run at once while others wait too, unless it says otherwise.
pub const DEFAULT_CONCURRENCY: u32 = 8;
/// A webhook without one success for so long is disabled, unless it says otherwise: 5 days, in milliseconds.
pub const DEFAULT_DISABLE_AFTER_MS: i64 = 5 * 86_400_000;

/// The HTTP methods that a webhook may use.
pub const METHODS: [&str; 3] = ["POST", "PUT", "PATCH"];

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

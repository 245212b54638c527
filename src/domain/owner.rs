//! Owners of webhooks and events. An event of one owner never reaches another's webhooks.

use std::str::FromStr;

use super::event_type::is_operational;
use super::text::{self, TextError};

/// The longest owner, in characters.
const LONGEST: usize = 200;

/// An owner in options and files: a name, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    Named(String),
    Nobody,
}

/// Why an owner is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OwnerError {
    #[error("an owner is blank")]
    Blank,
    #[error("an owner {0}")]
    Text(#[from] TextError),
}

impl FromStr for Owner {
    type Err = OwnerError;

    fn from_str(text: &str) -> Result<Owner, OwnerError> {
        text::check_line(text, LONGEST)?;
        match text {
            "none" => Ok(Owner::Nobody),
            text if text.trim().is_empty() => Err(OwnerError::Blank),
            text => Ok(Owner::Named(text.to_owned())),
        }
    }
}

impl Owner {
    pub fn name(&self) -> Option<&str> {
        match self {
            Owner::Named(name) => Some(name),
            Owner::Nobody => None,
        }
    }
}

/// Whether an event of one owner may reach a webhook of another. An event without an owner reaches all, one with an owner
/// that owner's webhooks alone. An operational event, which belongs to the owner of the webhook that it is about, reaches that
/// owner's webhooks and those of the operator, who has no owner.
pub fn may_reach(event_type: &str, event_owner: Option<&str>, webhook_owner: Option<&str>) -> bool {
    match is_operational(event_type) {
        true => webhook_owner.is_none() || event_owner == webhook_owner,
        false => event_owner.is_none() || event_owner == webhook_owner,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event_type::WEBHOOK_DISABLED;

    #[test]
    fn events_stay_with_their_owner_and_operational_ones_go_to_the_operator_too() {
        let (a, b) = (Some("a"), Some("b"));
        for (event_type, event, webhook, expected) in [
            ("x.y", None, None, true),
            ("x.y", None, a, true),
            ("x.y", a, a, true),
            ("x.y", a, b, false),
            ("x.y", a, None, false),
            (WEBHOOK_DISABLED, a, a, true),
            (WEBHOOK_DISABLED, a, b, false),
            (WEBHOOK_DISABLED, a, None, true),
            (WEBHOOK_DISABLED, None, None, true),
            (WEBHOOK_DISABLED, None, a, false),
        ] {
            assert_eq!(may_reach(event_type, event, webhook), expected, "{event_type} {event:?} {webhook:?}");
        }
    }

    #[test]
    fn none_is_no_owner_and_a_name_is_visible() {
        assert_eq!("none".parse(), Ok(Owner::Nobody));
        assert_eq!("acme".parse(), Ok(Owner::Named("acme".to_owned())));
        for text in ["", " ", "a\nb", "a\u{200b}b", &"x".repeat(201)] {
            assert!(text.parse::<Owner>().is_err(), "{text:?}");
        }
    }
}

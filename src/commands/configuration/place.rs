//! Places in a configuration file, for messages.

use std::fmt;

use crate::domain::webhook::{Field, Invalid};
use crate::error::Failure;

/// An entry of a list: `webhooks[2] (crm)`. Lists count from 0, as jq does.
#[derive(Clone, Debug)]
pub struct Place(String);

impl Place {
    pub fn new(list: &str, index: usize, name: &str) -> Place {
        Place(format!("{list}[{index}] ({name})"))
    }

    /// A key of the entry, where messages name an option: `FILE: webhooks[2] (crm): timeout_seconds`.
    pub fn key(&self, key: &str) -> String {
        format!("FILE: {}: {key}", self.0)
    }

    pub fn field(&self, field: Field) -> String {
        self.key(field.key)
    }

    pub fn refuse(&self, key: &str, reason: impl fmt::Display) -> Failure {
        Failure::option(&self.key(key), reason)
    }

    pub fn invalid(&self, invalid: Invalid) -> Failure {
        Failure { hint: invalid.hint, ..self.refuse(invalid.field.key, invalid.reason) }
    }
}

//! Expressions that are stored with a webhook and run on its events: compiled and run on the caller's stack, by the process
//! that is made for it.

use jaq_core::Filter;
use jaq_core::data::JustLut;
use jaq_json::Val;

use super::parse::{self, Invalid};
use super::run::{self, RunError};
use super::value::{self, Node};
use crate::domain::json::{self, JsonError};

/// A stored expression that is ready to run.
pub struct Stored {
    filter: Filter<JustLut<Val>>,
}

/// Why a stored expression gives no answer for an event.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    #[error("the event is {0}")]
    Input(#[from] JsonError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("it gives nothing for this event")]
    Nothing,
    #[error("it gives more than one value for this event")]
    Many,
}

impl Stored {
    pub fn compile(text: &str) -> Result<Stored, Invalid> {
        parse::check_bounds(text)?;
        Ok(Stored { filter: parse::compile(text)? })
    }

    /// Whether it gives any value but false and null.
    pub fn decide(&self, event: &[u8]) -> Result<bool, NoAnswer> {
        for result in run::results(&self.filter, read(event)?) {
            if !matches!(result?, Val::Null | Val::Bool(false)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The one value that it gives, as JSON.
    pub fn transform(&self, event: &[u8]) -> Result<String, NoAnswer> {
        let mut results = run::results(&self.filter, read(event)?);
        let value = results.next().ok_or(NoAnswer::Nothing)??;
        match results.next().transpose()? {
            None => Ok(value::write(&value).map_err(RunError::from)?),
            Some(_) => Err(NoAnswer::Many),
        }
    }
}

fn read(event: &[u8]) -> Result<Val, NoAnswer> {
    json::parse(event)?;
    let Node(value) = serde_json::from_slice(event).map_err(|error| RunError::Raised(error.to_string()))?;
    Ok(value)
}

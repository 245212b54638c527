//! Running an expression on the stack of the caller.

use jaq_core::data::JustLut;
use jaq_core::{Ctx, Filter, Vars};
use jaq_json::Val;

use super::value::NotJson;

/// Why an expression gave no further result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The expression's own error, as by `error("…")` or by adding a number to a string.
    #[error("{0}")]
    Raised(String),
    #[error("halted with status {0}")]
    Halted(i32),
    #[error(transparent)]
    NotJson(#[from] NotJson),
    #[error("there is no memory for its stack")]
    NoMemory,
}

/// What the expression gives for a value.
pub fn results(filter: &Filter<JustLut<Val>>, input: Val) -> impl Iterator<Item = Result<Val, RunError>> {
    let context = Ctx::<JustLut<Val>>::new(&filter.lut, Vars::new([]));
    filter.id.run((context, input)).map_while(|result| match result {
        Ok(value) => Some(Ok(value)),
        Err(exception) => match exception.get_err() {
            Ok(error) => Some(Err(RunError::Raised(told(error)))),
            Err(exception) => match exception.get_halt() {
                // As jq does, `halt` ends the results.
                Ok(0) => None,
                status => Some(Err(RunError::Halted(status.unwrap_or(1)))),
            },
        },
    })
}

/// An error's message; `error("no")` raises the string itself.
fn told(error: jaq_json::Error) -> String {
    match error.into_val() {
        Val::TStr(text) => String::from_utf8_lossy(&text).into_owned(),
        value => value.to_string(),
    }
}

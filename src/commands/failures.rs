//! The last failures, each with the command that looks at it.

use serde::Serialize;

use crate::domain::attempt::ErrorType;
use crate::domain::time::Timestamp;
use crate::output::{Cell, Look, Row};
use crate::store::FailedAttempt;

/// An attempt that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailureView {
    pub completed_at: Timestamp,
    pub webhook: String,
    pub event_type: String,
    pub delivery_id: i64,
    pub attempt_number: u32,
    pub response_status_code: Option<u16>,
    pub error_type: ErrorType,
    pub error_message: Option<String>,
}

impl From<FailedAttempt> for FailureView {
    fn from(failed: FailedAttempt) -> FailureView {
        FailureView {
            completed_at: failed.completed_at,
            webhook: failed.webhook,
            event_type: failed.event_type,
            delivery_id: failed.delivery_id,
            attempt_number: failed.attempt_number,
            response_status_code: failed.response_status_code,
            error_type: failed.error_type,
            error_message: failed.error_message,
        }
    }
}

impl FailureView {
    /// The code of the answer, or why there was none.
    pub fn result(&self) -> String {
        match (self.response_status_code, self.error_type) {
            (Some(code), ErrorType::HttpError) => code.to_string(),
            (_, error_type) => error_type.as_str().to_owned(),
        }
    }

    pub fn command(&self) -> String {
        format!("hookctl delivery show {}", self.delivery_id)
    }
}

impl Row for FailureView {
    const COLUMNS: &'static [&'static str] = &["when", "webhook", "event", "try", "result", "look"];
    const SPARE: &'static [&'static str] = &["try", "event"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        vec![
            look.ago(Some(self.completed_at)),
            Cell::name(&self.webhook),
            Cell::plain(&self.event_type),
            Cell::number(self.attempt_number),
            Cell::bad(self.result()),
            Cell::id(self.command()),
        ]
    }
}

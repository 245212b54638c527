//! The last failed attempts, each with the command that shows it.

use crate::domain::attempt::ErrorType;
use crate::output::{Cell, Look, Row};
use crate::store::FailedAttempt;

impl FailedAttempt {
    /// The status code, or the error type if there is none.
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

impl Row for FailedAttempt {
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

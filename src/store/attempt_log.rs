//! The log of attempts for `delivery tail`: in the order of recording, without the answers.

use serde::Serialize;

use super::row::Row;
use super::{DeliveryFilter, Result, Store};
use crate::domain::attempt::{ErrorType, Trigger};
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

/// An attempt with columns of its delivery, serialised in the keys of a delivery.
#[derive(Clone, Debug, Serialize)]
pub struct LoggedAttempt {
    /// Increases in the order of recording.
    #[serde(skip)]
    pub row: i64,
    #[serde(rename = "id")]
    pub delivery_id: i64,
    pub webhook_id: i64,
    pub webhook: String,
    pub event_type: String,
    pub event_id: String,
    /// The delivery's status after it: `success`, its present status, or `retrying` if a later attempt followed.
    pub status: Status,
    /// The number within the delivery, from 1.
    #[serde(rename = "attempt_number")]
    pub number: u32,
    pub trigger: Trigger,
    pub response_status_code: Option<u16>,
    pub error_message: Option<String>,
    pub error_type: Option<ErrorType>,
    pub started_at: Timestamp,
    pub completed_at: Timestamp,
    pub duration_ms: i64,
    /// When the next attempt is due, if this was the last one.
    pub next_retry_at: Option<Timestamp>,
}

/// Attempts with the columns of deliveries, so that the log's filters apply to the attempt's own error and code. CROSS JOIN
/// keeps attempts the outer loop: otherwise SQLite may scan all deliveries of a status to find the newest rows.
const SELECT: &str = "SELECT d.attempt_id, d.id, d.webhook_id, (SELECT w.name FROM webhooks w WHERE w.id = d.webhook_id),
        (SELECT e.event_id FROM events e WHERE e.id = d.event_id), d.event_type, d.status, d.attempt_number, d.is_manual,
        d.is_test, d.started_at, d.completed_at, d.duration_ms, d.response_status_code, d.error_type, d.error_message,
        CASE WHEN d.status = 'retrying' AND d.is_last AND d.claim_token IS NULL THEN d.due_at END
    FROM (SELECT a.id AS attempt_id, d.id, d.webhook_id, d.event_id, d.event_type, d.created_at, d.due_at, d.claim_token,
            CASE WHEN a.error_type IS NULL THEN 'success' WHEN a.attempt_number = d.attempt_count THEN d.status
                 ELSE 'retrying' END AS status,
            a.attempt_number = d.attempt_count AS is_last, a.attempt_number, a.is_manual, d.is_test, a.started_at, a.completed_at,
            a.duration_ms, a.response_status_code, a.error_type, a.error_message
        FROM attempts a CROSS JOIN deliveries d WHERE d.id = a.delivery_id AND a.id > $1 AND a.id <= $2) d";

impl Store {
    /// The attempts that match a filter, recorded after row `after` up to row `upto`, oldest first, at most `limit`.
    pub fn logged_attempts(
        &self,
        filter: &DeliveryFilter,
        after: i64,
        upto: i64,
        limit: u64,
    ) -> Result<Vec<LoggedAttempt>> {
        self.log(filter, after, upto, limit, "ORDER BY d.attempt_id")
    }

    /// The last `limit` attempts that match a filter, recorded up to row `upto`, oldest first.
    pub fn last_logged_attempts(&self, filter: &DeliveryFilter, upto: i64, limit: u64) -> Result<Vec<LoggedAttempt>> {
        let mut attempts = self.log(filter, 0, upto, limit, "ORDER BY d.attempt_id DESC")?;
        attempts.reverse();
        Ok(attempts)
    }

    fn log(&self, filter: &DeliveryFilter, after: i64, upto: i64, limit: u64, end: &str) -> Result<Vec<LoggedAttempt>> {
        let filter = DeliveryFilter { before: None, ..filter.clone() };
        let conditions = filter.conditions_after(self.dialect(), vec![after.into(), upto.into()]);
        let (sql, values) = conditions.query(SELECT, end, Some(limit));
        self.rows(&sql, &values, from_row)
    }
}

fn from_row(row: &mut Row<'_>) -> Result<LoggedAttempt> {
    Ok(LoggedAttempt {
        row: row.next()?,
        delivery_id: row.next()?,
        webhook_id: row.next()?,
        webhook: row.next()?,
        event_id: row.next()?,
        event_type: row.next()?,
        status: row.next()?,
        number: row.next()?,
        trigger: {
            let trigger = row.next()?;
            if row.next()? { Trigger::Test } else { trigger }
        },
        started_at: row.next()?,
        completed_at: row.next()?,
        duration_ms: row.next()?,
        response_status_code: row.next()?,
        error_type: row.next()?,
        error_message: row.next()?,
        next_retry_at: row.next()?,
    })
}

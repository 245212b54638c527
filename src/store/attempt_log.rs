//! The log of attempts as `delivery tail` follows it: in the order of recording, without the answers.

use rusqlite::{Row, params_from_iter};

use super::{DeliveryFilter, Result, Store};
use crate::domain::attempt::{ErrorType, Trigger};
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

/// An attempt with what one needs to know of its delivery.
#[derive(Clone, Debug)]
pub struct LoggedAttempt {
    /// Its row: later ones have higher numbers.
    pub row: i64,
    /// Its delivery.
    pub delivery_id: i64,
    /// Its delivery's webhook.
    pub webhook_id: i64,
    /// That webhook's name.
    pub webhook: String,
    /// Its event's id.
    pub event_id: String,
    /// Its event's type.
    pub event_type: String,
    /// What it made of its delivery: `success`, else what the delivery is now, or `retrying` when it was tried again since.
    pub status: Status,
    /// Its number within the delivery, from 1.
    pub number: u32,
    /// What made it happen.
    pub trigger: Trigger,
    /// When the request began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// The answer's status code.
    pub response_status_code: Option<u16>,
    /// Why it failed.
    pub error_type: Option<ErrorType>,
    /// The same in words.
    pub error_message: Option<String>,
    /// When the delivery is tried again, if this was its last attempt.
    pub next_retry_at: Option<Timestamp>,
}

/// Attempts in the shape of deliveries, so that the log's filters mean the attempt's own error and code.
const SELECT: &str = "SELECT d.row, d.id, d.webhook_id, (SELECT name FROM webhooks w WHERE w.id = d.webhook_id),
    (SELECT e.event_id FROM events e WHERE e.id = d.event_id), d.event_type, d.status, d.attempt_number, d.is_manual,
    d.started_at, d.completed_at, d.duration_ms, d.response_status_code, d.error_type, d.error_message,
    CASE WHEN d.status = 'retrying' AND d.is_last AND d.claim_token IS NULL THEN d.due_at END";

impl Store {
    /// The attempts that a filter means, recorded after row `after` up to row `upto`, oldest first, at most `limit`.
    pub fn logged_attempts(
        &self,
        filter: &DeliveryFilter,
        after: i64,
        upto: i64,
        limit: u64,
    ) -> Result<Vec<LoggedAttempt>> {
        self.log(filter, after, upto, limit, "ORDER BY d.row LIMIT ?")
    }

    /// The last `limit` attempts that a filter means, recorded up to row `upto`, oldest first.
    pub fn last_logged_attempts(&self, filter: &DeliveryFilter, upto: i64, limit: u64) -> Result<Vec<LoggedAttempt>> {
        let mut attempts = self.log(filter, 0, upto, limit, "ORDER BY d.row DESC LIMIT ?")?;
        attempts.reverse();
        Ok(attempts)
    }

    fn log(&self, filter: &DeliveryFilter, after: i64, upto: i64, limit: u64, end: &str) -> Result<Vec<LoggedAttempt>> {
        // CROSS JOIN keeps the attempts the outer loop: no index of deliveries may turn a look at the newest rows into a
        // walk through all of a status.
        let from = format!(
            "FROM (SELECT a.id AS row, d.id, d.webhook_id, d.event_id, d.event_type, d.created_at, d.due_at, d.claim_token,
                CASE WHEN a.error_type IS NULL THEN 'success' WHEN a.attempt_number = d.attempt_count THEN d.status
                     ELSE 'retrying' END AS status,
                a.attempt_number = d.attempt_count AS is_last, a.attempt_number, a.is_manual, a.started_at, a.completed_at,
                a.duration_ms, a.response_status_code, a.error_type, a.error_message
             FROM attempts a CROSS JOIN deliveries d ON d.id = a.delivery_id WHERE a.id > {after} AND a.id <= {upto}) d"
        );
        let filter = DeliveryFilter { before: None, limit: Some(limit), ..filter.clone() };
        let (sql, values) = filter.query(&format!("{SELECT} {from}"), end);
        let mut statement = self.connection.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<LoggedAttempt> {
    Ok(LoggedAttempt {
        row: row.get(0)?,
        delivery_id: row.get(1)?,
        webhook_id: row.get(2)?,
        webhook: row.get(3)?,
        event_id: row.get(4)?,
        event_type: row.get(5)?,
        status: row.get(6)?,
        number: row.get(7)?,
        trigger: if row.get(8)? { Trigger::Manual } else { Trigger::Scheduled },
        started_at: row.get(9)?,
        completed_at: row.get(10)?,
        duration_ms: row.get(11)?,
        response_status_code: row.get(12)?,
        error_type: row.get(13)?,
        error_message: row.get(14)?,
        next_retry_at: row.get(15)?,
    })
}

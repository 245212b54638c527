//! Reads the log for statistics: row by row, in order of time.

use serde::Serialize;

use super::row::read_fields;
use super::value::params;
use super::{Result, Store};
use crate::domain::attempt::ErrorType;
use crate::domain::statistics::{AttemptSample, DeliverySample};
use crate::domain::time::Timestamp;

/// Which part of the log to read. Tests are never included.
#[derive(Clone, Debug)]
pub struct Window {
    /// Deliveries created, and attempts ended, at this time or later.
    pub since: Timestamp,
    /// Of these webhooks; of all if empty.
    pub webhooks: Vec<i64>,
}

/// A failed attempt, with its delivery and webhook.
#[derive(Clone, Debug, Serialize)]
pub struct FailedAttempt {
    pub completed_at: Timestamp,
    pub webhook: String,
    pub event_type: String,
    pub delivery_id: i64,
    pub attempt_number: u32,
    pub response_status_code: Option<u16>,
    pub error_type: ErrorType,
    pub error_message: Option<String>,
}

impl Store {
    /// The last attempts that failed in the window, newest first.
    pub fn last_failures(&self, window: &Window, most: u64) -> Result<Vec<FailedAttempt>> {
        let sql = format!(
            "SELECT d.id, (SELECT w.name FROM webhooks w WHERE w.id = d.webhook_id), d.event_type, a.attempt_number,
                a.completed_at, a.response_status_code, a.error_type, a.error_message
             FROM attempts a CROSS JOIN deliveries d
             WHERE d.id = a.delivery_id AND a.completed_at >= $1 AND a.error_type IS NOT NULL AND NOT d.is_test
                AND ($2 OR {})
             ORDER BY a.completed_at DESC, a.id DESC LIMIT $4",
            self.dialect().one_of("d.webhook_id", "$3")
        );
        let values = params![window.since, window.webhooks.is_empty(), window.webhooks.as_slice(), most as i64];
        self.rows(&sql, values, |row| {
            Ok(read_fields!(row => FailedAttempt {
                delivery_id, webhook, event_type, attempt_number, completed_at, response_status_code, error_type,
                error_message
            }))
        })
    }

    /// Calls `see` for every delivery created in the window, in order of time.
    pub fn each_delivery(&self, window: &Window, mut see: impl FnMut(&DeliverySample<'_>)) -> Result<()> {
        let sql = format!(
            "SELECT webhook_id, event_type, created_at, status, attempt_count FROM deliveries
             WHERE created_at >= $1 AND NOT is_test AND ($2 OR {})
             ORDER BY created_at",
            self.dialect().one_of("webhook_id", "$3")
        );
        self.each(&sql, params![window.since, window.webhooks.is_empty(), window.webhooks.as_slice()], |row| {
            see(&read_fields!(row => DeliverySample { webhook_id, event_type, created_at, status, attempts }));
            Ok(())
        })
    }

    /// Calls `see` for every attempt that ended in the window, in order of time.
    pub fn each_attempt(&self, window: &Window, mut see: impl FnMut(&AttemptSample<'_>)) -> Result<()> {
        let sql = format!(
            "SELECT d.webhook_id, d.event_type, a.completed_at, a.duration_ms, a.error_type
             FROM attempts a CROSS JOIN deliveries d
             WHERE d.id = a.delivery_id AND a.completed_at >= $1 AND NOT d.is_test AND ($2 OR {})
             ORDER BY a.completed_at",
            self.dialect().one_of("d.webhook_id", "$3")
        );
        self.each(&sql, params![window.since, window.webhooks.is_empty(), window.webhooks.as_slice()], |row| {
            see(&read_fields!(row => AttemptSample { webhook_id, event_type, completed_at, duration_ms, error_type }));
            Ok(())
        })
    }
}

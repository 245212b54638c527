//! The log as statistics read it: row by row, by time.

use rusqlite::named_params;

use super::columns::to_json;
use super::{Result, Store};
use crate::domain::statistics::{AttemptSample, DeliverySample};
use crate::domain::time::Timestamp;

/// Which part of the log is meant. Tests are never part of it.
#[derive(Clone, Debug)]
pub struct Window {
    /// Deliveries created, and attempts ended, at this time or later.
    pub since: Timestamp,
    /// Of these webhooks; of all when empty.
    pub webhooks: Vec<i64>,
}

impl Store {
    /// Hands every delivery created in the window to `see`, in the order of time.
    pub fn each_delivery(&self, window: &Window, mut see: impl FnMut(&DeliverySample<'_>)) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT webhook_id, event_type, created_at, status, attempt_count
             FROM deliveries INDEXED BY deliveries_by_time
             WHERE created_at >= :since AND is_test = 0
               AND (:any OR webhook_id IN (SELECT value FROM json_each(:webhooks)))
             ORDER BY created_at",
        )?;
        let mut rows = statement.query(named_params! {
            ":since": window.since, ":any": window.webhooks.is_empty(), ":webhooks": to_json(&window.webhooks),
        })?;
        while let Some(row) = rows.next()? {
            see(&DeliverySample {
                webhook_id: row.get(0)?,
                event_type: row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
                created_at: row.get(2)?,
                status: row.get(3)?,
                attempts: row.get(4)?,
            });
        }
        Ok(())
    }

    /// Hands every attempt that ended in the window to `see`, in the order of time.
    pub fn each_attempt(&self, window: &Window, mut see: impl FnMut(&AttemptSample<'_>)) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "SELECT d.webhook_id, d.event_type, a.completed_at, a.duration_ms, a.error_type
             FROM attempts a INDEXED BY attempts_by_time CROSS JOIN deliveries d ON d.id = a.delivery_id
             WHERE a.completed_at >= :since AND d.is_test = 0
               AND (:any OR d.webhook_id IN (SELECT value FROM json_each(:webhooks)))
             ORDER BY a.completed_at",
        )?;
        let mut rows = statement.query(named_params! {
            ":since": window.since, ":any": window.webhooks.is_empty(), ":webhooks": to_json(&window.webhooks),
        })?;
        while let Some(row) = rows.next()? {
            see(&AttemptSample {
                webhook_id: row.get(0)?,
                event_type: row.get_ref(1)?.as_str().map_err(rusqlite::Error::from)?,
                completed_at: row.get(2)?,
                duration_ms: row.get(3)?,
                error_type: row.get(4)?,
            });
        }
        Ok(())
    }
}

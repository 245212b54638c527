//! What monitors read: counts that never go back, and the state of things now. None of it walks through the log.

use rusqlite::named_params;

use super::{Result, Store};
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

/// Attempts of one webhook that ended alike: how, and in which bucket of durations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptCount {
    /// The webhook.
    pub webhook_id: i64,
    /// `success`, or the error type.
    pub outcome: String,
    /// The upper bound of the bucket, one of [`crate::domain::statistics::DURATION_BOUNDS_MS`].
    pub bound_ms: i64,
    /// How many.
    pub attempts: i64,
    /// How long they took together, in milliseconds.
    pub duration_ms: i64,
}

/// A webhook's deliveries that are not finished well or badly, and those that are due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookState {
    /// The webhook.
    pub webhook_id: i64,
    /// Never attempted.
    pub pending: i64,
    /// To be tried again.
    pub retrying: i64,
    /// Taken back by hand; those pruned are counted too.
    pub cancelled: i64,
    /// Due now; 0 while the webhook is disabled.
    pub due: i64,
    /// Since when the oldest of these is due.
    pub oldest_due_at: Option<Timestamp>,
}

impl Store {
    /// Adds to the totals that pruning leaves alone.
    pub fn count_attempts(&self, counts: &[AttemptCount]) -> Result<()> {
        let mut statement = self.connection.prepare_cached(
            "INSERT INTO attempt_counts (webhook_id, outcome, bound_ms, attempts, duration_ms)
             VALUES (:webhook, :outcome, :bound, :attempts, :duration)
             ON CONFLICT (webhook_id, outcome, bound_ms) DO UPDATE
             SET attempts = attempts + excluded.attempts, duration_ms = duration_ms + excluded.duration_ms",
        )?;
        counts.iter().try_for_each(|count| {
            statement.execute(named_params! {
                ":webhook": count.webhook_id,
                ":outcome": count.outcome,
                ":bound": count.bound_ms,
                ":attempts": count.attempts,
                ":duration": count.duration_ms,
            })?;
            Ok(())
        })
    }

    /// Every attempt ever made, counted, by webhook, outcome and bucket.
    pub fn attempt_counts(&self) -> Result<Vec<AttemptCount>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT webhook_id, outcome, bound_ms, attempts, duration_ms FROM attempt_counts
             ORDER BY webhook_id, outcome, bound_ms",
        )?;
        let rows = statement.query_map([], |row| {
            Ok(AttemptCount {
                webhook_id: row.get(0)?,
                outcome: row.get(1)?,
                bound_ms: row.get(2)?,
                attempts: row.get(3)?,
                duration_ms: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// What every webhook has open at `now`, by id.
    pub fn webhook_states(&self, now: Timestamp) -> Result<Vec<WebhookState>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT s.webhook_id, coalesce(o.pending, 0), coalesce(o.retrying, 0),
                coalesce(c.cancelled, 0) + s.pruned_total - s.pruned_successful - s.pruned_failed,
                iif(s.is_active, coalesce(o.due, 0), 0), iif(s.is_active, o.oldest, NULL)
             FROM webhook_state s LEFT JOIN (
                SELECT webhook_id, count(*) FILTER (WHERE status = 'pending') AS pending,
                    count(*) FILTER (WHERE status = 'retrying') AS retrying,
                    count(*) FILTER (WHERE due_at <= :now) AS due, min(due_at) FILTER (WHERE due_at <= :now) AS oldest
                FROM deliveries WHERE due_at IS NOT NULL GROUP BY webhook_id) o ON o.webhook_id = s.webhook_id
             LEFT JOIN (
                SELECT webhook_id, count(*) AS cancelled FROM deliveries
                WHERE status = 'cancelled' AND status <> 'success' AND is_test = 0 GROUP BY webhook_id) c
                ON c.webhook_id = s.webhook_id
             ORDER BY s.webhook_id",
        )?;
        let rows = statement.query_map(named_params! { ":now": now }, |row| {
            Ok(WebhookState {
                webhook_id: row.get(0)?,
                pending: row.get(1)?,
                retrying: row.get(2)?,
                cancelled: row.get(3)?,
                due: row.get(4)?,
                oldest_due_at: row.get(5)?,
            })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many deliveries ended as failed at `since` or later; tests are not counted.
    pub fn count_failed_since(&self, since: Timestamp) -> Result<u64> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM deliveries
                 WHERE status = :failed AND status <> 'success' AND completed_at >= :since AND is_test = 0",
            )?
            .query_row(named_params! { ":failed": Status::Failed, ":since": since }, |row| row.get(0))?;
        Ok(count as u64)
    }
}

//! Due times after the clock was set back: what was written by the clock ahead must not wait for it to come true.

use rusqlite::named_params;

use super::check::CLOCK_TOLERANCE_MS;
use super::{Result, Store};
use crate::domain::retry::LONGEST_DELAY_MS;
use crate::domain::time::Timestamp;
use crate::domain::webhook::LONGEST_TIMEOUT_MS;

/// The longest lease, in milliseconds: the longest time-out, and more than the engine's margin.
const LONGEST_LEASE_MS: i64 = LONGEST_TIMEOUT_MS + 60_000;

impl Store {
    /// Whether some row was written by a clock ahead of this one. Four looks into indexes.
    pub fn is_clock_behind(&self, now: Timestamp) -> Result<bool> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM deliveries WHERE created_at > :ahead)
                     OR EXISTS (SELECT 1 FROM attempts WHERE completed_at > :ahead)
                     OR EXISTS (SELECT 1 FROM webhooks w JOIN deliveries d ON d.webhook_id = w.id
                                WHERE d.due_at > :farthest)",
            )?
            .query_row(
                named_params! {
                    ":ahead": now.plus_millis(CLOCK_TOLERANCE_MS),
                    ":farthest": now.plus_millis(LONGEST_DELAY_MS + CLOCK_TOLERANCE_MS),
                },
                |row| row.get(0),
            )?)
    }

    /// Shortens what such a clock set: a first try is due now, a retry after the delay that it was given, a claim ends within
    /// the longest lease, and nothing waits longer than the longest delay. Doing it again puts
    /// nothing off: what was mended is due before the attempt that it follows.
    pub fn mend_clock(&self, now: Timestamp) -> Result<usize> {
        Ok(self
            .connection
            .prepare_cached(
                "UPDATE deliveries SET due_at = CASE
                    WHEN claim_token IS NOT NULL THEN min(due_at, :lease)
                    WHEN attempt_count = 0 THEN :now
                    WHEN completed_at > :ahead AND due_at >= completed_at THEN min(:now + due_at - completed_at, :farthest)
                    ELSE min(due_at, :farthest) END
                 WHERE due_at > :now AND (
                    (claim_token IS NOT NULL AND due_at > :lease)
                    OR (claim_token IS NULL AND (attempt_count = 0 OR (completed_at > :ahead AND due_at >= completed_at) OR due_at > :farthest)))",
            )?
            .execute(named_params! {
                ":now": now,
                ":ahead": now.plus_millis(CLOCK_TOLERANCE_MS),
                ":lease": now.plus_millis(LONGEST_LEASE_MS),
                ":farthest": now.plus_millis(LONGEST_DELAY_MS),
            })?)
    }
}

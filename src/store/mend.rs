//! Corrects times after the clock was set back: otherwise deliveries would wait until the clock reaches them again.

use super::check::CLOCK_TOLERANCE_MS;
use super::claims::due_webhooks;
use super::dialect::Dialect;
use super::value::{params, values};
use super::{Result, Store};
use crate::domain::retry::LONGEST_DELAY_MS;
use crate::domain::time::Timestamp;
use crate::domain::webhook::LONGEST_TIMEOUT_MS;

/// More than the longest lease, in milliseconds: the longest time-out and the engine's margin.
pub(super) const LONGEST_LEASE_MS: i64 = LONGEST_TIMEOUT_MS + 60_000;

/// Four looks into indexes. Asked for with an order and a limit, which leave a server no reason to read a table instead, as it
/// would for EXISTS where it takes a third of the rows for matches. On a server the index says of a claim when its delivery was
/// due and not when the claim ends: claims that were left are among the deliveries that are due longest.
fn clock_query(dialect: Dialect) -> String {
    let late = match dialect {
        Dialect::Sqlite => {
            "SELECT d.due_at FROM deliveries d WHERE d.webhook_id = s.webhook_id AND d.due_at > $2
            ORDER BY d.due_at LIMIT 1"
        }
        Dialect::Postgres => {
            "SELECT max(l.due_at) FROM (
            (SELECT d.due_at FROM deliveries d WHERE d.webhook_id = s.webhook_id AND d.queued_at > $2
                ORDER BY d.queued_at LIMIT 1)
            UNION ALL SELECT f.due_at FROM (SELECT d.due_at FROM deliveries d WHERE d.webhook_id = s.webhook_id
                AND d.queued_at IS NOT NULL ORDER BY d.queued_at LIMIT 64) f WHERE f.due_at > $2) l"
        }
    };
    format!(
        "SELECT (SELECT created_at FROM deliveries WHERE created_at > $1 ORDER BY created_at LIMIT 1) IS NOT NULL
        OR (SELECT completed_at FROM attempts WHERE completed_at > $1 ORDER BY completed_at LIMIT 1) IS NOT NULL
        OR EXISTS (SELECT 1 FROM webhook_state s WHERE ({late}) IS NOT NULL)"
    )
}

impl Store {
    /// The active webhooks that have a delivery due at `now`, and whether some row was written by a clock ahead of this one.
    pub fn due_webhooks_by_clock(&self, now: Timestamp) -> Result<(Vec<i64>, bool)> {
        let (dialect, ahead) = (self.dialect(), now.plus_millis(CLOCK_TOLERANCE_MS));
        let (of_due, of_clock) = (values![now], values![ahead, ahead.plus_millis(LONGEST_DELAY_MS)]);
        let (mut due, mut is_clock_behind) = (Vec::new(), false);
        self.ask_all(&[(&due_webhooks(dialect), &of_due), (&clock_query(dialect), &of_clock)], &mut |number, row| {
            match number {
                0 => due.push(row.next()?),
                _ => is_clock_behind = row.next()?,
            }
            Ok(())
        })?;
        Ok((due, is_clock_behind))
    }

    /// Corrects such times: first attempts are due now, retries after their delay, claims end within the longest lease, and
    /// nothing waits longer than the longest delay. Running it again delays nothing further: corrected retries are due before
    /// the time of the attempt that they follow.
    pub fn mend_clock(&self, now: Timestamp) -> Result<usize> {
        let (ahead, lease) = (now.plus_millis(CLOCK_TOLERANCE_MS), now.plus_millis(LONGEST_LEASE_MS));
        self.execute(
            "UPDATE deliveries SET due_at = CASE
                WHEN claim_token IS NOT NULL THEN $1
                WHEN attempt_count = 0 THEN $2
                WHEN completed_at > $3 AND due_at >= completed_at AND $2 + due_at - completed_at < $4
                    THEN $2 + due_at - completed_at
                ELSE $4 END
             WHERE due_at > $2 AND (
                (claim_token IS NOT NULL AND due_at > $1)
                OR (claim_token IS NULL AND (attempt_count = 0 OR (completed_at > $3 AND due_at >= completed_at) OR due_at > $4)))",
            params![lease, now, ahead, now.plus_millis(LONGEST_DELAY_MS)],
        )
    }
}

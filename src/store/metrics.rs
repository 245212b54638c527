//! Figures for monitoring: counters that only increase, and the present state. None of it scans the log.

use super::dialect::Dialect;
use super::row::{one, read_fields};
use super::value::{params, values};
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// Attempts of one webhook with the same outcome and bucket of durations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptCount {
    pub webhook_id: i64,
    /// `success`, or the error type.
    pub outcome: String,
    /// The upper bound of the bucket, one of [`crate::domain::statistics::DURATION_BOUNDS_MS`].
    pub bound_ms: i64,
    pub attempts: i64,
    /// The sum of durations.
    pub duration_ms: i64,
}

/// How many deliveries of a webhook are open, cancelled and due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookState {
    pub webhook_id: i64,
    /// Never attempted.
    pub pending: i64,
    /// To be tried again.
    pub retrying: i64,
    /// Cancelled by hand, pruned ones included.
    pub cancelled: i64,
    /// Due now; 0 while the webhook is disabled or paused.
    pub due: i64,
    /// Since when the oldest of them is due.
    pub oldest_due_at: Option<Timestamp>,
}

/// With [`Dialect::queued`] in the place of `{queued}`.
const STATES: &str = "SELECT s.webhook_id, coalesce(o.pending, 0), coalesce(o.retrying, 0),
        coalesce(c.cancelled, 0) + s.pruned_total - s.pruned_successful - s.pruned_failed,
        CASE WHEN s.is_active AND s.paused_at IS NULL THEN coalesce(o.due, 0) ELSE 0 END,
        CASE WHEN s.is_active AND s.paused_at IS NULL THEN o.oldest END
    FROM webhook_state s LEFT JOIN (
        SELECT webhook_id, count(*) FILTER (WHERE status = 'pending') AS pending,
            count(*) FILTER (WHERE status = 'retrying') AS retrying,
            count(*) FILTER (WHERE due_at <= $1) AS due, min(due_at) FILTER (WHERE due_at <= $1) AS oldest
        FROM deliveries WHERE {queued} IS NOT NULL GROUP BY webhook_id) o ON o.webhook_id = s.webhook_id
    LEFT JOIN (
        SELECT webhook_id, count(*) AS cancelled FROM deliveries
        WHERE status = 'cancelled' AND status IN ('failed', 'cancelled') AND NOT is_test GROUP BY webhook_id) c
        ON c.webhook_id = s.webhook_id
    ORDER BY s.webhook_id";

fn states(dialect: Dialect) -> String {
    STATES.replace("{queued}", dialect.queued())
}

const FAILED_SINCE: &str = "SELECT count(*) FROM deliveries
    WHERE status = 'failed' AND status IN ('failed', 'cancelled') AND completed_at >= $1 AND NOT is_test";

impl Store {
    /// Adds to the totals, which pruning does not change.
    pub fn count_attempts<'a>(&self, counts: &'a [AttemptCount]) -> Result<()> {
        let sql = "INSERT INTO attempt_counts (webhook_id, outcome, bound_ms, attempts, duration_ms)
             VALUES ($1, $2, $3, $4, $5)
             ON CONFLICT (webhook_id, outcome, bound_ms) DO UPDATE
             SET attempts = attempt_counts.attempts + excluded.attempts,
                 duration_ms = attempt_counts.duration_ms + excluded.duration_ms";
        let values = |count: &'a AttemptCount| {
            values![count.webhook_id, &count.outcome, count.bound_ms, count.attempts, count.duration_ms]
        };
        self.execute_each(sql, counts.iter().map(values))
    }

    /// The number of all attempts ever made, by webhook, outcome and bucket.
    pub fn attempt_counts(&self) -> Result<Vec<AttemptCount>> {
        self.rows(
            "SELECT webhook_id, outcome, bound_ms, attempts, duration_ms FROM attempt_counts
             ORDER BY webhook_id, outcome, bound_ms",
            &[],
            |row| Ok(read_fields!(row => AttemptCount { webhook_id, outcome, bound_ms, attempts, duration_ms })),
        )
    }

    /// The open deliveries of every webhook at `now`, by id.
    pub fn webhook_states(&self, now: Timestamp) -> Result<Vec<WebhookState>> {
        self.rows(&states(self.dialect()), params![now], |row| {
            Ok(read_fields!(row => WebhookState { webhook_id, pending, retrying, cancelled, due, oldest_due_at }))
        })
    }

    /// How many deliveries failed for good at `since` or later, of these webhooks, or of all if none is named. Tests are not
    /// counted.
    pub fn count_failed_since(&self, since: Timestamp, webhooks: &[i64]) -> Result<u64> {
        let sql = format!("{FAILED_SINCE} AND ($2 OR {})", self.dialect().one_of("webhook_id", "$3"));
        self.only(&sql, params![since, webhooks.is_empty(), webhooks], one)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn monitoring_never_walks_through_the_log() {
        let store = Store::empty().expect("a database");
        for sql in [&states(Dialect::Sqlite), FAILED_SINCE] {
            let plan = store.plan(sql);
            assert!(plan.contains("USING INDEX deliveries_by_status (status=?)"), "{plan}");
            assert!(!plan.contains("SCAN deliveries\n") && !plan.ends_with("SCAN deliveries"), "{plan}");
        }
    }
}

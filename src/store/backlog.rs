//! What waits to be sent.

use serde::Serialize;

use super::row::pair;
use super::value::params;
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// What waits to be sent, in deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Backlog {
    /// Never attempted.
    pub pending: u64,
    /// To be tried again.
    pub retrying: u64,
    /// Of these, the ones that a process is attempting.
    pub claimed: u64,
    /// Of these, the ones that the next drain attempts: due, of webhooks that are active and not paused.
    pub due: u64,
    /// Since when the longest due one is due.
    #[serde(skip)]
    pub oldest_due: Option<Timestamp>,
}

impl Store {
    pub(super) fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let open = "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'retrying'),
                count(*) FILTER (WHERE claim_token IS NOT NULL AND due_at > $1)
             FROM deliveries WHERE due_at IS NOT NULL";
        let backlog = self.only(open, params![now], |row| {
            let (pending, retrying) = pair(row)?;
            Ok(Backlog { pending, retrying, claimed: row.next()?, ..Backlog::default() })
        })?;
        let due = "SELECT count(*), min(d.due_at) FROM webhook_state s JOIN deliveries d ON d.webhook_id = s.webhook_id
             WHERE s.is_active AND s.paused_at IS NULL AND d.due_at <= $1";
        let (due, oldest_due) = self.only(due, params![now], pair)?;
        Ok(Backlog { due, oldest_due, ..backlog })
    }

    /// How many deliveries of webhooks that are active and not paused are due at `now`; of all webhooks, or of these.
    pub fn count_due(&self, now: Timestamp, webhooks: &[i64]) -> Result<u64> {
        Ok(self.due_by_webhook(now, webhooks, false)?.into_iter().map(|(_, count)| count).sum())
    }

    /// The active webhooks, but for paused ones, with deliveries due at `now`, by name, with how many; `all` counts retries whose time has not
    /// come, too.
    pub fn due_by_webhook(&self, now: Timestamp, webhooks: &[i64], all: bool) -> Result<Vec<(String, u64)>> {
        let sql = format!(
            "SELECT o.name, o.due FROM (
                SELECT w.name, (SELECT count(*) FROM deliveries d WHERE d.webhook_id = w.id
                                  AND (d.due_at <= $1 OR ($2 AND d.due_at > $1 AND d.claim_token IS NULL))) AS due
                FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id
                WHERE s.is_active AND s.paused_at IS NULL AND ($3 OR {})) o
             WHERE o.due > 0 ORDER BY o.name",
            self.dialect().one_of("w.id", "$4")
        );
        self.rows(&sql, params![now, all, webhooks.is_empty(), webhooks], pair)
    }

    /// Makes every waiting delivery of webhooks that are active and not paused due now; of all webhooks, or of these.
    pub fn make_all_due(&self, now: Timestamp, webhooks: &[i64]) -> Result<()> {
        let sql = format!(
            "UPDATE deliveries SET due_at = $1
             WHERE due_at > $1 AND claim_token IS NULL AND webhook_id IN (
                SELECT s.webhook_id FROM webhook_state s WHERE s.is_active AND s.paused_at IS NULL AND ($2 OR {}))",
            self.dialect().one_of("s.webhook_id", "$3")
        );
        self.execute(&sql, params![now, webhooks.is_empty(), webhooks]).map(drop)
    }
}

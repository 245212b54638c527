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

/// Which due deliveries are counted.
#[derive(Clone, Copy, Debug)]
pub struct DueQuery<'a> {
    pub now: Timestamp,
    /// Of these webhooks; of all without any.
    pub webhooks: &'a [i64],
    /// Retries whose time has not come, too.
    pub with_retries: bool,
    /// Of disabled and paused webhooks, too.
    pub with_idle: bool,
}

/// How many deliveries of a webhook are due.
#[derive(Clone, Debug)]
pub struct Due {
    pub webhook: String,
    pub due: u64,
    pub is_active: bool,
    pub is_paused: bool,
}

impl Due {
    /// Whether a drain sends them.
    pub fn is_sent(&self) -> bool {
        self.is_active && !self.is_paused
    }
}

impl Store {
    pub(super) fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let dialect = self.dialect();
        let open = format!(
            "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'retrying'),
                count(*) FILTER (WHERE claim_token IS NOT NULL AND due_at > $1)
             FROM deliveries WHERE {} IS NOT NULL",
            dialect.queued()
        );
        let backlog = self.only(&open, params![now], |row| {
            let (pending, retrying) = pair(row)?;
            Ok(Backlog { pending, retrying, claimed: row.next()?, ..Backlog::default() })
        })?;
        let due = format!(
            "SELECT count(*), min(d.due_at) FROM webhook_state s JOIN deliveries d ON d.webhook_id = s.webhook_id
             WHERE s.is_active AND s.paused_at IS NULL AND {}",
            dialect.is_due("$1")
        );
        let (due, oldest_due) = self.only(&due, params![now], pair)?;
        Ok(Backlog { due, oldest_due, ..backlog })
    }

    /// How many deliveries of webhooks that are active and not paused are due at `now`; of all webhooks, or of these.
    pub fn count_due(&self, now: Timestamp, webhooks: &[i64]) -> Result<u64> {
        let query = DueQuery { now, webhooks, with_retries: false, with_idle: false };
        Ok(self.due_by_webhook(&query)?.into_iter().map(|row| row.due).sum())
    }

    /// The webhooks with deliveries due, by name.
    pub fn due_by_webhook(&self, query: &DueQuery<'_>) -> Result<Vec<Due>> {
        let (dialect, DueQuery { now, webhooks, with_retries, with_idle }) = (self.dialect(), *query);
        let sql = format!(
            "SELECT o.name, o.due, o.is_active, o.is_paused FROM (
                SELECT w.name, s.is_active, s.paused_at IS NOT NULL AS is_paused,
                    (SELECT count(*) FROM deliveries d WHERE d.webhook_id = w.id AND d.{} IS NOT NULL
                       AND ({} OR ($2 AND d.due_at > $1 AND d.claim_token IS NULL))) AS due
                FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id
                WHERE ($3 OR (s.is_active AND s.paused_at IS NULL)) AND ($4 OR {})) o
             WHERE o.due > 0 ORDER BY o.name",
            dialect.queued(),
            dialect.is_due("$1"),
            dialect.one_of("w.id", "$5")
        );
        self.rows(&sql, params![now, with_retries, with_idle, webhooks.is_empty(), webhooks], |row| {
            Ok(Due { webhook: row.next()?, due: row.next()?, is_active: row.next()?, is_paused: row.next()? })
        })
    }

    /// Makes every waiting delivery of webhooks that are active and not paused due now; of all webhooks, or of these.
    pub fn make_all_due(&self, now: Timestamp, webhooks: &[i64]) -> Result<()> {
        let sql = format!(
            "UPDATE deliveries SET due_at = $1
             WHERE {} > $1 AND claim_token IS NULL AND webhook_id IN (
                SELECT s.webhook_id FROM webhook_state s WHERE s.is_active AND s.paused_at IS NULL AND ($2 OR {}))",
            self.dialect().queued(),
            self.dialect().one_of("s.webhook_id", "$3")
        );
        self.execute(&sql, params![now, webhooks.is_empty(), webhooks]).map(drop)
    }
}

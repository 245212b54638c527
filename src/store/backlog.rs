//! What waits to be sent.

use super::row::pair;
use super::value::params;
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// What waits to be sent, in deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Never attempted.
    pub pending: u64,
    /// To be tried again.
    pub retrying: u64,
    /// Of these, the ones that a process is attempting.
    pub claimed: u64,
    /// Of these, the ones that the next drain attempts: due, of active webhooks.
    pub due: u64,
    /// Since when the longest due one is due.
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
             WHERE s.is_active AND d.due_at <= $1";
        let (due, oldest_due) = self.only(due, params![now], pair)?;
        Ok(Backlog { due, oldest_due, ..backlog })
    }
}

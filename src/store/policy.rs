//! The policy of pruning the log, and what was pruned.

use super::deliveries::Removed;
use super::value::params;
use super::{Result, Store};
use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;

/// The policy, and what was pruned so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    pub policy: Policy,
    /// When a drain last finished applying it.
    pub applied_at: Option<Timestamp>,
    /// Pruned by the policy or by hand.
    pub pruned: Removed,
}

impl Store {
    pub fn retention(&self) -> Result<Retention> {
        let sql = "SELECT keep_ms, keep_failed_ms, max_bytes, applied_at, pruned_deliveries, pruned_events FROM policy";
        let retention = self.first(sql, &[], |row| {
            let policy = Policy { keep_ms: row.next()?, keep_failed_ms: row.next()?, max_bytes: row.next()? };
            let applied_at = row.next()?;
            let pruned = Removed { deliveries: row.next()?, events: row.next()? };
            Ok(Retention { policy, applied_at, pruned })
        })?;
        Ok(retention.unwrap_or_default())
    }

    /// Sets the policy; the next drain applies it.
    pub fn set_policy(&self, policy: Policy) -> Result<()> {
        let sql = "INSERT INTO policy (id, keep_ms, keep_failed_ms, max_bytes) VALUES (1, $1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET keep_ms = excluded.keep_ms, keep_failed_ms = excluded.keep_failed_ms,
                max_bytes = excluded.max_bytes, applied_at = NULL";
        self.execute(sql, params![policy.keep_ms, policy.keep_failed_ms, policy.max_bytes]).map(drop)
    }

    pub fn note_policy_applied(&self, now: Timestamp) -> Result<()> {
        self.execute("UPDATE policy SET applied_at = $1 WHERE id = 1", params![now]).map(drop)
    }

    pub(super) fn count_removed(&self, removed: Removed) -> Result<()> {
        if removed == Removed::default() {
            return Ok(());
        }
        let sql = "INSERT INTO policy (id, pruned_deliveries, pruned_events) VALUES (1, $1, $2)
             ON CONFLICT (id) DO UPDATE SET pruned_deliveries = policy.pruned_deliveries + excluded.pruned_deliveries,
                pruned_events = policy.pruned_events + excluded.pruned_events";
        self.execute(sql, params![removed.deliveries as i64, removed.events as i64]).map(drop)
    }
}

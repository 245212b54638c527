//! Pruning the log: old finished deliveries are deleted, the counters stay.

use super::counters::CounterChanges;
use super::deliveries::Removed;
use super::row::{one, pair};
use super::value::params;
use super::{Result, Store};
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

/// Which finished deliveries to delete.
#[derive(Clone, Debug)]
pub struct PruneFilter {
    /// Finished before this time. For one cancelled before any attempt, the time of its creation counts.
    pub before: Timestamp,
    /// With one of these statuses; any if empty.
    pub statuses: Vec<Status>,
}

/// A position in the order of pruning: time of creation, and id.
pub type PruneCursor = (Timestamp, i64);

/// Before the oldest delivery.
pub const PRUNE_START: PruneCursor = (Timestamp::START, 0);

impl Store {
    /// At most `limit` deliveries to delete, oldest first, beginning after `after`, and the position of the last one.
    pub fn prunable_deliveries(
        &self,
        filter: &PruneFilter,
        after: PruneCursor,
        limit: u64,
    ) -> Result<(Vec<i64>, PruneCursor)> {
        let sql = format!(
            "SELECT d.created_at, d.id FROM deliveries d WHERE {} AND (d.created_at, d.id) > ($4, $5)
             ORDER BY d.created_at, d.id LIMIT $6",
            self.prunable()
        );
        let (statuses, limit) = (filter.statuses.as_slice(), limit as i64);
        let places: Vec<PruneCursor> =
            self.rows(&sql, params![filter.before, statuses.is_empty(), statuses, after.0, after.1, limit], |row| {
                pair(row)
            })?;
        let last = places.last().copied().unwrap_or(after);
        Ok((places.into_iter().map(|(_, id)| id).collect(), last))
    }

    /// How many deliveries match, by webhook and status.
    pub fn count_prunable(&self, filter: &PruneFilter) -> Result<Vec<(String, Status, u64)>> {
        let sql = format!(
            "SELECT (SELECT w.name FROM webhooks w WHERE w.id = d.webhook_id) AS webhook, d.status, count(*)
             FROM deliveries d WHERE {} GROUP BY d.webhook_id, d.status ORDER BY webhook, d.status",
            self.prunable()
        );
        let statuses = filter.statuses.as_slice();
        self.rows(&sql, params![filter.before, statuses.is_empty(), statuses], |row| {
            Ok((row.next()?, row.next()?, row.next()?))
        })
    }

    /// The conditions of a filter. The first follows from the second, as no delivery is finished before it is created; it lets
    /// the index on `created_at` be used.
    fn prunable(&self) -> String {
        let is_meant = self.dialect().one_of("d.status", "$3");
        format!(
            "d.due_at IS NULL AND d.created_at < $1 AND coalesce(d.completed_at, d.created_at) < $1 AND ($2 OR {is_meant})"
        )
    }

    /// Deletes those of these deliveries that are finished, with their attempts, and the content of events that lost their last
    /// delivery.
    pub fn prune_deliveries(&self, ids: &[i64]) -> Result<Removed> {
        let sql = format!(
            "DELETE FROM deliveries WHERE {} AND due_at IS NULL RETURNING event_id, is_test, webhook_id, status",
            self.dialect().one_of("id", "$1")
        );
        let mut changes = CounterChanges::default();
        let events: Vec<i64> = self.rows(&sql, params![ids], |row| {
            let (event_row, is_test): (i64, bool) = pair(row)?;
            let (webhook_id, status) = pair(row)?;
            if !is_test {
                changes.create(webhook_id);
                changes.enter(webhook_id, status);
            }
            Ok(event_row)
        })?;
        self.count_pruned(&changes)?;
        self.note_deletion(events.len());
        let removed = Removed { deliveries: events.len() as u64, events: self.forget_payloads(&events)? };
        self.count_removed(removed)?;
        Ok(removed)
    }

    /// Deletes the content of those of these events that have no delivery.
    pub fn prune_events(&self, events: &[i64]) -> Result<Removed> {
        let removed = Removed { deliveries: 0, events: self.forget_payloads(events)? };
        self.count_removed(removed)?;
        Ok(removed)
    }

    /// How many events accepted before `before` have no delivery.
    pub fn count_bare_events(&self, before: Timestamp) -> Result<u64> {
        let sql = "SELECT count(*) FROM events e WHERE e.payload IS NOT NULL AND e.created_at < $1
               AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id)";
        self.only(sql, params![before], one)
    }

    /// At most `limit` events accepted before `before` that have no delivery, oldest first, beginning after `after`, and the
    /// position of the last one.
    pub fn bare_events(&self, before: Timestamp, after: PruneCursor, limit: u64) -> Result<(Vec<i64>, PruneCursor)> {
        let sql = "SELECT e.created_at, e.id FROM events e
             WHERE e.payload IS NOT NULL AND e.created_at < $1 AND (e.created_at, e.id) > ($2, $3)
               AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id)
             ORDER BY e.created_at, e.id LIMIT $4";
        let places: Vec<PruneCursor> = self.rows(sql, params![before, after.0, after.1, limit as i64], pair)?;
        let last = places.last().copied().unwrap_or(after);
        Ok((places.into_iter().map(|(_, id)| id).collect(), last))
    }
}

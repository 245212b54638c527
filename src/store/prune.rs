//! Pruning the log: finished deliveries of a certain age go, the counters stay.

use std::collections::BTreeMap;

use rusqlite::{OptionalExtension, named_params};

use super::columns::to_json;
use super::deliveries::Removed;
use super::{Result, Store};
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Counters;

/// Which finished deliveries are to go.
#[derive(Clone, Debug)]
pub struct PruneFilter {
    /// Completed before this time; one that was cancelled before any attempt counts from when it was created.
    pub before: Timestamp,
    /// Only with these statuses; with any when empty.
    pub statuses: Vec<Status>,
}

/// A place in the order in which deliveries are pruned: when created, and the id.
pub type PruneCursor = (Timestamp, i64);

/// What no delivery is older than.
pub const PRUNE_START: PruneCursor = (Timestamp::START, 0);

/// What a filter means. The first condition says of the index on `created_at` what follows from the second: a delivery is
/// completed after it is created.
const MEANT: &str = "d.due_at IS NULL AND d.created_at < :before AND coalesce(d.completed_at, d.created_at) < :before
    AND (:any OR d.status IN (SELECT value FROM json_each(:statuses)))";

impl Store {
    /// The deliveries to go, the oldest after `after` first, at most `limit`, and the place of the last one.
    pub fn prunable_deliveries(
        &self,
        filter: &PruneFilter,
        after: PruneCursor,
        limit: u64,
    ) -> Result<(Vec<i64>, PruneCursor)> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT d.created_at, d.id FROM deliveries d WHERE {MEANT} AND (d.created_at, d.id) > (:created_at, :id)
             ORDER BY d.created_at, d.id LIMIT :limit"
        ))?;
        let rows = statement.query_map(
            named_params! {
                ":before": filter.before, ":any": filter.statuses.is_empty(), ":statuses": names(filter),
                ":created_at": after.0, ":id": after.1, ":limit": limit as i64,
            },
            |row| Ok((row.get(0)?, row.get(1)?)),
        )?;
        let places = rows.collect::<rusqlite::Result<Vec<PruneCursor>>>()?;
        let last = places.last().copied().unwrap_or(after);
        Ok((places.into_iter().map(|(_, id)| id).collect(), last))
    }

    /// How many deliveries are to go, by webhook and status.
    pub fn count_prunable(&self, filter: &PruneFilter) -> Result<Vec<(String, Status, u64)>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT (SELECT name FROM webhooks w WHERE w.id = d.webhook_id) AS webhook, d.status, count(*)
             FROM deliveries d WHERE {MEANT} GROUP BY d.webhook_id, d.status ORDER BY webhook, d.status"
        ))?;
        let rows = statement.query_map(
            named_params! {
                ":before": filter.before, ":any": filter.statuses.is_empty(), ":statuses": names(filter),
            },
            |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)? as u64)),
        )?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Deletes these finished deliveries with their attempts, and the events that lost their last delivery.
    pub fn prune_deliveries(&self, ids: &[i64]) -> Result<Removed> {
        let mut removed = Removed::default();
        let mut gone_by: BTreeMap<i64, Counters> = BTreeMap::new();
        let mut statement = self.connection.prepare_cached(
            "DELETE FROM deliveries WHERE id = :id AND due_at IS NULL
             RETURNING webhook_id, event_id, status, is_test",
        )?;
        for id in ids {
            let gone: Option<(i64, i64, Status, bool)> = statement
                .query_row(named_params! { ":id": id }, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))
                .optional()?;
            let Some((webhook_id, event_row, status, is_test)) = gone else { continue };
            removed.deliveries += 1;
            removed.events += self.delete_event_if_bare(event_row)?;
            if !is_test {
                let gone = gone_by.entry(webhook_id).or_default();
                gone.total += 1;
                gone.successful += i64::from(status == Status::Success);
                gone.failed += i64::from(status == Status::Failed);
            }
        }
        gone_by.into_iter().try_for_each(|(webhook_id, gone)| self.count_pruned(webhook_id, gone))?;
        Ok(removed)
    }

    /// How many events accepted before `before` have no delivery.
    pub fn count_bare_events(&self, before: Timestamp) -> Result<u64> {
        let count: i64 = self
            .connection
            .prepare_cached(
                "SELECT count(*) FROM events e WHERE created_at < :before
                   AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id)",
            )?
            .query_row(named_params! { ":before": before }, |row| row.get(0))?;
        Ok(count as u64)
    }

    /// Deletes the events accepted before `before` that have no delivery, at most `limit`. How many went.
    pub fn delete_bare_events(&self, before: Timestamp, limit: u64) -> Result<usize> {
        Ok(self
            .connection
            .prepare_cached(
                "DELETE FROM events WHERE id IN (
                    SELECT id FROM events e WHERE created_at < :before
                      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id) LIMIT :limit)",
            )?
            .execute(named_params! { ":before": before, ":limit": limit as i64 })?)
    }

    fn count_pruned(&self, webhook_id: i64, gone: Counters) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhook_state SET pruned_total = pruned_total + :total,
                    pruned_successful = pruned_successful + :successful, pruned_failed = pruned_failed + :failed
                 WHERE webhook_id = :id",
            )?
            .execute(named_params! {
                ":id": webhook_id, ":total": gone.total, ":successful": gone.successful, ":failed": gone.failed,
            })?;
        Ok(())
    }
}

fn names(filter: &PruneFilter) -> String {
    let names: Vec<&str> = filter.statuses.iter().map(|status| status.as_str()).collect();
    to_json(&names)
}

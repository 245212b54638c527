//! The webhooks' counters of deliveries, changed in the transaction that changes what they count.

use std::collections::BTreeMap;

use super::value::values;
use super::{Result, Store};
use crate::domain::delivery::Status;
use crate::domain::webhook::Counters;

/// What is added to the counters of webhooks, by id; the numbers may be negative. In the order of ids, so that two
/// transactions that change the same webhooks wait for each other and never deadlock.
#[derive(Clone, Debug, Default)]
pub struct CounterChanges(BTreeMap<i64, Counters>);

impl CounterChanges {
    fn add(&mut self, webhook_id: i64, more: Counters) {
        let change = self.0.entry(webhook_id).or_default();
        change.total += more.total;
        change.successful += more.successful;
        change.failed += more.failed;
    }

    pub fn create(&mut self, webhook_id: i64) {
        self.create_many(webhook_id, 1);
    }

    pub fn create_many(&mut self, webhook_id: i64, count: u64) {
        self.add(webhook_id, Counters { total: count as i64, ..Counters::default() });
    }

    /// Some delivery took on `status`.
    pub fn enter(&mut self, webhook_id: i64, status: Status) {
        self.add(webhook_id, of_status(status, 1));
    }

    /// Some delivery had `status` and has it no more.
    pub fn leave(&mut self, webhook_id: i64, status: Status) {
        self.add(webhook_id, of_status(status, -1));
    }
}

fn of_status(status: Status, count: i64) -> Counters {
    match status {
        Status::Success => Counters { successful: count, ..Counters::default() },
        Status::Failed => Counters { failed: count, ..Counters::default() },
        Status::Pending | Status::Retrying | Status::Cancelled => Counters::default(),
    }
}

impl Store {
    pub fn count(&self, changes: &CounterChanges) -> Result<()> {
        let sql = "UPDATE webhook_state SET total_deliveries = total_deliveries + $1,
                successful_deliveries = successful_deliveries + $2, failed_deliveries = failed_deliveries + $3
             WHERE webhook_id = $4";
        self.change_counters(sql, changes)
    }

    /// Adds to what the counters hold of deliveries that were pruned.
    pub(super) fn count_pruned(&self, changes: &CounterChanges) -> Result<()> {
        let sql = "UPDATE webhook_state SET pruned_total = pruned_total + $1,
                pruned_successful = pruned_successful + $2, pruned_failed = pruned_failed + $3
             WHERE webhook_id = $4";
        self.change_counters(sql, changes)
    }

    fn change_counters(&self, sql: &str, changes: &CounterChanges) -> Result<()> {
        let changed = changes.0.iter().filter(|(_, change)| **change != Counters::default());
        let values = |(id, change): (&i64, &Counters)| values![change.total, change.successful, change.failed, id];
        self.execute_each(sql, changed.map(values))
    }
}

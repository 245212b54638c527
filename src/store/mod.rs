//! Everything SQL: one file for each table, with one copy of each query. What depends on the engine stands in its folder, and
//! in `dialect` as far as it is a part of a query. docs/design/store.md tells how and why.

mod accept;
mod attempt_log;
mod attempts;
mod backfill;
mod backlog;
mod check;
mod claims;
mod conditions;
mod counters;
mod credentials;
mod deliveries;
mod delivery_filter;
mod dialect;
mod error;
mod event_types;
mod events;
mod group;
mod mend;
mod metrics;
mod prune;
mod query;
mod results;
mod row;
mod secrets;
mod sqlite;
mod statistics;
mod subject;
mod value;
mod webhook_state;
mod webhooks;

pub use accept::{Accepted, Intake, NewClaim, NewDelivery, Offer};
pub use attempt_log::LoggedAttempt;
pub use backfill::Past;
pub use backlog::Backlog;
pub use check::{Check, Finding};
pub use claims::{ClaimCost, Claimed, LEASE_MARGIN_MS, LaneClaim, LaneClaimed, Lease, Payload, RateCost, Wanted};
pub use deliveries::{DeliveryRow, Removed};
pub use delivery_filter::DeliveryFilter;
pub use error::{Result, StoreError};
pub use event_types::EventTypeRow;
pub use events::{EventFilter, EventRow};
pub use group::GroupChange;
pub use metrics::{AttemptCount, WebhookState};
pub use prune::{PRUNE_START, PruneFilter};
pub use results::{AttemptResult, ClaimStanding};
pub use sqlite::{AccessFault, AccessFaultKind, Info, access_faults, has_second_name, is_database_file, sidecar};
pub use statistics::Window;
pub use webhook_state::HealthChange;
pub use webhooks::{Subscriber, WebhookFilter};

/// An open database. One connection, used by one thread.
#[derive(Debug)]
pub struct Store {
    connection: sqlite::Connection,
    path: std::path::PathBuf,
    /// The file as it was opened to write.
    file: Option<sqlite::FileId>,
    /// Whether this process deleted something that may still be in the write-ahead log.
    has_deleted: std::cell::Cell<bool>,
}

impl Store {
    /// Runs `work` in one write transaction that is durable when this returns; an error rolls everything back.
    pub fn transaction<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.run(self.dialect().begin_write())?;
        let done = self
            .check_in_place()
            .map_err(E::from)
            .and_then(|()| work())
            .and_then(|value| Ok(self.run("COMMIT").map(|()| value)?));
        if done.is_err() && self.is_in_transaction() {
            // The error that matters is the first one; SQLite has often rolled back by itself.
            let _ = self.run("ROLLBACK");
        }
        done
    }

    /// Runs `work` on one snapshot of the database.
    pub fn snapshot<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.run(self.dialect().begin_snapshot())?;
        let done = work();
        // Nothing was written: a COMMIT that cannot be made has nothing to lose, and must leave no transaction open.
        if self.run("COMMIT").is_err() && self.is_in_transaction() {
            let _ = self.run("ROLLBACK");
        }
        done
    }

    /// The file is still where it was opened: what is written into one that was deleted or replaced is lost. The write lock is
    /// held, without which `db restore` replaces nothing.
    pub fn check_in_place(&self) -> Result<()> {
        match self.file {
            Some(file) if sqlite::FileId::of(&self.path) != Some(file) => Err(StoreError::Replaced(self.path.clone())),
            _ => Ok(()),
        }
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.execute(sql, &[]).map(drop)
    }

    fn dialect(&self) -> dialect::Dialect {
        dialect::Dialect::Sqlite
    }
}

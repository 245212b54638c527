//! All SQL: one file for each table, with one copy of each query. What depends on the engine is in the folder of the engine,
//! or in `dialect` if it is a part of a query. docs/design/store.md explains it.

mod accept;
mod attempt_log;
mod attempts;
mod backfill;
mod backlog;
mod bodies;
mod check;
mod cipher;
mod claims;
mod conditions;
mod copy;
mod counters;
mod credentials;
mod deliveries;
mod delivery_filter;
mod dialect;
mod encryption;
mod error;
mod event_headers;
mod event_types;
mod events;
mod group;
mod info;
mod lines;
mod mend;
mod metrics;
mod migrations;
mod outbox;
mod outgoing;
mod place;
mod policy;
mod postgres;
mod prune;
mod query;
mod reception;
mod results;
mod row;
mod runs;
mod secrets;
mod sqlite;
mod statistics;
mod subject;
mod value;
mod watch;
mod webhook_state;
mod webhooks;

pub use accept::{Accepted, Intake, NewClaim, NewDelivery, Offer, Sends};
pub use attempt_log::LoggedAttempt;
pub use backfill::Past;
pub use backlog::{Backlog, Due, DueQuery};
pub use bodies::{Anew, PastEvent, ShapedDelivery};
pub use check::{Check, Finding};
pub use cipher::{DataKey, key as data_key, use_key};
pub use claims::{ClaimCost, Claimed, LEASE_MARGIN_MS, LaneClaim, LaneClaimed, Lease, Payload, RateCost, Wanted};
pub use copy::CopiedTable;
pub use deliveries::{DeliveryRow, Removed, Retried};
pub use delivery_filter::DeliveryFilter;
pub use encryption::{Rekeying, Sealing};
pub use error::{Result, StoreError};
pub use event_headers::EventHeaders;
pub use event_types::EventTypeRow;
pub use events::{EventFilter, EventRow};
pub use group::{GroupChange, GroupDone, LockedGroup};
pub use info::Info;
pub use metrics::{AttemptCount, WebhookState};
pub use outbox::{Outbox, Rejection, Standing, Use, Verdict, init_outbox, outbox_statements, ring_for_outbox};
pub use outgoing::Outgoing;
pub use place::Place;
pub use policy::Retention;
pub use postgres::{Server, VARIABLES, Variables, round_trips};
pub use prune::{PRUNE_START, PruneFilter};
pub use results::{AttemptResult, ClaimStanding};
pub use runs::LastDrain;
pub use secrets::StoredSecret;
#[cfg(unix)]
pub use sqlite::share_with_group;
pub use sqlite::{
    AccessFault, AccessFaultKind, access_faults, foreign_entry, has_second_name, is_database_file, key_fault, sidecar,
};
pub use statistics::{FailedAttempt, Window};
pub use webhook_state::{HealthChange, StateRead};
pub use webhooks::{Subscriber, WebhookFilter};

/// An open database. One connection, used by one thread.
#[derive(Debug)]
pub struct Store {
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Postgres),
}

impl From<sqlite::Sqlite> for Store {
    fn from(file: sqlite::Sqlite) -> Store {
        Store { engine: Engine::Sqlite(file) }
    }
}

impl From<postgres::Postgres> for Store {
    fn from(server: postgres::Postgres) -> Store {
        Store { engine: Engine::Postgres(server) }
    }
}

impl Store {
    /// Runs `work` in one write transaction, which is durable when this returns; an error rolls it back. Such transactions run
    /// one after the other.
    pub fn transaction<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.write(self.dialect().begin_alone(), work)
    }

    /// The same for the traffic of events and deliveries: on a server such transactions run concurrently and wait only for rows
    /// that both lock.
    pub fn shared_transaction<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.write(self.dialect().begin_write(), work)
    }

    fn write<T, E: From<StoreError>>(
        &self,
        begin: &[&'static str],
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.begin(begin)?;
        let done = self
            .check_in_place()
            .map_err(E::from)
            .and_then(|()| work())
            .and_then(|value| Ok(self.commit().map(|()| value)?));
        if done.is_err() && self.is_in_transaction() {
            // The first error is the one that matters; the engine has often rolled back already.
            let _ = self.rollback();
        }
        done
    }

    /// Runs `work` on one snapshot of the database.
    pub fn snapshot<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce() -> std::result::Result<T, E>,
    ) -> std::result::Result<T, E> {
        self.begin(self.dialect().begin_snapshot())?;
        let done = work();
        // Nothing was written, so a COMMIT that fails loses nothing, but must not leave the transaction open.
        if self.commit().is_err() && self.is_in_transaction() {
            let _ = self.rollback();
        }
        done
    }

    /// An error if the file was deleted or replaced since it was opened: writes to it would be lost. The write lock is held,
    /// which `db restore` takes too.
    pub fn check_in_place(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(file) => file.check_in_place(),
            Engine::Postgres(_) => Ok(()),
        }
    }

    fn dialect(&self) -> dialect::Dialect {
        match self.engine {
            Engine::Sqlite(_) => dialect::Dialect::Sqlite,
            Engine::Postgres(_) => dialect::Dialect::Postgres,
        }
    }

    /// The SQLite engine, for what only files have.
    fn file(&self) -> Result<&sqlite::Sqlite> {
        match &self.engine {
            Engine::Sqlite(file) => Ok(file),
            Engine::Postgres(_) => Err(StoreError::NotAFile),
        }
    }
}

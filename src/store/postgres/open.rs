//! Opening a database on a server.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use super::address::Server;
use super::cells::Parameter;
use super::cursor::Cursors;
use super::engine::{Postgres, Transaction};
use super::link::{Link, Request};
use super::queue::Queued;
use super::settings::Access;
use crate::domain::time::Timestamp;
use crate::store::migrations::NEWEST;
use crate::store::{Engine, Place, Result, Store, StoreError};

/// Sent before the greeting: it names the schema itself, and leaves another version of it alone.
fn forget_expired_secrets() -> String {
    format!(
        "DELETE FROM hookctl.secrets
         WHERE expires_at <= coalesce($1, (extract(epoch FROM clock_timestamp()) * 1000)::bigint)
             AND (SELECT max(version) FROM hookctl.schema_version) = {NEWEST}"
    )
}

impl Store {
    /// Opens the database at a place for reading only; `None` where there is none.
    pub fn open_place_read_only(place: &Place, busy_timeout: Duration) -> Result<Option<Store>> {
        match place {
            Place::File(path) => Store::open_read_only(path, busy_timeout),
            Place::Server(server) => Store::open_server_read_only(server),
        }
    }

    /// Connects to write; makes the schema where it is missing. What is asked first is asked with all this in one round trip.
    /// Secrets whose overlap is over go with it, by the server's clock or the time that this run was given.
    pub fn open_server(server: &Server, now: Option<Timestamp>) -> Result<Store> {
        let connected = Postgres::connect(server, Access::Write)?;
        let now = now.map_or(Parameter::Null, |now| Parameter::Integer(now.millis()));
        connected.queue.borrow_mut().push(Queued::Run(Request::new(forget_expired_secrets(), vec![now])));
        Ok(connected.into())
    }

    /// Makes the schema where it is missing, and learns what time it is, if no statement has yet.
    pub fn greet(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(server) => server.greet(),
        }
    }

    /// Connects to read; `None` where the schema is not there.
    pub fn open_server_read_only(server: &Server) -> Result<Option<Store>> {
        let connected = Postgres::connect(server, Access::Read)?;
        match connected.greet() {
            Ok(()) => Ok(Some(connected.into())),
            Err(StoreError::Gone(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Postgres {
    pub(super) fn connect(server: &Server, access: Access) -> Result<Postgres> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| StoreError::Io(error.to_string()))?;
        let link = runtime.block_on(Link::open(server, access))?;
        Ok(Postgres {
            runtime,
            server: server.clone(),
            access,
            link: RefCell::new(Some(link)),
            queue: RefCell::default(),
            transaction: Cell::new(Transaction::None),
            outgoing: RefCell::default(),
            cursors: Cursors::default(),
        })
    }
}

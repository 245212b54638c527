//! The schema on a server: in a schema `hookctl` of its own, its version in a table.

use tokio_postgres::error::SqlState;
use tokio_postgres::{Error, SimpleQueryMessage};

use super::engine::{Postgres, Transaction};
use super::link::Link;
use super::settings::{self, Access};
use crate::store::dialect::Dialect;
use crate::store::migrations::{MIGRATIONS, NEWEST};
use crate::store::{Result, StoreError};

/// Asks what time it is, in microseconds since 1970, of a server that has the newest schema. Fails where the schema is another
/// one, so that the transaction that it is a part of changes nothing.
pub const GREETING: &str = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
    / CASE WHEN (SELECT max(version) FROM hookctl.schema_version) = 1 THEN 1 ELSE 0 END";

const VERSION: &str = "SELECT max(version) FROM hookctl.schema_version";

/// What the migrations do not say, since only this engine needs it.
pub(super) const MORE: &str = include_str!("schema.sql");

/// Whether a greeting failed because the schema is not there, or another one.
pub fn is_another_schema(error: &Error) -> bool {
    let another = [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME, SqlState::DIVISION_BY_ZERO];
    error.code().is_some_and(|code| another.contains(code))
}

impl Postgres {
    /// The version of the schema; 0 where there is none.
    pub(in crate::store) fn schema_version(&self) -> Result<i64> {
        let link = self.link.borrow();
        let Some(link) = link.as_ref() else { return Ok(0) };
        self.version(link)
    }

    fn version(&self, link: &Link) -> Result<i64> {
        match self.wait(link, link.client.simple_query(VERSION))? {
            Ok(answer) => Ok(number(&answer).unwrap_or_default()),
            Err(error) if is_another_schema(&error) => Ok(0),
            Err(error) => Err(self.failed(link, &error)),
        }
    }

    /// Makes the schema, or the newest one of an older; refuses a newer one.
    pub(super) fn bring_up_to_date(&self, link: &Link) -> Result<()> {
        if self.transaction.get() != Transaction::None {
            self.batch(link, "ROLLBACK")?;
            self.transaction.set(Transaction::Queued);
        }
        let path = || self.server.to_string().into();
        match (self.version(link)?, self.access) {
            (found, _) if found > NEWEST => Err(StoreError::Newer { path: path(), found, known: NEWEST }),
            (NEWEST, _) | (_, Access::Application) => Ok(()),
            (_, Access::Write) => self.migrate(link),
            (0, Access::Read) => Err(StoreError::Gone("schema")),
            (found, Access::Read) => Err(StoreError::Older { path: path(), found, known: NEWEST }),
        }
    }

    /// Each step whole or not at all, and once if two processes are at it.
    fn migrate(&self, link: &Link) -> Result<()> {
        let done = self.migrate_alone(link);
        if done.is_err() && !link.is_lost() {
            // The first error is the one that matters.
            let _ = self.batch(link, "ROLLBACK");
        }
        done
    }

    fn migrate_alone(&self, link: &Link) -> Result<()> {
        let settings = settings::transaction_settings(&self.server, self.access);
        self.batch(link, &format!("BEGIN; {settings}; SELECT pg_advisory_xact_lock(1752133483, 2)"))?;
        if self.ask_number(link, "SELECT count(*) FROM pg_namespace WHERE nspname = 'hookctl'")? == 0 {
            self.batch(link, "CREATE SCHEMA hookctl")?;
        }
        // Another process may have made it while this one waited for the lock.
        let is_ours =
            self.ask_number(link, "SELECT count(*) FROM pg_class WHERE oid = to_regclass('hookctl.schema_version')")?;
        if is_ours == 0 {
            self.refuse_foreign_tables(link)?;
            self.batch(link, "CREATE TABLE hookctl.schema_version (version BIGINT NOT NULL)")?;
        }
        let version = self.ask_number(link, VERSION)?;
        for (index, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
            self.batch(link, &Dialect::Postgres.schema(migration))?;
            self.batch(link, &format!("INSERT INTO hookctl.schema_version (version) VALUES ({})", index + 1))?;
        }
        if version == 0 {
            self.batch(link, MORE)?;
        }
        self.batch(link, "COMMIT")
    }

    /// Another program's schema of that name is left alone.
    fn refuse_foreign_tables(&self, link: &Link) -> Result<()> {
        let tables = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'hookctl' AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')";
        match self.ask_number(link, tables)? {
            0 => Ok(()),
            _ => Err(StoreError::NotOurs {
                path: self.server.to_string().into(),
                reason: "its schema 'hookctl' has tables of another program".to_owned(),
            }),
        }
    }

    fn ask_number(&self, link: &Link, sql: &str) -> Result<i64> {
        let answer = self.wait(link, link.client.simple_query(sql))?.map_err(|error| self.failed(link, &error))?;
        Ok(number(&answer).unwrap_or_default())
    }

    pub(super) fn batch(&self, link: &Link, sql: &str) -> Result<()> {
        self.wait(link, link.client.batch_execute(sql))?.map_err(|error| self.failed(link, &error))
    }
}

/// The number in the first row of an answer as text.
fn number(answer: &[SimpleQueryMessage]) -> Option<i64> {
    answer.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_greeting_asks_for_the_newest_schema() {
        assert!(GREETING.contains(&format!("= {NEWEST} THEN")), "{GREETING}");
    }
}

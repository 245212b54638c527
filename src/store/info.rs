//! What there is to tell about the file as a whole.

use rusqlite::named_params;

use super::sqlite::TABLES;
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// The file as a whole.
#[derive(Clone, Debug)]
pub struct Info {
    /// The schema version of the file.
    pub schema_version: i64,
    /// `wal`; `delete` where the file system has no shared memory; `memory` when there is no file.
    pub journal_mode: String,
    /// The library that reads the file.
    pub sqlite_version: &'static str,
    /// Bytes in the file that `vacuum` would give back, about.
    pub free_bytes: u64,
    pub rows: Vec<(&'static str, u64)>,
    /// What waits to be sent.
    pub backlog: Backlog,
}

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
    /// Reads it all on one snapshot.
    pub fn info(&self, now: Timestamp) -> Result<Info> {
        self.snapshot(|| {
            let pragma = |name: &str| -> Result<i64> {
                Ok(self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))?)
            };
            let count = |table: &&'static str| -> Result<(&'static str, u64)> {
                let rows: i64 =
                    self.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
                Ok((*table, rows as u64))
            };
            Ok(Info {
                schema_version: self.schema_version()?,
                journal_mode: self.journal_mode()?,
                sqlite_version: rusqlite::version(),
                free_bytes: (pragma("freelist_count")? * pragma("page_size")?) as u64,
                rows: TABLES.iter().map(count).collect::<Result<_>>()?,
                backlog: self.backlog(now)?,
            })
        })
    }

    fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let mut backlog = self.connection.query_row(
            "SELECT count(*) FILTER (WHERE status = 'pending'), count(*) FILTER (WHERE status = 'retrying'),
                    count(*) FILTER (WHERE claim_token IS NOT NULL AND due_at > :now)
             FROM deliveries WHERE due_at IS NOT NULL",
            named_params! { ":now": now },
            |row| {
                let number = |index| row.get::<_, i64>(index).map(|count| count as u64);
                Ok(Backlog { pending: number(0)?, retrying: number(1)?, claimed: number(2)?, ..Backlog::default() })
            },
        )?;
        (backlog.due, backlog.oldest_due) = self.connection.query_row(
            "SELECT count(*), min(d.due_at) FROM webhook_state s JOIN deliveries d ON d.webhook_id = s.webhook_id
             WHERE s.is_active = 1 AND d.due_at <= :now",
            named_params! { ":now": now },
            |row| Ok((row.get::<_, i64>(0)? as u64, row.get(1)?)),
        )?;
        Ok(backlog)
    }
}

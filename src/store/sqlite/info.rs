//! What there is to tell about the file as a whole.

use super::ours::TABLES;
use crate::domain::time::Timestamp;
use crate::store::backlog::Backlog;
use crate::store::row::one;
use crate::store::{Result, Store};

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

impl Store {
    /// Reads it all on one snapshot.
    pub fn info(&self, now: Timestamp) -> Result<Info> {
        self.snapshot(|| {
            let pragma = |name: &str| -> Result<u64> { self.only(&format!("PRAGMA {name}"), &[], one) };
            let count =
                |table: &&'static str| Ok((*table, self.only(&format!("SELECT count(*) FROM {table}"), &[], one)?));
            Ok(Info {
                schema_version: self.schema_version()?,
                journal_mode: self.journal_mode()?,
                sqlite_version: rusqlite::version(),
                free_bytes: pragma("freelist_count")? * pragma("page_size")?,
                rows: TABLES.iter().map(count).collect::<Result<_>>()?,
                backlog: self.backlog(now)?,
            })
        })
    }
}

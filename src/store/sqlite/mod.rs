//! What only SQLite has: how statements run and errors read, its files, its journal, opening, migrations, backups. Nothing
//! outside this folder names the library.

mod access;
mod backup;
mod busy;
mod check;
mod error;
mod file_id;
mod files;
mod info;
mod journal;
mod migrate;
mod open;
mod ours;
mod outbox;
mod query;
mod restore;
mod second_name;

use std::cell::Cell;
use std::path::PathBuf;

#[cfg(unix)]
pub use access::share_with_group;
pub use access::{AccessFault, AccessFaultKind, access_faults, foreign_entry, key_fault};
pub use file_id::FileId;
pub use files::{is_database_file, sidecar};
pub use outbox::{CREATE_OUTBOX, RANDOM_EVENT_ID, init_outbox, open_outbox, outbox_column};
pub use second_name::has_second_name;

use super::error::{Result, StoreError};

/// An open file of SQLite, or a database in memory.
#[derive(Debug)]
pub struct Sqlite {
    connection: rusqlite::Connection,
    /// Empty for a database in memory.
    path: PathBuf,
    /// The file as it was opened to write.
    file: Option<FileId>,
    busy: busy::Patience,
    /// Whether this process deleted something that may still be in the write-ahead log.
    has_deleted: Cell<bool>,
}

impl Sqlite {
    fn user_version(&self) -> Result<i64> {
        Ok(self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
    }

    pub(super) fn check_in_place(&self) -> Result<()> {
        match self.file {
            Some(file) if FileId::of(&self.path) != Some(file) => Err(StoreError::Replaced(self.path.clone())),
            _ => Ok(()),
        }
    }
}

//! The write-ahead log, and the rollback journal where there can be none.

use crate::store::{Result, Store};

/// Which journal an existing file gets; a new one gets a write-ahead log where that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Journal {
    /// The one that it was made with.
    AsMade,
    /// A write-ahead log where that can be had.
    Log,
}

impl Store {
    /// Write-ahead logging, for which the processes share memory. Only a read shows whether that can be had; so a file that
    /// lives without is left alone, or each process that opens it would pull the journal from under those at work.
    pub(super) fn enter_wal(&self, journal: Journal) -> Result<()> {
        let is_kept = journal == Journal::AsMade && self.schema_version()? > 0;
        if is_kept || self.journal_mode()? == "wal" {
            return Ok(());
        }
        self.set("PRAGMA journal_mode = WAL")?;
        self.set("PRAGMA schema_version")
    }

    /// Back to the rollback journal, which is as durable: the file system has no memory to share (some network mounts and
    /// containers). A process that has the file for itself does without, if it says so before its first read.
    pub(super) fn leave_wal(&self) -> Result<()> {
        self.connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        self.check_ours()?;
        self.set("PRAGMA journal_mode = DELETE")
    }

    /// How the file keeps a transaction whole: `wal`, or `delete` for a rollback journal.
    pub fn journal_mode(&self) -> Result<String> {
        Ok(self.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?)
    }

    /// Gives unused space back to the file system. Rewrites the file, so nobody else can write meanwhile.
    pub fn vacuum(&self) -> Result<()> {
        use rusqlite::limits::Limit;
        // VACUUM attaches the copy that it makes; nothing else may attach anything.
        self.connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
        let done = self.connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        self.connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        Ok(done?)
    }

    /// Runs a pragma that answers with one row.
    fn set(&self, pragma: &str) -> Result<()> {
        Ok(self.connection.query_row(pragma, [], |_| Ok(()))?)
    }
}

//! Copies of the whole database, taken while others write.

use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use crate::domain::time::Timestamp;
use crate::new_file::{NewFile, Readers};
use crate::store::migrations::NEWEST;
use crate::store::{Check, Finding, Result, Store, StoreError};

/// Pages copied between two reports of progress.
const PAGES_A_STEP: i32 = 512;

/// Where the header of a file says which journal it has. <https://www.sqlite.org/fileformat.html>, section 1.3.3.
pub(super) const JOURNAL_OFFSET: u64 = 18;

/// Which journal a copy is for, as the header says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CopyFor {
    /// One file that opens anywhere, from a medium that cannot be written too.
    Keeping,
    /// A file in use, with a write-ahead log.
    Use,
}

impl CopyFor {
    pub(super) fn header(self) -> [u8; 2] {
        match self {
            CopyFor::Keeping => [1, 1],
            CopyFor::Use => [2, 2],
        }
    }
}

impl Store {
    /// Copies the database, as it is at this moment, into a new file that only its owner can read. Others may write
    /// meanwhile. A file that is there is an error. `progress` hears how many pages of how many are done.
    pub fn back_up(&self, file: &Path, progress: impl FnMut(u64, u64)) -> Result<()> {
        let copy = self.copy_beside(file, CopyFor::Keeping, progress)?;
        copy.create().map_err(|error| StoreError::cannot_open(file, &error))
    }

    /// What is wrong with a file that is to be restored, as `check` says of one that is in use: its pages, its references,
    /// its schema.
    pub fn check_backup(&self, now: Timestamp) -> Result<Vec<Finding>> {
        // Whoever made the file: each page is checked before it is used. <https://www.sqlite.org/security.html>
        self.file()?.connection.pragma_update(None, "cell_size_check", true)?;
        let mut findings = Vec::new();
        // An older schema is upgraded by the next command that writes.
        let is_current = self.schema_version()? == NEWEST;
        let checks = [Check::Integrity, Check::ForeignKeys, Check::Schema];
        for check in checks.into_iter().filter(|check| is_current || *check != Check::Schema) {
            findings.extend(self.check(check, now)?);
        }
        Ok(findings)
    }

    /// A copy that is not yet under the name `target`.
    pub(super) fn copy_beside(
        &self,
        target: &Path,
        purpose: CopyFor,
        progress: impl FnMut(u64, u64),
    ) -> Result<NewFile> {
        let fail = |error: std::io::Error| StoreError::cannot_open(target, &error);
        let mut copy = NewFile::beside(target, Readers::Owner).map_err(fail)?;
        self.copy_into(copy.path(), purpose, progress)?;
        copy.write_at(JOURNAL_OFFSET, &purpose.header()).map_err(fail)?;
        Ok(copy)
    }

    fn copy_into(&self, file: &Path, purpose: CopyFor, mut progress: impl FnMut(u64, u64)) -> Result<()> {
        let mut copy = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // A copy that is not finished is thrown away, and one that is has its bytes written out before it gets its name.
        let _mode: String = copy.query_row("PRAGMA journal_mode = OFF", [], |row| row.get(0))?;
        copy.pragma_update(None, "synchronous", "OFF")?;
        // One snapshot for all steps: what others write meanwhile neither shows in the copy nor makes it start over.
        self.snapshot(|| {
            self.schema_version()?;
            let backup = Backup::new(&self.file()?.connection, &mut copy)?;
            loop {
                let step = backup.step(PAGES_A_STEP)?;
                let at = backup.progress();
                progress(
                    u64::from((at.pagecount - at.remaining).unsigned_abs()),
                    u64::from(at.pagecount.unsigned_abs()),
                );
                match step {
                    StepResult::Done => return Ok::<(), StoreError>(()),
                    StepResult::More => {}
                    _ => std::thread::sleep(Duration::from_millis(20)),
                }
            }
        })?;
        // Nobody notices by a backup that the database is damaged, until it is needed.
        if purpose == CopyFor::Keeping {
            let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
            if found != "ok" {
                return Err(StoreError::Corrupt(found.replace('\n', " ")));
            }
        }
        copy.close().map_err(|(_, error)| error.into())
    }
}

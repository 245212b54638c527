//! What there is to tell about the file.

use crate::store::row::one;
use crate::store::{Result, Store};

/// The file as SQLite sees it.
#[derive(Clone, Debug)]
pub struct FileInfo {
    /// `wal`; `delete` where the file system has no shared memory; `memory` when there is no file.
    pub journal_mode: String,
    /// The library that reads the file.
    pub sqlite_version: &'static str,
    /// Bytes in the file that `vacuum` would give back, about.
    pub free_bytes: u64,
}

impl Store {
    /// Bytes in the file that hold something; `None` of a server, whose tables do not shrink when rows are deleted.
    pub fn used_bytes(&self) -> Result<Option<u64>> {
        if self.file().is_err() {
            return Ok(None);
        }
        let pragma = |name: &str| -> Result<u64> { self.only(&format!("PRAGMA {name}"), &[], one) };
        Ok(Some(pragma("page_count")?.saturating_sub(pragma("freelist_count")?) * pragma("page_size")?))
    }

    pub fn file_info(&self) -> Result<FileInfo> {
        self.snapshot(|| {
            let pragma = |name: &str| -> Result<u64> { self.only(&format!("PRAGMA {name}"), &[], one) };
            Ok(FileInfo {
                journal_mode: self.file()?.journal_mode()?,
                sqlite_version: rusqlite::version(),
                free_bytes: pragma("freelist_count")? * pragma("page_size")?,
            })
        })
    }
}

//! Whether a file is hookctl's, of a version that this program knows.

use std::io::Read;
use std::path::Path;

use super::migrate::APPLICATION_ID;
use crate::store::migrations::{NEWEST, TABLES};
use crate::store::{Result, Store, StoreError};

impl Store {
    /// Refuses another program's file and a newer schema before anything is written. Judged by one snapshot: another process
    /// may be making the file.
    pub(super) fn check_ours(&self) -> Result<()> {
        self.snapshot(|| self.check_marks())
    }

    fn check_marks(&self) -> Result<()> {
        let file = self.file()?;
        let not_ours = |reason: String| StoreError::NotOurs { path: file.path.clone(), reason };
        let pragma = |name: &str| -> Result<i64> {
            file.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(|error| {
                match error.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::NotADatabase) => not_ours("it is no SQLite file".to_owned()),
                    _ => error.into(),
                }
            })
        };
        let version = pragma("user_version")?;
        match pragma("application_id")? {
            APPLICATION_ID if version > NEWEST => {
                return Err(StoreError::Newer { path: file.path.clone(), found: version, known: NEWEST });
            }
            APPLICATION_ID if version > 0 => {}
            APPLICATION_ID => return Err(not_ours(format!("its schema version is {version}"))),
            0 if version == 0 && pragma("schema_version")? == 0 => return Ok(()), // empty: its making was interrupted
            other => return Err(not_ours(format!("its application id is {:#x}", other & 0xffff_ffff))),
        }
        self.check_schema()
    }

    /// The tables are the ones that the migrations make, and nothing in the file would run by itself.
    fn check_schema(&self) -> Result<()> {
        let file = self.file()?;
        let not_ours = |reason: String| StoreError::NotOurs { path: file.path.clone(), reason };
        let mut statement = file.connection.prepare("SELECT type, name FROM sqlite_schema")?;
        let mut rows = statement.query([])?;
        let mut tables = 0;
        while let Some(row) = rows.next()? {
            let (kind, name): (String, String) = (row.get(0)?, row.get(1)?);
            match kind.as_str() {
                "trigger" | "view" => {
                    return Err(not_ours(format!("it holds a {kind}, '{name}', which hookctl makes none of")));
                }
                "table" if TABLES.contains(&name.as_str()) => tables += 1,
                _ => {}
            }
        }
        if tables < TABLES.len() {
            return Err(not_ours("some of its tables are missing".to_owned()));
        }
        Ok(())
    }
}

/// Refuses another program's file by its first 100 bytes, before SQLite sees it: opening a file in WAL mode leaves files
/// beside it. What is not decided there, for the log may hold newer pages, `check_ours` decides.
pub(super) fn check_header(path: &Path) -> Result<()> {
    // <https://www.sqlite.org/fileformat.html>, section 1.3: the user version is at offset 60, the application id at 68.
    let mut header = Vec::with_capacity(100);
    let file = std::fs::File::open(path).map_err(|error| StoreError::cannot_open(path, &error))?;
    file.take(100).read_to_end(&mut header).map_err(|error| StoreError::cannot_open(path, &error))?;
    let number = |at: usize| {
        let bytes = header.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        i64::from(bytes.map_or(0, i32::from_be_bytes))
    };
    let not_ours = |reason: String| Err(StoreError::NotOurs { path: path.to_owned(), reason });
    match (number(68), number(60)) {
        _ if header.is_empty() => Ok(()),
        _ if header.len() < 100 || !header.starts_with(b"SQLite format 3\0") => {
            not_ours("it is no SQLite file".to_owned())
        }
        (APPLICATION_ID, found) if found > NEWEST => {
            Err(StoreError::Newer { path: path.to_owned(), found, known: NEWEST })
        }
        (APPLICATION_ID | 0, _) => Ok(()),
        (other, _) => not_ours(format!("its application id is {:#x}", other & 0xffff_ffff)),
    }
}

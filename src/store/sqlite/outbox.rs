//! An outbox in an application's file: opened as it is, and no more changed than its rows.

use std::path::Path;
use std::time::Duration;

use rusqlite::OpenFlags;
use rusqlite::limits::Limit;

use super::migrate::APPLICATION_ID;
use crate::store::outbox::{Reading, TABLE, Use, check_columns};
use crate::store::{Result, Store, StoreError};

/// The table, readable by any SQLite: without STRICT, and without AUTOINCREMENT, which would make a table of its own.
pub const CREATE_OUTBOX: &str = "CREATE TABLE hookctl_outbox (
    id         INTEGER PRIMARY KEY,
    event_type TEXT,  -- such as order.created
    data       TEXT,  -- JSON, sent as it is written
    event_id   TEXT DEFAULT ('evt_' || lower(hex(randomblob(16)))),  -- what duplicates are dropped by
    key        TEXT,  -- what it belongs to, such as customer-7
    owner      TEXT,  -- only this owner's webhooks get it
    entity     TEXT,  -- what it is about: TYPE:ID or TYPE:ID:NAME
    headers    TEXT,  -- JSON: {\"name\": \"value\"}
    created_at TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
    rejected   TEXT   -- why hookctl refused it; NULL while it waits
);
";

pub const RANDOM_EVENT_ID: &str = "'evt_' || lower(hex(randomblob(16)))";

/// How a column is read: text and bytes as they stand, whether or not the text is UTF-8.
pub fn outbox_column(column: &str) -> Reading {
    Reading {
        length: format!("octet_length({column})"),
        text: format!("CASE WHEN typeof({column}) IN ('text', 'blob') THEN CAST({column} AS BLOB) END"),
    }
}

/// Opens an application's file. It must be there, with the table in it.
pub fn open_outbox(path: &Path, access: Use, busy_timeout: Duration) -> Result<Store> {
    check_file(path)?;
    let flags = match access {
        Use::Look => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Use::Change => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let store = Store::connect(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX, busy_timeout)?;
    store.check_outbox(path)?;
    let connection = &store.file()?.connection;
    if access == Use::Change && connection.is_readonly("main")? {
        return Err(StoreError::ReadOnly(format!("this user may not write {}", path.display())));
    }
    // A huge row is refused by a mark in it.
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, i32::MAX)?;
    Ok(store)
}

/// Makes the table in an application's file, and the file where there is none. Whether the table was made now.
pub fn init_outbox(path: &Path, busy_timeout: Duration) -> Result<bool> {
    match check_file(path) {
        Err(StoreError::CannotOpen { .. }) if !path.exists() && !path.is_symlink() => {}
        checked => checked?,
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let store = Store::connect(path, flags, busy_timeout)?;
    match store.check_outbox(path) {
        Err(StoreError::NoOutbox { missing_table: true, .. }) => {
            store.file()?.connection.execute_batch(CREATE_OUTBOX)?;
            Ok(true)
        }
        checked => checked.map(|()| false),
    }
}

fn check_file(path: &Path) -> Result<()> {
    let cannot = |reason: &str| StoreError::CannotOpen { path: path.to_owned(), reason: reason.to_owned() };
    match std::fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(cannot("there is no such file")),
        Err(error) => Err(StoreError::cannot_open(path, &error)),
        Ok(metadata) if metadata.is_dir() => Err(StoreError::Directory(path.to_owned())),
        Ok(metadata) if !metadata.is_file() => Err(cannot("it is not a regular file")),
        Ok(_) => Ok(()),
    }
}

impl Store {
    fn check_outbox(&self, path: &Path) -> Result<()> {
        let connection = &self.file()?.connection;
        let none = |reason: &str, missing_table| StoreError::NoOutbox {
            place: path.display().to_string(),
            reason: reason.to_owned(),
            missing_table,
        };
        let application: i64 = match connection.query_row("PRAGMA application_id", [], |row| row.get(0)) {
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => {
                return Err(none("it is no SQLite file", false));
            }
            application => application?,
        };
        if application == APPLICATION_ID {
            return Err(none("it is a database of hookctl's own; name the application's", false));
        }
        // A column is read as the bytes of its text.
        if !connection.query_row("PRAGMA encoding", [], |row| row.get::<_, String>(0))?.eq_ignore_ascii_case("UTF-8") {
            return Err(none("its text is stored as UTF-16 (PRAGMA encoding), and only UTF-8 is read", false));
        }
        let kind = "SELECT type FROM pragma_table_list WHERE schema = 'main' AND name = ?1";
        let mut kinds = connection.prepare(kind)?;
        let kinds: Vec<String> = kinds.query_map([TABLE], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        match kinds.first().map(String::as_str) {
            Some("table") => {}
            Some(kind) => return Err(none(&format!("its {TABLE} is a {kind}, not a table"), false)),
            None => return Err(none(&format!("it has no table {TABLE}"), true)),
        }
        let mut columns =
            connection.prepare("SELECT name, upper(type) = 'INTEGER' AND pk = 1 FROM pragma_table_info(?1)")?;
        let columns = columns.query_map([TABLE], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let columns: Vec<(String, bool)> = columns.collect::<rusqlite::Result<_>>()?;
        if !columns.iter().any(|(name, is_key)| name == "id" && *is_key) {
            return Err(none(&format!("the id of its table {TABLE} is not INTEGER PRIMARY KEY"), false));
        }
        let names: Vec<String> = columns.into_iter().map(|(name, _)| name).collect();
        check_columns(&path.display().to_string(), &names)
    }
}

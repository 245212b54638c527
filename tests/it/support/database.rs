//! The database file, read and changed behind the program's back.

use std::path::Path;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// The rows of a query as text, read-only.
#[track_caller]
pub fn read(path: &Path, query: &str) -> Vec<Vec<String>> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
    let mut statement = connection.prepare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| Ok(text(row.get_ref(column)?))).collect());
    rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Runs statements.
#[track_caller]
pub fn write(path: &Path, statements: &str) {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    connection.execute_batch(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
}

/// A connection with an open transaction that has the write lock and has run these statements.
#[track_caller]
pub fn begin(path: &Path, statements: &str) -> Connection {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE);
    connection.execute_batch(&format!("PRAGMA foreign_keys = ON; BEGIN IMMEDIATE; {statements}")).unwrap();
    connection
}

#[track_caller]
fn open(path: &Path, flags: OpenFlags) -> Connection {
    let connection = Connection::open_with_flags(path, flags)
        .unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
    connection.busy_timeout(Duration::from_secs(10)).unwrap();
    connection
}

fn text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
        ValueRef::Blob(bytes) => hex::encode(bytes),
    }
}

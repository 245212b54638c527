//! A place of its own for each test.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::Hookctl;

/// A temporary folder with a database path in it; nothing of the machine's own settings is seen from there.
pub struct TestEnv {
    folder: TempDir,
}

impl TestEnv {
    /// An empty folder, removed at the end.
    pub fn new() -> TestEnv {
        TestEnv { folder: tempfile::Builder::new().prefix("hookctl-").tempdir().unwrap() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Where the database is once something was written.
    pub fn database(&self) -> PathBuf {
        self.path().join("hookctl.db")
    }

    /// Writes a file into the folder and returns its path.
    pub fn file(&self, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, contents).unwrap();
        path
    }

    /// The binary with these arguments, in this environment, yet to be run.
    pub fn hookctl<A: Into<OsString>>(&self, args: impl IntoIterator<Item = A>) -> Hookctl {
        let mut command = Hookctl::new(self.path()).args(args);
        for name in ["PATH", "LLVM_PROFILE_FILE"] {
            if let Some(value) = std::env::var_os(name) {
                command = command.env(name, value);
            }
        }
        command
            .env("HOME", self.path())
            .env("XDG_DATA_HOME", self.path())
            .env("HOOKCTL_DB", self.database())
            .env("HOOKCTL_OWNER", "tester")
            .env("HOOKCTL_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")
            .env("TZ", "UTC")
    }

    /// The rows of a query as text, read-only: `NULL` for null, blobs in lower-case hex.
    #[track_caller]
    pub fn sql(&self, query: &str) -> Vec<Vec<String>> {
        rows(&self.open(OpenFlags::SQLITE_OPEN_READ_ONLY), query)
    }

    /// The first column of the only row of a query, as `sql` tells it.
    #[track_caller]
    pub fn sql_value(&self, query: &str) -> String {
        match self.sql(query).as_slice() {
            [row] => row[0].clone(),
            other => panic!("{query}: one row expected, found {other:?}"),
        }
    }

    /// Runs statements that change the file behind the program's back.
    #[track_caller]
    pub fn sql_write(&self, statements: &str) {
        let connection = self.open(OpenFlags::SQLITE_OPEN_READ_WRITE);
        connection.execute_batch(statements).unwrap_or_else(|error| panic!("{statements}: {error}"));
    }

    #[track_caller]
    fn open(&self, flags: OpenFlags) -> Connection {
        let path = self.database();
        let connection = Connection::open_with_flags(&path, flags)
            .unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()));
        connection.busy_timeout(Duration::from_secs(10)).unwrap();
        connection
    }
}

#[track_caller]
fn rows(connection: &Connection, query: &str) -> Vec<Vec<String>> {
    let mut statement = connection.prepare(query).unwrap_or_else(|error| panic!("{query}: {error}"));
    let columns = statement.column_count();
    let rows = statement.query_map([], |row| (0..columns).map(|column| Ok(text(row.get_ref(column)?))).collect());
    rows.and_then(Iterator::collect).unwrap_or_else(|error| panic!("{query}: {error}"))
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

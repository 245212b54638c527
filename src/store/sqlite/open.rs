//! Opening the file: made private from its first byte, checked to be ours, hardened, and set to be durable.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::Sqlite;
use super::busy::Patience;
use super::file_id::FileId;
use super::files::{check_file, has_log, make_private};
use super::journal::shortage;
use super::second_name::{has_second_name, remove_second_names};
use crate::store::migrations::NEWEST;
use crate::store::{Engine, Result, Store, StoreError};

/// How long to leave another process alone that changes the journal mode.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// The log is checkpointed once it has so many pages of 4 KiB: a page that changes often is then checkpointed once.
const LONGEST_LOG_PAGES: i64 = 4_000;
/// The same for a connection that writes much while others write little.
const SHORT_LOG_PAGES: i64 = 500;
/// The cache of a connection that writes large transactions.
const LARGE_CACHE_KIB: i64 = 8 * 1024;

impl Store {
    /// Opens the file for reading and writing; makes it, and its folder, when it is not there.
    ///
    /// SQLite's own wait does not cover a change of the journal mode, which several processes try at once on a new file, nor a
    /// file that `db restore` replaces just now; so that is tried again here, until the same time-out is over.
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Store> {
        let is_new = make_private(path)?;
        let began = Instant::now();
        loop {
            match Store::open_once(path, busy_timeout, is_new) {
                Err(StoreError::Busy) if began.elapsed() < busy_timeout => thread::sleep(RETRY_PAUSE),
                opened => return opened,
            }
        }
    }

    fn open_once(path: &Path, busy_timeout: Duration, is_new: bool) -> Result<Store> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let file = FileId::of(path);
        let mut store = Store::connect(path, flags, busy_timeout)?;
        let ours = if is_new { Ok(()) } else { store.check_ours() };
        match ours.and_then(|()| store.file()?.enter_wal()) {
            Err(StoreError::Io(_) | StoreError::Other(_)) => {
                drop(store);
                // The limits of this process are no reason to change the file for all others.
                if let Some(reason) = shortage(path) {
                    return Err(StoreError::CannotOpen { path: path.to_owned(), reason });
                }
                Store::connect(path, flags, busy_timeout)?.leave_wal()?;
                store = Store::connect(path, flags, busy_timeout)?;
            }
            entered => entered?,
        }
        // It may have been replaced between its opening and its first lock.
        if FileId::of(path) != file {
            return Err(StoreError::Busy);
        }
        store.set_file(file);
        // With a write-ahead log this process keeps a lock, so no restore is at work.
        if has_second_name(path) && store.is_in_wal()? {
            remove_second_names(path);
        }
        store.set_durable()?;
        store.migrate()?;
        store.erase_deleted(Duration::ZERO);
        Ok(store)
    }

    /// Opens the file for reading only: no statement can write. `None` when there is no file. An older schema is an error
    /// ([`StoreError::Older`]): bringing it up to date would be a write.
    pub fn open_read_only(path: &Path, busy_timeout: Duration) -> Result<Option<Store>> {
        match std::fs::metadata(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => return Ok(None),
            Ok(metadata) if metadata.len() == 0 && metadata.is_file() => return Ok(None),
            _ => {}
        }
        check_file(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Store::connect(path, flags, busy_timeout)?;
        match store.check_ours() {
            // Reading a file in WAL mode makes files beside it, which a read-only place refuses. Without a log beside it
            // nobody writes and the file is whole by itself.
            Err(StoreError::ReadOnly(_) | StoreError::Io(_) | StoreError::Other(_)) if !has_log(path) => {
                store = Store::connect(path, flags | OpenFlags::SQLITE_OPEN_URI, busy_timeout)?;
                store.check_ours()?;
            }
            checked => checked?,
        }
        match store.schema_version()? {
            // Its making was interrupted before there was anything to read.
            0 => return Ok(None),
            found if found < NEWEST => return Err(StoreError::Older { path: path.to_owned(), found, known: NEWEST }),
            _ => {}
        }
        store.file()?.connection.pragma_update(None, "query_only", true)?;
        Ok(Some(store))
    }

    /// Opens a backup: reading only, and without changing its schema, however old. `None` when there is no file, or an empty one.
    pub fn open_to_copy(path: &Path, busy_timeout: Duration) -> Result<Option<Store>> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => {}
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::cannot_open(path, &error));
            }
            Ok(metadata) if !metadata.is_file() => return check_file(path).map(|()| None),
            _ => return Ok(None),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let store = Store::connect(path, flags, busy_timeout)?;
        store.check_ours()?;
        Ok(Some(store))
    }

    /// An empty database in memory: what a command that only reads sees where there is no file yet.
    pub fn empty() -> Result<Store> {
        let store = Store::from(Sqlite {
            connection: Connection::open_in_memory()?,
            path: PathBuf::new(),
            file: None,
            busy: Patience::default(),
            has_deleted: false.into(),
        });
        store.migrate()?;
        Ok(store)
    }

    pub(super) fn connect(path: &Path, flags: OpenFlags, busy_timeout: Duration) -> Result<Store> {
        let cannot_open = |error: rusqlite::Error| match StoreError::from(error) {
            StoreError::Other(reason) => StoreError::CannotOpen { path: path.to_owned(), reason },
            other => other,
        };
        // SQLite gives names such as `:memory:` and `file:x?mode=memory` a meaning of their own; an absolute path has none.
        let plain = std::path::absolute(path).map_err(|error| StoreError::cannot_open(path, &error))?;
        let mut connection = match url::Url::from_file_path(&plain) {
            Ok(mut name) if flags.contains(OpenFlags::SQLITE_OPEN_URI) => {
                name.set_query(Some("immutable=1"));
                Connection::open_with_flags(name.as_str(), flags)
            }
            _ => Connection::open_with_flags(&plain, flags),
        }
        .map_err(cannot_open)?;
        let busy = Patience::of(&mut connection, &plain, busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        // A plan that holds for every value is made once.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, 64 * 1024 * 1024)?;
        Ok(Sqlite { connection, path: path.to_owned(), file: None, busy, has_deleted: false.into() }.into())
    }

    fn set_file(&mut self, id: Option<FileId>) {
        if let Engine::Sqlite(file) = &mut self.engine {
            file.file = id;
        }
    }

    /// Each commit is on the disk before it is reported.
    fn set_durable(&self) -> Result<()> {
        let connection = &self.file()?.connection;
        connection.pragma_update(None, "synchronous", "FULL")?;
        // macOS alone: there a plain fsync leaves the data in the disk's cache.
        connection.pragma_update(None, "fullfsync", true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "secure_delete", true)?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG_PAGES)?;
        Ok(())
    }

    /// Makes room in memory for the pages of transactions of some thousand rows: what does not fit is written twice.
    pub fn expect_large_transactions(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(file) => Ok(file.connection.pragma_update(None, "cache_size", -LARGE_CACHE_KIB)?),
            Engine::Postgres(_) => Ok(()),
        }
    }

    /// Has this connection checkpoint the log while it is short: a command that writes much spares those beside it, who would
    /// have to do it in the middle of their own work.
    pub fn write_back_early(&self) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(file) => Ok(file.connection.pragma_update(None, "wal_autocheckpoint", SHORT_LOG_PAGES)?),
            Engine::Postgres(_) => Ok(()),
        }
    }
}

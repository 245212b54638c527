//! Opening the file: made private from its first byte, checked to be ours, hardened, and set to be durable.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags};

use super::migrate::{APPLICATION_ID, NEWEST};
use super::{Result, Store, StoreError};

/// How long to leave another process alone that changes the journal mode.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// The log is written back once it has so many pages of 4 KiB: a page that changes often is then written back once.
const LONGEST_LOG_PAGES: i64 = 4_000;
/// The same for a connection that writes much while others write little.
const SHORT_LOG_PAGES: i64 = 500;
/// The cache of a connection that writes large transactions.
const LARGE_CACHE_KIB: i64 = 8 * 1024;

impl Store {
    /// Opens the file for reading and writing; makes it, and its folder, when it is not there.
    ///
    /// SQLite's own wait does not cover a change of the journal mode, which several processes try at once on a file that is
    /// new or has no write-ahead log; so that is tried again here, until the same time-out is over.
    pub fn open(path: &Path, busy_timeout: Duration) -> Result<Store> {
        Store::open_with(path, busy_timeout, Journal::AsMade)
    }

    /// Opens a file as [`Store::open`] does, and gives it a write-ahead log if it was made, or copied, without one.
    pub fn open_anew(path: &Path, busy_timeout: Duration) -> Result<Store> {
        Store::open_with(path, busy_timeout, Journal::Log)
    }

    fn open_with(path: &Path, busy_timeout: Duration, journal: Journal) -> Result<Store> {
        let is_new = make_private(path)?;
        let began = Instant::now();
        loop {
            match Store::open_once(path, busy_timeout, is_new, journal) {
                Err(StoreError::Busy) if began.elapsed() < busy_timeout => thread::sleep(RETRY_PAUSE),
                opened => return opened,
            }
        }
    }

    fn open_once(path: &Path, busy_timeout: Duration, is_new: bool, journal: Journal) -> Result<Store> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut store = Store::connect(path, flags, busy_timeout)?;
        let ours = if is_new { Ok(()) } else { store.check_ours() };
        match ours.and_then(|()| store.enter_wal(journal)) {
            Err(StoreError::Io(_) | StoreError::Other(_)) => {
                drop(store);
                Store::connect(path, flags, busy_timeout)?.leave_wal()?;
                store = Store::connect(path, flags, busy_timeout)?;
            }
            entered => entered?,
        }
        store.file = FileId::of(path);
        store.set_durable()?;
        store.migrate()?;
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
        store.connection.pragma_update(None, "query_only", true)?;
        Ok(Some(store))
    }

    /// Opens a backup: reading only, and without changing its schema, however old. `None` when there is no file, or an empty one.
    pub fn open_to_copy(path: &Path, busy_timeout: Duration) -> Result<Option<Store>> {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() && metadata.len() > 0 => {}
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(cannot_open(path, &error)),
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
        let store = Store { connection: Connection::open_in_memory()?, path: PathBuf::new(), file: None };
        store.migrate()?;
        Ok(store)
    }

    fn connect(path: &Path, flags: OpenFlags, busy_timeout: Duration) -> Result<Store> {
        let cannot_open = |error: rusqlite::Error| match StoreError::from(error) {
            StoreError::Other(reason) => StoreError::CannotOpen { path: path.to_owned(), reason },
            other => other,
        };
        // SQLite gives names such as `:memory:` and `file:x?mode=memory` a meaning of their own; an absolute path has none.
        let plain = std::path::absolute(path).map_err(|error| self::cannot_open(path, &error))?;
        let connection = match url::Url::from_file_path(&plain) {
            Ok(mut name) if flags.contains(OpenFlags::SQLITE_OPEN_URI) => {
                name.set_query(Some("immutable=1"));
                Connection::open_with_flags(name.as_str(), flags)
            }
            _ => Connection::open_with_flags(plain, flags),
        }
        .map_err(cannot_open)?;
        connection.busy_timeout(busy_timeout)?;
        connection.set_prepared_statement_cache_capacity(64);
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        // A plan that holds for every value is made once.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, 64 * 1024 * 1024)?;
        Ok(Store { connection, path: path.to_owned(), file: None })
    }

    /// Refuses another program's file and a newer schema before anything is written. Judged by one snapshot: another process
    /// may be making the file.
    fn check_ours(&self) -> Result<()> {
        self.snapshot(|| self.check_marks())
    }

    fn check_marks(&self) -> Result<()> {
        let not_ours = |reason: String| StoreError::NotOurs { path: self.path.clone(), reason };
        let pragma = |name: &str| -> Result<i64> {
            self.connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0)).map_err(|error| {
                match error.sqlite_error_code() {
                    Some(rusqlite::ErrorCode::NotADatabase) => not_ours("it is no SQLite file".to_owned()),
                    _ => error.into(),
                }
            })
        };
        let version = pragma("user_version")?;
        match pragma("application_id")? {
            APPLICATION_ID if version > NEWEST => {
                return Err(StoreError::Newer { path: self.path.clone(), found: version, known: NEWEST });
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
        let not_ours = |reason: String| StoreError::NotOurs { path: self.path.clone(), reason };
        let mut statement = self.connection.prepare("SELECT type, name FROM sqlite_schema")?;
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

    /// Write-ahead logging, for which the processes share memory. Only a read shows whether that can be had; so a file that
    /// lives without is left alone, or each process that opens it would pull the journal from under those at work.
    fn enter_wal(&self, journal: Journal) -> Result<()> {
        let is_kept = journal == Journal::AsMade && self.schema_version()? > 0;
        if is_kept || self.journal_mode()? == "wal" {
            return Ok(());
        }
        self.set("PRAGMA journal_mode = WAL")?;
        self.set("PRAGMA schema_version")
    }

    /// Back to the rollback journal, which is as durable: the file system has no memory to share (some network mounts and
    /// containers). A process that has the file for itself does without, if it says so before its first read.
    fn leave_wal(&self) -> Result<()> {
        self.connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        self.check_ours()?;
        self.set("PRAGMA journal_mode = DELETE")
    }

    /// Each commit reaches the disk before it is told.
    fn set_durable(&self) -> Result<()> {
        self.connection.pragma_update(None, "synchronous", "FULL")?;
        // macOS alone: there a plain fsync leaves the data in the disk's cache.
        self.connection.pragma_update(None, "fullfsync", true)?;
        self.connection.pragma_update(None, "foreign_keys", true)?;
        self.connection.pragma_update(None, "secure_delete", true)?;
        self.connection.pragma_update(None, "temp_store", "MEMORY")?;
        self.connection.pragma_update(None, "wal_autocheckpoint", LONGEST_LOG_PAGES)?;
        Ok(())
    }

    /// Makes room in memory for the pages of transactions of some thousand rows: what does not fit is written twice.
    pub fn expect_large_transactions(&self) -> Result<()> {
        Ok(self.connection.pragma_update(None, "cache_size", -LARGE_CACHE_KIB)?)
    }

    /// Has this connection write the log back long before it is long: a command that writes much spares those beside it, who
    /// would have to do it in the middle of their own work.
    pub fn write_back_early(&self) -> Result<()> {
        Ok(self.connection.pragma_update(None, "wal_autocheckpoint", SHORT_LOG_PAGES)?)
    }

    /// Runs a pragma that answers with one row.
    fn set(&self, pragma: &str) -> Result<()> {
        Ok(self.connection.query_row(pragma, [], |_| Ok(()))?)
    }
}

/// Which journal an existing file gets; a new one gets a write-ahead log where that can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Journal {
    /// The one that it was made with.
    AsMade,
    /// A write-ahead log where that can be had.
    Log,
}

/// Tells whether two paths, or one path at two times, are the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file at that path; `None` when there is none, or the system does not tell.
    pub(super) fn of(path: &Path) -> Option<FileId> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = std::fs::metadata(path).ok()?;
            Some(FileId { device: metadata.dev(), inode: metadata.ino() })
        }
        #[cfg(not(unix))]
        {
            let _ = path;
            None
        }
    }
}

/// What the migrations make.
pub(super) const TABLES: [&str; 7] =
    ["webhooks", "secrets", "events", "deliveries", "attempts", "attempt_counts", "event_types"];

/// A regular file that can be opened, or a clear error.
fn check_file(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|error| cannot_open(path, &error))?;
    if metadata.is_dir() {
        return Err(StoreError::Directory(path.to_owned()));
    }
    if !metadata.is_file() {
        return Err(StoreError::CannotOpen { path: path.to_owned(), reason: "it is not a regular file".to_owned() });
    }
    check_header(path)
}

/// A file that can be written, or the system's own word on why not: SQLite would tell of a failing disk.
fn check_writable(path: &Path) -> Result<()> {
    let opened = std::fs::OpenOptions::new().write(true).open(path);
    opened.map(|_| ()).map_err(|error| StoreError::ReadOnly(error.to_string()))
}

/// Refuses another program's file by its first 100 bytes, before SQLite sees it: opening a file in WAL mode leaves files
/// beside it. What is not decided there, for the log may hold newer pages, `check_ours` decides.
fn check_header(path: &Path) -> Result<()> {
    // <https://www.sqlite.org/fileformat.html>, section 1.3: the user version is at offset 60, the application id at 68.
    let mut header = Vec::with_capacity(100);
    let file = std::fs::File::open(path).map_err(|error| cannot_open(path, &error))?;
    file.take(100).read_to_end(&mut header).map_err(|error| cannot_open(path, &error))?;
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

/// Makes the folder (0700) and the file (0600) when they are missing, so that no moment shows them to others, and -wal and
/// -shm, which take the file's mode, neither. True when the file was made.
fn make_private(path: &Path) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(_) => return check_file(path).and_then(|()| check_writable(path)).map(|()| false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => {}
        Err(error) => return Err(cannot_open(path, &error)),
    }
    make_folder_of(path).map_err(|error| cannot_open(path, &error))?;
    match make_new_private(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(cannot_open(path, &error)),
    }
}

/// Makes an empty file (0600) where there is none.
pub(super) fn make_new_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes the folder of a file (0700), and those above it, where they are missing.
pub(super) fn make_folder_of(path: &Path) -> std::io::Result<()> {
    let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) else { return Ok(()) };
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// Whether a log stands beside the file with something in it: a process writes, or one died.
fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(&log).is_ok_and(|metadata| metadata.len() > 0)
}

pub(super) fn cannot_open(path: &Path, error: &std::io::Error) -> StoreError {
    let reason = match error.kind() {
        std::io::ErrorKind::NotFound if path.is_symlink() => "it is a symbolic link to nothing".to_owned(),
        _ => error.to_string(),
    };
    StoreError::CannotOpen { path: path.to_owned(), reason }
}

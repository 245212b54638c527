//! The write-ahead log, and the rollback journal where there can be none.

use std::fs::File;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;

use super::Sqlite;
#[cfg(unix)]
use super::error::size_limit;
use super::files::{log_bytes, resolved, sidecar};
use crate::new_file::{folder_of, scratch_folder};
use crate::store::{Engine, Result, Store, StoreError};

/// How long to leave another process alone that checkpoints the log.
const RETRY_PAUSE: Duration = Duration::from_millis(5);

/// What is read again by each process that opens the database alone: a fraction of a millisecond.
const SHORT_LOG_BYTES: u64 = 512 * 1024;

/// SQLite shares memory through a file of at least so many bytes.
#[cfg(unix)]
const SHARED_MEMORY_BYTES: u64 = 32 * 1024;

/// What a server needs none of: there the log is its own, and gone when it says so.
impl Store {
    /// Notes, in the transaction that deletes rows, that the write-ahead log holds them until [`Store::erase_deleted`].
    /// The note is a file, so that another process takes over if this one is killed.
    pub(in crate::store) fn note_deletion(&self, rows: usize) {
        if let Engine::Sqlite(file) = &self.engine {
            file.note_deletion(rows);
        }
    }

    /// Empties the write-ahead log, in which deleted rows stay; in the file itself `secure_delete` has overwritten them. False
    /// when others were still reading after `wait`; then the next process that opens the database to write does it.
    pub fn erase_deleted(&self, wait: Duration) -> bool {
        match &self.engine {
            Engine::Sqlite(file) => file.erase_deleted(wait),
            Engine::Postgres(_) => true,
        }
    }

    /// Whether the file has a write-ahead log; true as well of a database in memory, which needs none.
    pub fn is_in_wal(&self) -> Result<bool> {
        self.file()?.is_in_wal()
    }

    /// Gives unused space back to the file system. Rewrites the file, so nobody else can write meanwhile.
    pub fn vacuum(&self) -> Result<()> {
        let connection = &self.file()?.connection;
        // VACUUM attaches the copy that it makes; nothing else may attach anything.
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 1)?;
        let done = connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        Ok(done?)
    }

    /// Leaves a short log when this is the last connection that closes: writing it back and removing it costs more than one
    /// event does. A longer one is written back, for the next process reads it whole.
    pub fn leave_short_log(&self) -> Result<()> {
        if let Engine::Sqlite(file) = &self.engine {
            let is_short = log_bytes(&file.path) < SHORT_LOG_BYTES;
            file.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, is_short)?;
        }
        Ok(())
    }

    /// Leaves closing to the end of the process, which comes next, where the log is left anyway: SQLite would free piece by piece
    /// what it read of the schema.
    pub fn leave_to_exit(self) {
        let is_log_left = match &self.engine {
            Engine::Sqlite(file) => file.connection.db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE),
            Engine::Postgres(_) => Ok(false),
        };
        if is_log_left.unwrap_or(false) {
            std::mem::forget(self);
        }
    }

    /// Back to the rollback journal, which is as durable: the file system has no memory to share (some network mounts and
    /// containers). A process that has the file for itself needs none, if it says so before its first read.
    pub(super) fn leave_wal(&self) -> Result<()> {
        let file = self.file()?;
        file.connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        self.check_ours()?;
        file.set("PRAGMA journal_mode = DELETE")
    }
}

impl Sqlite {
    /// Turns the write-ahead log on, for which the processes share memory. A file that lost its log gets it back here once the
    /// reason has passed. Where it has not, the file is left alone: each process that opened it would otherwise change the
    /// journal under those at work.
    pub(super) fn enter_wal(&self) -> Result<()> {
        if self.is_in_wal()? {
            return Ok(());
        }
        let is_new = self.user_version()? == 0;
        if !is_new && !can_share_memory(&self.path) {
            return Ok(());
        }
        // Only a read shows whether it works.
        match self.set("PRAGMA journal_mode = WAL").and_then(|()| self.set("PRAGMA schema_version")) {
            // The next opening tries again.
            Err(StoreError::Busy) if !is_new => Ok(()),
            entered => entered,
        }
    }

    /// How the file keeps a transaction whole: `wal`, or `delete` for a rollback journal.
    pub(super) fn journal_mode(&self) -> Result<String> {
        Ok(self.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0))?)
    }

    pub(super) fn is_in_wal(&self) -> Result<bool> {
        Ok(matches!(self.journal_mode()?.as_str(), "wal" | "memory"))
    }

    fn note_deletion(&self, rows: usize) {
        if rows > 0 && !self.path.as_os_str().is_empty() {
            self.has_deleted.set(true);
            // Without a note this process still erases what it deleted; only the next one would not know.
            let _ = File::create_new(self.note());
        }
    }

    /// Whether something that was deleted may still be in the write-ahead log.
    pub(super) fn has_unerased(&self) -> bool {
        !self.path.as_os_str().is_empty() && self.note().exists()
    }

    pub(super) fn erase_deleted(&self, wait: Duration) -> bool {
        // Another process may be at it just now, with the note in its hands; what is deleted here is erased here.
        if !self.has_deleted.get() && !self.has_unerased() {
            return true;
        }
        // Removed first: whoever deletes from now on makes a new one, and holds up this checkpoint until it is there.
        let _ = std::fs::remove_file(self.note());
        let end = Instant::now() + wait;
        let is_done = loop {
            // SQLite waits for readers and writers, but not for another process that checkpoints.
            let left = end.saturating_duration_since(Instant::now());
            match self.truncate_log(left) {
                Ok(true) => break true,
                Ok(false) if !left.is_zero() => thread::sleep(RETRY_PAUSE.min(left)),
                Ok(false) | Err(_) => break false,
            }
        };
        match is_done {
            true => self.has_deleted.set(false),
            false => self.note_deletion(1),
        }
        is_done
    }

    fn truncate_log(&self, wait: Duration) -> Result<bool> {
        let usual = self.busy.get();
        self.busy.set(wait);
        let is_busy = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
        self.busy.set(usual);
        Ok(!is_busy?)
    }

    fn note(&self) -> std::path::PathBuf {
        sidecar(&resolved(&self.path), "-erase")
    }

    /// Runs a pragma that answers with one row.
    fn set(&self, pragma: &str) -> Result<()> {
        Ok(self.connection.query_row(pragma, [], |_| Ok(()))?)
    }
}

/// What this process lacks for a write-ahead log, where another may have it: it may open too few files, or too small ones.
pub(super) fn shortage(path: &Path) -> Option<String> {
    #[cfg(unix)]
    {
        use rustix::io::Errno;
        let spare: std::io::Result<Vec<File>> = (0..3).map(|_| File::open(folder_of(path))).collect();
        if let Err(error) = spare
            && [Errno::MFILE, Errno::NFILE].iter().any(|short| Some(short.raw_os_error()) == error.raw_os_error())
        {
            return Some(format!("{error}; `ulimit -n` says how many there may be"));
        }
        if let Some(bytes) = size_limit().filter(|bytes| *bytes < SHARED_MEMORY_BYTES) {
            return Some(format!("files may have {bytes} bytes at most (`ulimit -f`), which is too few"));
        }
    }
    #[cfg(not(unix))]
    let _ = path;
    None
}

/// Whether a write-ahead log would work for this file, tried with another beside it.
fn can_share_memory(path: &Path) -> bool {
    let path = resolved(path);
    // SQLite follows no link here.
    let is_free = |suffix: &str| {
        sidecar(&path, suffix)
            .symlink_metadata()
            .map_or_else(|error| error.kind() == std::io::ErrorKind::NotFound, |metadata| metadata.is_file())
    };
    is_free("-wal") && is_free("-shm") && try_wal(folder_of(&path)).unwrap_or(false)
}

fn try_wal(folder: &Path) -> Result<bool> {
    let Ok(scratch) = scratch_folder(folder) else { return Ok(false) };
    let connection = Connection::open(scratch.path().join("log.db"))?;
    connection.pragma_update(None, "synchronous", "OFF")?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    connection.execute_batch("CREATE TABLE tried (a)")?;
    Ok(mode == "wal")
}

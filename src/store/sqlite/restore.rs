//! A backup in the place of the database. Whatever fails, and wherever it is killed, the old file is whole, has its
//! write-ahead log, and stands under its name.

use std::fs;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::backup::{CopyFor, JOURNAL_OFFSET};
use super::file_id::FileId;
use super::files::{SIDECARS, make_folder_of, resolved, sidecar};
use super::journal::shortage;
use super::second_name::remove_second_names;
use crate::new_file::{NewFile, sync_folder};
use crate::store::{Result, Store, StoreError};

/// How a file was put in the place of another.
#[derive(Debug)]
pub struct Restored {
    /// Where the file that was there before is now.
    pub kept: Option<PathBuf>,
}

impl Store {
    /// Puts a copy of this database in the place of the file that `target` leads to, with that file's owner, group and mode.
    /// The old file is kept beside as `….bak-STAMP` with all that it held. Busy when another process has it open.
    pub fn restore_to(&self, target: &Path, stamp: &str, progress: impl FnMut(u64, u64)) -> Result<Restored> {
        let target = &resolved(target);
        let fail = |error: io::Error| StoreError::cannot_open(target, &error);
        make_folder_of(target).map_err(fail)?;
        let copy = self.copy_beside(target, CopyFor::Use, progress)?;
        let old = match fs::metadata(target) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !target.is_symlink() => {
                // A journal without its file belongs to nothing.
                remove_sidecars(target).and_then(|()| copy.replace()).map_err(fail)?;
                return Ok(Restored { kept: None });
            }
            old => old.map_err(fail)?,
        };
        copy.take_access_of(&old).map_err(|error| StoreError::CannotOpen {
            path: target.clone(),
            reason: format!("its owner, group and mode cannot be kept: {error}"),
        })?;
        let kept = sidecar(target, &format!(".bak-{stamp}"));
        swap(copy, target, &kept)?;
        Ok(Restored { kept: Some(kept) })
    }
}

/// Puts `copy` in the place of `target`, which is `kept` from then on.
///
/// The copy gets the name `kept` first, and the two files then change names in one step: at no time has one file both.
fn swap(copy: NewFile, target: &Path, kept: &Path) -> Result<()> {
    copy.create_as(kept).map_err(|error| StoreError::cannot_open(kept, &error))?;
    let new = FileId::of(kept);
    let done = exchange_alone(target, kept);
    if done.is_err() && new.is_some() && FileId::of(kept) == new {
        let _ = fs::remove_file(kept);
    }
    done
}

fn exchange_alone(target: &Path, kept: &Path) -> Result<()> {
    let fail = |error: io::Error| StoreError::cannot_open(target, &error);
    let lock = lock_out_others(target)?;
    remove_second_names(target);
    if lock.is_some() {
        remove_sidecars(target).map_err(fail)?;
        exchange(target, kept).and_then(|()| sync_folder(target)).map_err(fail)?;
        // Now a backup like any other. One that still says that it has a log opens as well.
        let _ = say_without_log(kept);
    } else {
        // Only a file too broken to be opened still has something in these; they stay with it.
        move_sidecars(target, kept).map_err(fail)?;
        if let Err(error) = exchange(target, kept) {
            let _ = move_sidecars(kept, target);
            return Err(fail(error));
        }
        sync_folder(target).map_err(fail)?;
    }
    Ok(())
}

/// Gives each of two files the name of the other.
fn exchange(target: &Path, kept: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_vendor = "apple"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, target, CWD, kept, RenameFlags::EXCHANGE) {
            // Some file systems cannot.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            done => return Ok(done?),
        }
    }
    // In three steps: a kill after the first leaves a second name, which the next opening to write removes.
    let old = sidecar(kept, ".old");
    fs::hard_link(target, &old)?;
    if let Err(error) = fs::rename(kept, target) {
        let _ = fs::remove_file(&old);
        return Err(error);
    }
    fs::rename(&old, kept)
}

/// Takes the whole file for this process, with its write-ahead log empty; busy when another has it open. `None` for a file
/// that SQLite cannot read, which no process can be working on.
fn lock_out_others(path: &Path) -> Result<Option<Connection>> {
    let lock = || -> Result<Connection> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        // The log beside the new file is not this connection's to remove.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        // Said before the first read: the log is then used under a lock on the whole file, which nobody gets while another
        // has the file open. The file stays in WAL mode all the time.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
        let is_busy: bool = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if is_busy {
            return Err(StoreError::Busy);
        }
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(connection)
    };
    match lock() {
        Ok(connection) => Ok(Some(connection)),
        Err(StoreError::Corrupt(_)) => Ok(None),
        Err(StoreError::Io(_) | StoreError::Other(_)) => match shortage(path) {
            Some(reason) => Err(StoreError::CannotOpen { path: path.to_owned(), reason }),
            None => Ok(None),
        },
        Err(error) => Err(error),
    }
}

fn say_without_log(database: &Path) -> io::Result<()> {
    let mut file = fs::File::options().write(true).open(database)?;
    file.seek(SeekFrom::Start(JOURNAL_OFFSET))?;
    file.write_all(&CopyFor::Keeping.header())?;
    file.sync_all()
}

fn remove_sidecars(database: &Path) -> io::Result<()> {
    SIDECARS.iter().try_for_each(|suffix| or_missing(fs::remove_file(sidecar(database, suffix))))
}

fn move_sidecars(from: &Path, to: &Path) -> io::Result<()> {
    SIDECARS.iter().try_for_each(|suffix| or_missing(fs::rename(sidecar(from, suffix), sidecar(to, suffix))))
}

fn or_missing(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

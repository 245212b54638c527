//! Copies of the whole file: taken while others write, and put back in its place.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::files::{cannot_open, make_folder_of, make_new_private, sidecar};
use super::migrate::NEWEST;
use crate::domain::time::Timestamp;
use crate::store::{Check, Finding, Result, Store, StoreError};

/// Pages copied between two reports of progress.
const PAGES_A_STEP: i32 = 512;
/// What SQLite may leave beside a database.
const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// How a file was put in the place of another.
#[derive(Debug)]
pub struct Restored {
    /// Where the file that was there before is now.
    pub kept: Option<PathBuf>,
}

impl Store {
    /// Copies the database, as it is at this moment, into a new file that only its owner can read. Others may write
    /// meanwhile. A file that is there is an error; one that was begun is removed when the copy fails. `progress` hears how
    /// many pages of how many are done.
    pub fn back_up(&self, file: &Path, progress: impl FnMut(u64, u64)) -> Result<()> {
        make_new_private(file).map_err(|error| cannot_open(file, &error))?;
        let done = self.copy_into(file, progress).and_then(|()| make_durable(file));
        if done.is_err() {
            remove_with_sidecars(file);
        }
        done
    }

    /// What is wrong with a file that is to be restored, as `check` says of one that is in use: its pages, its references,
    /// its schema.
    pub fn check_backup(&self, now: Timestamp) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        // An older schema is upgraded by the next command that writes.
        let is_current = self.schema_version()? == NEWEST;
        let checks = [Check::Integrity, Check::ForeignKeys, Check::Schema];
        for check in checks.into_iter().filter(|check| is_current || *check != Check::Schema) {
            findings.extend(self.check(check, now)?);
        }
        Ok(findings)
    }

    /// Puts a copy of this database in the place of the file at `target`, which is kept beside as `target.bak-STAMP` with all
    /// that it held. Busy when another process has that file open.
    pub fn restore_to(&self, target: &Path, stamp: &str, progress: impl FnMut(u64, u64)) -> Result<Restored> {
        make_folder_of(target).map_err(|error| cannot_open(target, &error))?;
        let copy = sidecar(target, &format!(".restore-{stamp}"));
        self.back_up(&copy, progress)?;
        let swapped = swap(&copy, target, &sidecar(target, &format!(".bak-{stamp}")));
        if swapped.is_err() {
            remove_with_sidecars(&copy);
        }
        swapped
    }

    fn copy_into(&self, file: &Path, mut progress: impl FnMut(u64, u64)) -> Result<()> {
        let mut copy = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        // One snapshot for all steps: what others write meanwhile neither shows in the copy nor makes it start over.
        self.snapshot(|| {
            self.schema_version()?;
            let backup = Backup::new(&self.connection, &mut copy)?;
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
        // One file that opens anywhere, from a medium that cannot be written too.
        let _mode: String = copy.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        copy.close().map_err(|(_, error)| error.into())
    }
}

/// Puts `copy` in the place of `target` in one step, with nothing of the old file's journal left to be taken for its own.
fn swap(copy: &Path, target: &Path, kept: &Path) -> Result<Restored> {
    let fail = |error: std::io::Error| cannot_open(target, &error);
    if !target.try_exists().map_err(fail)? {
        // A journal without its file belongs to nothing.
        SIDECARS.iter().for_each(|suffix| drop(std::fs::remove_file(sidecar(target, suffix))));
        std::fs::rename(copy, target).map_err(fail)?;
        sync_folder(target)?;
        return Ok(Restored { kept: None });
    }
    let lock = lock_out_others(target)?;
    std::fs::hard_link(target, kept).map_err(fail)?;
    // Only a file too broken to be opened still has these; they stay with it.
    for suffix in SIDECARS {
        match std::fs::rename(sidecar(target, suffix), sidecar(kept, suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
            _ => {}
        }
    }
    std::fs::rename(copy, target).map_err(fail)?;
    sync_folder(target)?;
    drop(lock);
    Ok(Restored { kept: Some(kept.to_owned()) })
}

/// Takes the whole file for this process, with its write-ahead log written back; busy when another has it open. `None` for a
/// file that SQLite cannot read, which no process can be working on.
fn lock_out_others(path: &Path) -> Result<Option<Connection>> {
    let lock = || -> Result<Connection> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        connection.busy_timeout(Duration::from_secs(1))?;
        // Leaving WAL needs the file for itself: each process that has it open holds a shared lock.
        let _mode: String = connection.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
        connection.execute_batch("BEGIN EXCLUSIVE")?;
        Ok(connection)
    };
    match lock() {
        Ok(connection) => Ok(Some(connection)),
        Err(StoreError::Corrupt(_) | StoreError::Io(_) | StoreError::Other(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn make_durable(file: &Path) -> Result<()> {
    // Windows writes out only what is open to be written.
    File::options()
        .write(true)
        .open(file)
        .and_then(|file| file.sync_all())
        .map_err(|error| cannot_open(file, &error))?;
    sync_folder(file)
}

/// A new name survives a power cut only once its folder is written.
fn sync_folder(file: &Path) -> Result<()> {
    // Windows opens no folder as a file.
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| cannot_open(folder, &error))
}

fn remove_with_sidecars(file: &Path) {
    // What cannot be removed stays; the error that is told is the one that led here.
    let _ = std::fs::remove_file(file);
    SIDECARS.iter().for_each(|suffix| drop(std::fs::remove_file(sidecar(file, suffix))));
}

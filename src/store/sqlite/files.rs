//! The database's files: which they are, whether two paths are the same one, and how they are made, private from the first byte.

use std::path::{Path, PathBuf};

use super::file_id::FileId;
use super::ours::check_header;
use crate::new_file::folder_of;
use crate::store::{Result, StoreError};

/// A regular file that can be opened, or a clear error.
pub(super) fn check_file(path: &Path) -> Result<()> {
    let metadata = std::fs::metadata(path).map_err(|error| StoreError::cannot_open(path, &error))?;
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

/// Makes the folder (0700) and the file (0600) when they are missing, so that no moment shows them to others, and -wal and
/// -shm, which take the file's mode, neither. True when the file was made.
pub(super) fn make_private(path: &Path) -> Result<bool> {
    match std::fs::metadata(path) {
        Ok(_) => return check_file(path).and_then(|()| check_writable(path)).map(|()| false),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.is_symlink() => {}
        Err(error) => return Err(StoreError::cannot_open(path, &error)),
    }
    make_folder_of(path).map_err(|error| StoreError::cannot_open(path, &error))?;
    match make_new_private(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(StoreError::cannot_open(path, &error)),
    }
}

/// Makes an empty file (0600) where there is none.
fn make_new_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

/// Makes the folder of a file (0700), and those above it, where they are missing.
pub(super) fn make_folder_of(path: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder_of(path))
}

/// Whether a log stands beside the file with something in it: a process writes, or one died.
pub(super) fn has_log(path: &Path) -> bool {
    log_bytes(path) > 0
}

/// The length of the write-ahead log; 0 where there is none.
pub(super) fn log_bytes(path: &Path) -> u64 {
    std::fs::metadata(sidecar(&resolved(path), "-wal")).map_or(0, |metadata| metadata.len())
}

/// The file that SQLite keeps beside the database under this suffix: `-wal`, `-shm` or `-journal`.
pub fn sidecar(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// What SQLite may keep beside a database.
pub(super) const SIDECARS: [&str; 3] = ["-wal", "-shm", "-journal"];

/// The database and the files beside it, of those that are there.
pub(super) fn database_files(database: &Path) -> Vec<PathBuf> {
    let database = resolved(database);
    let beside = SIDECARS.map(|suffix| sidecar(&database, suffix));
    std::iter::once(database).chain(beside).filter(|path| path.exists()).collect()
}

/// Whether a path is the database, or one of the files beside it, even if that is not there yet: by this name, by another, or
/// by a link.
pub fn is_database_file(database: &Path, path: &Path) -> bool {
    let names = [database.to_owned(), resolved(database)];
    let place = |path: &Path| Some((folder_of(path).canonicalize().ok()?, path.file_name()?.to_owned()));
    names.iter().any(|name| {
        std::iter::once("").chain(SIDECARS).map(|suffix| sidecar(name, suffix)).any(|file| {
            let is_same_file = FileId::of(path).is_some_and(|id| FileId::of(&file) == Some(id));
            is_same_file || (place(path).is_some() && place(path) == place(&file))
        })
    })
}

/// The file that a path leads to: SQLite works beside that one, not beside a symbolic link.
pub(super) fn resolved(path: &Path) -> PathBuf {
    match path.is_symlink() {
        true => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
        false => path.to_owned(),
    }
}

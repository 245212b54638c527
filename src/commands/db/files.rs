//! The files of a database as the file system sees them.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::store::sidecar;

/// The database and the files that SQLite keeps beside it, of those that are there.
pub fn files(database: &Path) -> Vec<PathBuf> {
    let beside = ["-wal", "-shm", "-journal"].map(|suffix| sidecar(database, suffix));
    std::iter::once(database.to_owned()).chain(beside).filter(|path| path.exists()).collect()
}

/// How many bytes a file has; 0 when it is not there.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// A file's permissions in octal, `0600`; `None` where there is no file or no such thing.
pub fn mode(path: &Path) -> Option<String> {
    permissions(path).map(|mode| format!("{mode:04o}"))
}

/// Whether others than its owner may do anything with a file.
pub fn is_open_to_others(path: &Path) -> bool {
    permissions(path).is_some_and(|mode| mode & 0o077 != 0)
}

/// Whether others than its owner may put files into, or take them out of, a folder.
pub fn is_writable_by_others(folder: &Path) -> bool {
    permissions(folder).is_some_and(|mode| mode & 0o022 != 0 && mode & 0o1000 == 0)
}

/// Takes a file from others than its owner.
pub fn make_private(path: &Path) -> std::io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Ok(())
    }
}

/// The database, which must be there.
pub fn existing(context: &Context) -> Result<PathBuf> {
    let path = context.database()?;
    if path.exists() {
        return Ok(path.to_owned());
    }
    Err(Failure::new(Kind::Failed, format!("there is no database at {}", path.display()))
        .hint("name another file with --db or HOOKCTL_DB")
        .into())
}

#[cfg(unix)]
fn permissions(path: &Path) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).ok().map(|metadata| metadata.permissions().mode() & 0o7777)
}

#[cfg(not(unix))]
fn permissions(_: &Path) -> Option<u32> {
    None
}

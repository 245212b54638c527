//! The files of a database as the file system sees them.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::context::Context;
use crate::error::{Failure, Kind};

/// How many bytes a file has; 0 when it is not there.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// A file's permissions in octal, `0600`; `None` where there is no file or no such thing.
pub fn mode(path: &Path) -> Option<String> {
    permissions(path).map(|mode| format!("{mode:04o}"))
}

/// The database's file, which must be there. `instead` says what does the same for a server.
pub fn existing(context: &Context, instead: &str) -> Result<PathBuf> {
    let path = context.database_file(instead)?;
    if path.exists() {
        return Ok(path);
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

//! Sizes and modes of files.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::store::Place;

/// The size of a file in bytes; 0 if it does not exist.
pub fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// A file's mode in octal, `0600`; `None` if there is no file, or the system has no modes.
pub fn mode(path: &Path) -> Option<String> {
    permissions(path).map(|mode| format!("{mode:04o}"))
}

/// The database file, which must exist. `instead` is the hint for a server.
pub fn existing(context: &Context, instead: &str) -> Result<PathBuf> {
    let path = context.database_file(instead)?;
    if path.exists() {
        return Ok(path);
    }
    Err(no_database(&Place::File(path)))
}

pub fn no_database(place: &Place) -> anyhow::Error {
    Failure::new(Kind::Failed, format!("there is no database at {place}"))
        .hint("name another one with --db or HOOKCTL_DB")
        .into()
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

//! A second name (hard link) of the database: each name has its own write-ahead log, so using both damages the file.

use std::fs;
use std::path::Path;

use super::file_id::FileId;
use super::files::{resolved, sidecar};
use crate::new_file::folder_of;

/// Whether the file has more than one name; false where the system does not tell.
pub fn has_second_name(database: &Path) -> bool {
    #[cfg(unix)]
    return fs::metadata(database).is_ok_and(|metadata| std::os::unix::fs::MetadataExt::nlink(&metadata) > 1);
    #[cfg(not(unix))]
    {
        let _ = database;
        false
    }
}

/// Removes the names that a killed restore left, `….bak-STAMP`. One whose log holds something was in use, and stays. For a
/// process that has the database open: no restore is at work then.
pub(super) fn remove_second_names(database: &Path) {
    if !has_second_name(database) {
        return;
    }
    let database = &resolved(database);
    let start = sidecar(database, ".bak-");
    let Ok(entries) = fs::read_dir(folder_of(database)) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_kept = path
            .file_name()
            .zip(start.file_name())
            .is_some_and(|(name, start)| name.as_encoded_bytes().starts_with(start.as_encoded_bytes()));
        let is_same = FileId::of(&path).is_some_and(|id| FileId::of(database) == Some(id));
        let was_used = fs::metadata(sidecar(&path, "-wal")).is_ok_and(|metadata| metadata.len() > 0);
        if is_kept && is_same && !was_used && !path.is_symlink() && fs::remove_file(&path).is_ok() {
            let _ = fs::remove_file(sidecar(&path, "-wal"));
            let _ = fs::remove_file(sidecar(&path, "-shm"));
        }
    }
}

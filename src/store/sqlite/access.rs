//! Who can get at the database's files besides those who should.

use std::path::{Path, PathBuf};

use super::files::{database_files, is_database_file, resolved};
use crate::new_file::folder_of;

/// A file, or the folder of the database, whose owner or mode is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessFault {
    pub path: PathBuf,
    pub kind: AccessFaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFaultKind {
    /// Others than the owner of the file, or than the group that shares the folder, have access.
    Exposed { mode: u32, right: u32 },
    /// Others than the owner of the folder can put another file in the place of the database.
    Replaceable { mode: u32 },
    /// The file belongs to `owner`; `user`, whose folder it is in, cannot open it.
    Foreign { owner: u32, user: u32 },
}

/// Every fault in the access to the database's files and their folder; none where the system has no modes.
pub fn access_faults(database: &Path) -> Vec<AccessFault> {
    let mut faults = Vec::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let mut found = |path: &Path, kind| faults.push(AccessFault { path: path.to_owned(), kind });
        let resolved = resolved(database);
        let folder = folder_of(&resolved);
        let place = std::fs::metadata(folder).ok();
        for file in database_files(database) {
            let Ok(metadata) = std::fs::metadata(&file) else { continue };
            let mode = metadata.mode() & 0o7777;
            let is_shared =
                place.as_ref().is_some_and(|place| is_shared(place.mode()) && place.gid() == metadata.gid());
            let right = if is_shared { SHARED_FILE } else { 0o600 };
            if mode & 0o077 & !right != 0 {
                found(&file, AccessFaultKind::Exposed { mode, right });
            }
            // Root opens everything.
            let user = place.as_ref().map_or(0, MetadataExt::uid);
            if user != 0 && metadata.uid() != user && mode & 0o066 == 0 {
                found(&file, AccessFaultKind::Foreign { owner: metadata.uid(), user });
            }
        }
        // In a folder with the sticky bit nobody replaces the files of another.
        if let Some(mode) = place.map(|place| place.mode() & 0o7777)
            && resolved.exists()
            && mode & 0o022 != 0
            && !is_shared(mode)
            && mode & 0o1000 == 0
        {
            found(folder, AccessFaultKind::Replaceable { mode });
        }
    }
    #[cfg(not(unix))]
    let _ = (database, folder_of, resolved, database_files);
    faults
}

/// The fault in the access to the file of a database's key. Whoever may use a database that a group shares may read its key.
pub fn key_fault(key: &Path, database: Option<&Path>) -> Option<AccessFault> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(key).ok()?;
        let place = database.and_then(|database| std::fs::metadata(folder_of(&resolved(database))).ok());
        let is_of_group = place.is_some_and(|place| is_shared(place.mode()) && place.gid() == metadata.gid());
        let (mode, right) = (metadata.mode() & 0o7777, if is_of_group { 0o640 } else { 0o600 });
        let kind = AccessFaultKind::Exposed { mode, right };
        (mode & 0o077 & !right != 0).then(|| AccessFault { path: key.to_owned(), kind })
    }
    #[cfg(not(unix))]
    {
        let _ = (key, database);
        None
    }
}

/// The modes of a database that a group shares.
#[cfg(unix)]
const SHARED_FILE: u32 = 0o660;
#[cfg(unix)]
const SHARED_FOLDER: u32 = 0o2770;

/// Whether a group shares a folder: it may write there, what is made there belongs to it, and nobody else has access.
#[cfg(unix)]
fn is_shared(mode: u32) -> bool {
    mode & 0o2077 == SHARED_FOLDER & 0o2077
}

/// What is in the folder of a database besides its files: the first entry.
pub fn foreign_entry(database: &Path) -> std::io::Result<Option<PathBuf>> {
    let database = resolved(database);
    for entry in std::fs::read_dir(folder_of(&database))? {
        let path = entry?.path();
        if !is_database_file(&database, &path) {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Lets a group use the database: its files, and its folder, in which what is made from now on belongs to the group.
#[cfg(unix)]
pub fn share_with_group(database: &Path, group: u32) -> std::io::Result<()> {
    use std::os::unix::fs::{PermissionsExt, chown};
    let share = |path: &Path, mode| {
        chown(path, None, Some(group))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
    };
    for file in database_files(database) {
        share(&file, SHARED_FILE)?;
    }
    share(folder_of(&resolved(database)), SHARED_FOLDER)
}

impl AccessFault {
    /// Whether it is about this database itself, not about its folder or a file beside it.
    pub fn is_of(&self, database: &Path) -> bool {
        self.path == resolved(database)
    }

    /// Mends a file: its mode, or its owner. A folder is left to its owner.
    pub fn mend(&self) -> std::io::Result<()> {
        #[cfg(unix)]
        match self.kind {
            AccessFaultKind::Exposed { right, .. } => {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(right))?;
            }
            AccessFaultKind::Foreign { user, .. } => {
                use std::os::unix::fs::MetadataExt;
                let group = std::fs::metadata(folder_of(&self.path))?.gid();
                std::os::unix::fs::chown(&self.path, Some(user), Some(group))?;
            }
            AccessFaultKind::Replaceable { .. } => {}
        }
        Ok(())
    }
}

//! Who can get at the database's files besides those who should.

use std::path::{Path, PathBuf};

use super::files::{database_files, resolved};
use crate::new_file::folder_of;

/// A file, or the folder of the database, whose owner or mode is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessFault {
    pub path: PathBuf,
    pub kind: AccessFaultKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessFaultKind {
    /// Others than the owner of the file have access.
    Exposed { mode: u32 },
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
            if mode & 0o077 != 0 {
                found(&file, AccessFaultKind::Exposed { mode });
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
            && mode & 0o1000 == 0
        {
            found(folder, AccessFaultKind::Replaceable { mode });
        }
    }
    #[cfg(not(unix))]
    let _ = (database, folder_of, resolved, database_files);
    faults
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
            AccessFaultKind::Exposed { .. } => {
                use std::os::unix::fs::PermissionsExt;
                std::fs::set_permissions(&self.path, std::fs::Permissions::from_mode(0o600))?;
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

//! Files that are made for users: they appear whole under their name, or not at all.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempDir};

/// Who may read a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    Owner,
    /// Whoever the umask allows.
    Usual,
    /// Everybody, whatever the umask.
    Everybody,
}

/// A file that is being written, in a temporary folder beside the place that it is for.
///
/// The folder has a random name and is private, so nobody can prepare a link that the bytes would go through. It is locked
/// for as long as its maker lives; what a killed process left is removed by the next one that writes a file there.
#[derive(Debug)]
pub struct NewFile {
    // In the order in which they are dropped.
    file: NamedTempFile,
    _folder: TempDir,
    _lock: Option<File>,
    target: PathBuf,
}

impl NewFile {
    /// An empty file that is to become `target`. It has its mode before it has any content.
    pub fn beside(target: &Path, readers: Readers) -> io::Result<NewFile> {
        let place = folder_of(target);
        remove_leftovers(place);
        let (folder, lock) = locked_folder(place)?;
        let mut builder = Builder::new();
        #[cfg(unix)]
        builder.permissions(permissions(if readers == Readers::Usual { 0o666 } else { 0o600 }));
        // Made with O_EXCL, which follows no link.
        let file = builder.tempfile_in(folder.path())?;
        #[cfg(unix)]
        if readers == Readers::Everybody {
            file.as_file().set_permissions(permissions(0o644))?;
        }
        #[cfg(not(unix))]
        let _ = readers;
        Ok(NewFile { file, _folder: folder, _lock: lock, target: target.to_owned() })
    }

    /// Where it is until it is finished.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.as_file_mut().seek(SeekFrom::Start(offset))?;
        self.file.as_file_mut().write_all(bytes)
    }

    /// Gives it the owner, the group and the mode of another file.
    #[cfg(unix)]
    pub fn take_access_of(&self, other: &fs::Metadata) -> io::Result<()> {
        use std::os::unix::fs::{MetadataExt, fchown};
        let file = self.file.as_file();
        let mine = file.metadata()?;
        if (mine.uid(), mine.gid()) != (other.uid(), other.gid()) {
            fchown(file, Some(other.uid()), Some(other.gid()))?;
        }
        file.set_permissions(other.permissions())
    }

    #[cfg(not(unix))]
    pub fn take_access_of(&self, other: &fs::Metadata) -> io::Result<()> {
        self.file.as_file().set_permissions(other.permissions())
    }

    /// Puts it, durably, in the place of what is there.
    pub fn replace(self) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist(&self.target).map_err(|error| error.error)?;
        sync_folder(&self.target)
    }

    /// Puts it, durably, where nothing is yet; an error of kind `AlreadyExists` otherwise.
    pub fn create(self) -> io::Result<()> {
        let target = self.target.clone();
        self.create_as(&target)
    }

    /// The same under another name in that folder.
    pub fn create_as(self, path: &Path) -> io::Result<()> {
        self.file.as_file().sync_all()?;
        self.file.persist_noclobber(path).map_err(|error| error.error)?;
        sync_folder(path)
    }
}

/// The folder that a file is in.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A new name in a folder survives a power cut only once the folder is written.
pub fn sync_folder(file: &Path) -> io::Result<()> {
    // Windows opens no folder as a file.
    if cfg!(unix) { File::open(folder_of(file))?.sync_all() } else { Ok(()) }
}

const PREFIX: &str = ".hookctl-";
const SUFFIX: &str = ".tmp";

/// A private temporary folder, removed when it is dropped.
pub fn scratch_folder(place: &Path) -> io::Result<TempDir> {
    let mut builder = Builder::new();
    #[cfg(unix)]
    builder.permissions(permissions(0o700));
    builder.prefix(PREFIX).suffix(SUFFIX).tempdir_in(place)
}

fn locked_folder(place: &Path) -> io::Result<(TempDir, Option<File>)> {
    loop {
        let folder = scratch_folder(place)?;
        // Without locks (some network mounts, Windows) nothing is taken for a leftover either.
        let lock = File::open(folder.path()).ok().filter(|lock| lock.lock().is_ok());
        // Another process may have removed it before it was locked.
        if folder.path().exists() {
            return Ok((folder, lock));
        }
    }
}

fn remove_leftovers(place: &Path) {
    let Ok(entries) = fs::read_dir(place) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.starts_with(PREFIX) && name.ends_with(SUFFIX);
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        // Its maker holds the lock while it lives. What cannot be removed is left.
        if let Ok(folder) = File::open(entry.path())
            && folder.try_lock().is_ok()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(unix)]
fn permissions(mode: u32) -> fs::Permissions {
    std::os::unix::fs::PermissionsExt::from_mode(mode)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        for text in ["long ago\n", "now\n"] {
            let mut file = NewFile::beside(&path, Readers::Owner).unwrap();
            file.write_at(0, text.as_bytes()).unwrap();
            assert_ne!(fs::read_to_string(&path).ok().as_deref(), Some(text));
            file.replace().unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(names(folder.path()), ["out"]);
    }

    #[test]
    fn a_file_that_is_there_is_not_overwritten_by_one_that_is_to_be_new() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "mine").unwrap();
        let file = NewFile::beside(&path, Readers::Owner).unwrap();
        assert_eq!(file.create().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(folder.path())),
            ("mine", vec!["out".to_owned()])
        );
    }

    #[test]
    #[cfg(unix)]
    fn what_a_dead_process_left_is_removed_and_what_a_living_one_writes_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let left = folder.path().join(".hookctl-abc.tmp");
        fs::create_dir(&left).unwrap();
        fs::write(left.join("half"), "half").unwrap();
        let living = NewFile::beside(&folder.path().join("one"), Readers::Owner).unwrap();
        assert!(!left.exists());
        NewFile::beside(&folder.path().join("two"), Readers::Owner).unwrap().create().unwrap();
        living.create().unwrap();
        assert_eq!(names(folder.path()), ["one", "two"]);
    }
}

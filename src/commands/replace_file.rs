//! Files that others read while they are written again and again.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Failure, Kind};

/// Who may read a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever the umask allows.
    Usual,
    /// Everybody: a collector runs as another user.
    Everybody,
}

/// Replaces a file by these bytes, whole or not at all: they are written beside it, made durable, and renamed into its place.
/// An error names `option`.
pub fn replace(option: &str, path: &str, readers: Readers, bytes: &[u8]) -> Result<(), Failure> {
    let fail = |error: &io::Error| Failure::new(Kind::Failed, format!("{option}: cannot write '{path}': {error}"));
    let target = Path::new(path);
    let Some(name) = target.file_name() else {
        return Err(Failure::option(option, "not the name of a file"));
    };
    if target.is_dir() {
        return Err(Failure::option(option, format!("'{path}' is a directory")));
    }
    // Neither its beginning nor its end is one that collectors look for.
    let beside = target.with_file_name(format!(".{}.{}.tmp", name.to_string_lossy(), std::process::id()));
    let done = write(&beside, readers, bytes).and_then(|()| fs::rename(&beside, target));
    if done.is_err() {
        // The error that matters is the first one.
        let _ = fs::remove_file(&beside);
    }
    done.map_err(|error| fail(&error))
}

fn write(path: &Path, readers: Readers, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    #[cfg(not(unix))]
    let _ = readers;
    #[cfg(unix)]
    if readers == Readers::Everybody {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
    }
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out.prom");
        for text in ["long ago\n", "now\n"] {
            replace("--file", path.to_str().unwrap(), Readers::Everybody, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_told_with_its_option() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("no/such/folder.prom");
        let error = replace("--file", missing.to_str().unwrap(), Readers::Usual, b"").unwrap_err();
        assert!(error.message.starts_with("--file: cannot write '"), "{error}");
        let error = replace("--file", folder.path().to_str().unwrap(), Readers::Usual, b"").unwrap_err();
        assert!(error.message.ends_with("is a directory"), "{error}");
    }
}

//! The files that `listen --record` writes.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::domain::recording::Recording;
use crate::domain::text::whole_number;
use crate::error::{Failure, Kind};
use crate::new_file::{NewFile, Readers};

pub const EXTENSION: &str = "http";

/// File names have six digits, so that they sort.
const MOST: u64 = 999_999;

/// Writes recordings into a folder, numbered after the existing ones.
pub struct Recorder {
    folder: PathBuf,
    /// The highest number that existed.
    before: u64,
    with_secrets: bool,
}

impl Recorder {
    /// Creates the folder with mode 0700 if it does not exist.
    pub fn new(folder: &str, with_secrets: bool) -> Result<Recorder, Failure> {
        let folder = PathBuf::from(folder);
        let failed = |error: io::Error| {
            Failure::new(Kind::Failed, format!("--record: cannot use the folder '{}': {error}", folder.display()))
        };
        match make(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ if !folder.is_dir() => {
                return Err(Failure::option("--record", format!("'{}' is not a folder", folder.display())));
            }
            _ => {}
        }
        let mut before = 0;
        for entry in fs::read_dir(&folder).map_err(failed)? {
            before = before.max(number(&entry.map_err(failed)?.path()).unwrap_or(0));
        }
        Ok(Recorder { folder, before, with_secrets })
    }

    /// Writes the recording of the n-th request; returns its path.
    pub fn write(&self, number: u64, mut recording: Recording) -> Result<PathBuf, Failure> {
        if !self.with_secrets {
            recording.mask();
        }
        let bytes = recording.to_bytes();
        for number in self.before + number..=MOST {
            let path = self.folder.join(format!("{number:06}.{EXTENSION}"));
            let write = || {
                let mut file = NewFile::beside(&path, Readers::Owner)?;
                file.write_at(0, &bytes)?;
                file.create()
            };
            match write() {
                Ok(()) => return Ok(path),
                // Another listener is recording into the same folder.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    let message = format!("--record: cannot write '{}': {error}", path.display());
                    return Err(Failure::new(Kind::Failed, message));
                }
            }
        }
        let message = format!("--record: the numbers of '{}' end at {MOST}", self.folder.display());
        Err(Failure::new(Kind::Failed, message).hint("name another folder"))
    }
}

fn make(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return {
        use std::os::unix::fs::DirBuilderExt as _;
        fs::DirBuilder::new().mode(0o700).create(folder)
    };
    #[cfg(not(unix))]
    fs::create_dir(folder)
}

fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?.strip_suffix(".http")?;
    whole_number(name).filter(|_| name.len() == 6)
}

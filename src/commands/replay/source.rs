//! Recordings.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::commands::listen::record::EXTENSION;
use crate::domain::recording::Recording;
use crate::error::Failure;

/// The longest recording, in bytes: more than `listen` accepts as head and body.
const LONGEST: u64 = 4 * 1024 * 1024;

pub struct Source {
    path: PathBuf,
}

/// The named files, and the recordings in named folders, sorted by name.
pub fn find(named: &[String]) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    for name in named {
        let path = Path::new(name);
        match path.metadata() {
            Err(error) => return Err(Failure::option("DIR|FILE", format!("cannot read '{name}': {error}"))),
            Ok(metadata) if metadata.is_dir() => sources.extend(in_folder(path)?),
            Ok(_) => sources.push(Source { path: path.to_owned() }),
        }
    }
    Ok(sources)
}

fn in_folder(folder: &Path) -> Result<Vec<Source>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::option("DIR|FILE", format!("cannot read the folder '{}': {error}", folder.display()))
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        // Reading a pipe or device could block for ever.
        if path.extension().is_some_and(|extension| extension == EXTENSION) && path.is_file() {
            paths.push(path);
        }
    }
    if paths.is_empty() {
        let message = format!("no recordings (*.{EXTENSION}) in '{}'", folder.display());
        return Err(Failure::option("DIR|FILE", message).hint("`hookctl listen --record DIR` makes some"));
    }
    paths.sort();
    Ok(paths.into_iter().map(|path| Source { path }).collect())
}

impl Source {
    /// The path for messages and tables.
    pub fn shown(&self) -> String {
        self.path.display().to_string()
    }

    pub fn read(&self) -> Result<Recording, Failure> {
        let fail = |reason: String| Failure::invalid(format!("{}: {reason}", self.shown()));
        let mut bytes = Vec::new();
        fs::File::open(&self.path)
            .and_then(|file| file.take(LONGEST + 1).read_to_end(&mut bytes))
            .map_err(|error| fail(format!("cannot read it: {error}")))?;
        if bytes.len() as u64 > LONGEST {
            return Err(fail(format!("it holds more than {LONGEST} bytes, the limit")));
        }
        Recording::parse(&bytes).map_err(|error| fail(error.to_string()))
    }
}

//! Files that an option names, such as `metrics --file`, replaced atomically.

use std::io::Read;
use std::path::Path;

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::new_file::{NewFile, Readers, folder_of};
use crate::store::{Place, is_database_file};

/// Replaces a file atomically; refuses the database. Errors name `option`.
pub fn replace(context: &Context, option: &str, path: &str, readers: Readers, bytes: &[u8]) -> Result<(), Failure> {
    check_target(context, option, path)?;
    let target = Path::new(path);
    let write = || {
        let mut file = NewFile::beside(target, readers)?;
        file.write_at(0, bytes)?;
        file.replace()
    };
    write().map_err(|error: std::io::Error| {
        Failure::new(Kind::Failed, format!("{option}: cannot write '{path}': {error}"))
    })
}

/// Refuses a path that [`replace`] cannot write to, as far as that is known before there is anything to write.
pub fn check_target(context: &Context, option: &str, path: &str) -> Result<(), Failure> {
    let target = Path::new(path);
    if target.file_name().is_none() {
        return Err(Failure::option(option, "not the name of a file"));
    }
    refuse_database(context, option, target)?;
    refuse_unsuitable(option, target)?;
    refuse_missing_folder(option, target)
}

/// Refuses a file that is not regular, and a database, which may be a backup.
fn refuse_unsuitable(option: &str, target: &Path) -> Result<(), Failure> {
    let shown = target.display();
    let is_file = match target.metadata() {
        Ok(metadata) if metadata.is_dir() => {
            return Err(Failure::option(option, format!("'{shown}' is a directory")));
        }
        Ok(metadata) => metadata.is_file() && !leads_into_proc(target),
        Err(_) => return Ok(()),
    };
    if !is_file {
        return Err(Failure::option(option, format!("'{shown}' is not a regular file"))
            .hint("name a file that may be replaced"));
    }
    if is_sqlite(target) {
        return Err(Failure::option(option, format!("'{shown}' is a SQLite database")).hint("name another file"));
    }
    Ok(())
}

/// Whether a link such as /dev/stdout leads to an open file of a process.
fn leads_into_proc(target: &Path) -> bool {
    let mut path = target.to_owned();
    // Linux follows as many links.
    for _ in 0..40 {
        if std::path::absolute(&path).is_ok_and(|path| path.starts_with("/proc")) {
            return true;
        }
        let Ok(link) = std::fs::read_link(&path) else { return false };
        path = folder_of(&path).canonicalize().unwrap_or_default().join(link);
    }
    false
}

fn is_sqlite(file: &Path) -> bool {
    let mut start = [0; 16];
    let read = std::fs::File::open(file).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *b"SQLite format 3\0"
}

pub fn refuse_missing_folder(option: &str, target: &Path) -> Result<(), Failure> {
    let folder = folder_of(target);
    match folder.metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(Failure::new(Kind::Failed, format!("{option}: the folder '{}' does not exist", folder.display()))
                .hint("make the folder, or name a file elsewhere"))
        }
        _ => Ok(()),
    }
}

/// Refuses to write to the database and the files that SQLite keeps beside it.
pub fn refuse_database(context: &Context, option: &str, target: &Path) -> Result<(), Failure> {
    match context.place() {
        Ok(Place::File(database)) if is_database_file(&database, target) => {
            Err(Failure::option(option, format!("'{}' belongs to the database", target.display()))
                .hint("name another file"))
        }
        _ => Ok(()),
    }
}

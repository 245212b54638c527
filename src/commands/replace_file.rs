//! Files that an option names, such as `metrics --file`, written whole.

use std::path::Path;

use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::new_file::{NewFile, Readers};
use crate::store::is_database_file;

/// Replaces a file by these bytes, whole or not at all. An error names `option`. The database is refused.
pub fn replace(context: &Context, option: &str, path: &str, readers: Readers, bytes: &[u8]) -> Result<(), Failure> {
    let target = Path::new(path);
    if target.file_name().is_none() {
        return Err(Failure::option(option, "not the name of a file"));
    }
    if target.is_dir() {
        return Err(Failure::option(option, format!("'{path}' is a directory")));
    }
    refuse_database(context, option, target)?;
    let write = || {
        let mut file = NewFile::beside(target, readers)?;
        file.write_at(0, bytes)?;
        file.replace()
    };
    write().map_err(|error: std::io::Error| {
        Failure::new(Kind::Failed, format!("{option}: cannot write '{path}': {error}"))
    })
}

/// Refuses the database, and the files that SQLite keeps beside it, as a place to write to.
pub fn refuse_database(context: &Context, option: &str, target: &Path) -> Result<(), Failure> {
    match context.database() {
        Ok(database) if is_database_file(database, target) => {
            Err(Failure::option(option, format!("'{}' belongs to the database", target.display()))
                .hint("name another file"))
        }
        _ => Ok(()),
    }
}

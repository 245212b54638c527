//! Errors of the store.

use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, StoreError>;

#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process held the lock past the busy time-out.
    #[error("the database is busy: another process kept it locked")]
    Busy,
    /// Another transaction was in the way of this one, which changed nothing and may do it again: a deadlock, or something else
    /// is there than it expected.
    #[error("the database is busy: other processes were in the way")]
    Again,
    /// Requests were sent, and their results could not be stored.
    #[error("results of attempts could not be recorded ({attempts}): {reason}")]
    NotRecorded { attempts: usize, reason: Box<StoreError> },
    #[error("the disk is full")]
    Full,
    /// The file or its folder cannot be written.
    #[error("the database cannot be written: {0}")]
    ReadOnly(String),
    /// A read or a write failed.
    #[error("the file system failed under the database: {0}")]
    Io(String),
    /// The file is no longer where it was opened.
    #[error("{} was deleted or replaced while this command ran", .0.display())]
    Replaced(PathBuf),
    /// The path is a folder.
    #[error("{} is a directory, not a database", .0.display())]
    Directory(PathBuf),
    /// The file cannot be opened or made.
    #[error("cannot open the database {}: {reason}", path.display())]
    CannotOpen {
        path: PathBuf,
        /// Why, from the operating system or SQLite.
        reason: String,
    },
    /// Another program's file, or not a database.
    #[error("{} is not a hookctl database: {reason}", path.display())]
    NotOurs { path: PathBuf, reason: String },
    #[error("{} was made by a newer hookctl (schema {found}, this one knows {known})", path.display())]
    Newer {
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Made by an older hookctl, and opened for reading only.
    #[error("{} was made by an older hookctl (schema {found}, this one reads {known})", path.display())]
    Older {
        path: PathBuf,
        /// The schema version in the file.
        found: i64,
        /// The schema version that this program reads.
        known: i64,
    },
    /// Secrets are encrypted, and this process has no key.
    #[error("the secrets of the database are encrypted, and there is no key")]
    NoKey,
    /// Secrets are encrypted with another key than this process has.
    #[error("the secrets of the database are encrypted with another key")]
    WrongKey,
    /// The key that was named cannot be read.
    #[error("{0}")]
    Key(String),
    #[error("the database is damaged: {0}")]
    Corrupt(String),
    /// A value that hookctl does not write.
    #[error("the database holds an unreadable value in {column}: {value}")]
    Value {
        column: String,
        /// The value, shortened.
        value: String,
    },
    /// A unique value is taken by another row.
    #[error("the database reports: {0}")]
    NotUnique(String),
    /// It was deleted after it was looked up.
    #[error("the {0} was deleted meanwhile")]
    Gone(&'static str),
    /// The webhook's name is taken.
    #[error("the name '{0}' is taken by another webhook")]
    NameTaken(String),
    /// The server does not answer or gave up; trying again may help.
    #[error("{0}")]
    Unavailable(String),
    /// The server refused the login or the statement; trying again does not help.
    #[error("{0}")]
    Refused(String),
    /// An operation on files, while the database is on a server.
    #[error("the database is on a server, not in a file")]
    NotAFile,
    /// The source has no outbox, or an unusable one.
    #[error("{place} has no outbox: {reason}")]
    NoOutbox {
        place: String,
        reason: String,
        /// Whether `outbox init` creates it.
        missing_table: bool,
    },
    /// Any other error of the engine.
    #[error("the database reports: {0}")]
    Other(String),
}

impl StoreError {
    /// Whether the encryption key is missing, wrong or unreadable.
    pub fn is_of_key(&self) -> bool {
        matches!(self, StoreError::NoKey | StoreError::WrongKey | StoreError::Key(_))
    }

    pub(super) fn cannot_open(path: &Path, error: &std::io::Error) -> StoreError {
        let reason = match error.kind() {
            std::io::ErrorKind::NotFound if path.is_symlink() => "it is a symbolic link to nothing".to_owned(),
            _ => error.to_string(),
        };
        StoreError::CannotOpen { path: path.to_owned(), reason }
    }
}

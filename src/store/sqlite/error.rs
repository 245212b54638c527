//! What SQLite reports, as kinds that every engine has.

use rusqlite::{Error, ErrorCode, ffi};

use crate::store::StoreError;

impl From<Error> for StoreError {
    fn from(error: Error) -> StoreError {
        let text = error.to_string();
        match &error {
            // Our statements and types fit the tables that the migrations make: these are others.
            Error::SqlInputError { msg, .. } => return StoreError::Corrupt(msg.clone()),
            Error::InvalidColumnType(..)
            | Error::FromSqlConversionFailure(..)
            | Error::IntegralValueOutOfRange(..)
            | Error::Utf8Error(..) => return StoreError::Corrupt(text),
            Error::SqliteFailure(failure, _) if failure.extended_code == ffi::SQLITE_CONSTRAINT_UNIQUE => {
                return StoreError::NotUnique(text);
            }
            _ => {}
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            Some(ErrorCode::DiskFull) => StoreError::Full,
            Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => StoreError::ReadOnly(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(text),
            Some(ErrorCode::SystemIoFailure) => StoreError::Io(with_limit(text, &error)),
            _ => StoreError::Other(text),
        }
    }
}

/// Names the limit on the size of files after a failed write: SQLite does not say that a file reached it.
fn with_limit(text: String, error: &Error) -> String {
    let code = error.sqlite_error().map_or(0, |error| error.extended_code);
    let is_write = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_TRUNCATE, ffi::SQLITE_IOERR_SHMSIZE].contains(&code);
    match size_limit().filter(|_| is_write) {
        Some(bytes) => format!("{text}; files may have {bytes} bytes at most (`ulimit -f`)"),
        None => text,
    }
}

/// How large a file this process may write, in bytes; `None` where there is no limit.
pub(super) fn size_limit() -> Option<u64> {
    #[cfg(unix)]
    return rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    #[cfg(not(unix))]
    None
}

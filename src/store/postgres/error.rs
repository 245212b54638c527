//! What a server reports, as kinds that every engine has.

use std::error::Error as _;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use super::address::Server;
use crate::store::StoreError;

/// What an error of the client or the server means. It never names a password: neither of them does.
pub fn store_error(error: &Error, server: &Server) -> StoreError {
    if let Some(reported) = error.as_db_error() {
        return of_server(reported, server);
    }
    let text = error.to_string();
    let reason = error.source().map_or_else(|| text.clone(), ToString::to_string);
    match text.as_str() {
        "connection closed" | "error communicating with the server" | "unexpected message from server" => {
            StoreError::Unavailable(format!("the connection to {server} was lost: {reason}"))
        }
        "timeout waiting for server" => StoreError::Unavailable(format!("{server} does not answer")),
        "error connecting to server" => StoreError::Unavailable(format!("cannot connect to {server}: {reason}")),
        "error performing TLS handshake" => {
            StoreError::Refused(format!("no encrypted connection to {server}: {reason}"))
        }
        "authentication error" | "invalid configuration" => {
            StoreError::Refused(format!("cannot log in to {server}: {reason}"))
        }
        _ => StoreError::Other(format!("{text}: {reason}")),
    }
}

/// The codes are in <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn of_server(error: &DbError, server: &Server) -> StoreError {
    let message = error.message().replace('\n', " ");
    match *error.code() {
        SqlState::UNIQUE_VIOLATION => return StoreError::NotUnique(message),
        SqlState::DISK_FULL => return StoreError::Full,
        SqlState::READ_ONLY_SQL_TRANSACTION => {
            let advice = "name the one that does, or all of them with target_session_attrs=read-write";
            return StoreError::Refused(format!("{server} takes no writes ({message}): {advice}"));
        }
        SqlState::LOCK_NOT_AVAILABLE => return StoreError::Busy,
        // A division by zero is how a statement says that something else is there than it expects; what a row refers to was
        // deleted by another transaction meanwhile.
        SqlState::T_R_SERIALIZATION_FAILURE
        | SqlState::T_R_DEADLOCK_DETECTED
        | SqlState::DIVISION_BY_ZERO
        | SqlState::FOREIGN_KEY_VIOLATION => return StoreError::Again,
        SqlState::INSUFFICIENT_PRIVILEGE => {
            let Server { user, database, .. } = server;
            return StoreError::Refused(format!("role '{user}' may not do this in database '{database}': {message}"));
        }
        SqlState::IO_ERROR => return StoreError::Io(message),
        SqlState::DATA_CORRUPTED
        | SqlState::INDEX_CORRUPTED
        | SqlState::UNDEFINED_TABLE
        | SqlState::UNDEFINED_COLUMN => {
            return StoreError::Corrupt(message);
        }
        SqlState::QUERY_CANCELED | SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
            return StoreError::Unavailable(format!("{server} gave up: {message}"));
        }
        _ => {}
    }
    // By class: connections, refused log-ins and databases, too little of something, an operator at work.
    match error.code().code().get(..2) {
        Some("08" | "53" | "57") => StoreError::Unavailable(format!("{server} is not available: {message}")),
        Some("28" | "3D") => StoreError::Refused(format!("cannot log in to {server}: {message}")),
        _ => StoreError::Other(message),
    }
}

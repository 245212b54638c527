//! Errors of writing to stdout.

use std::io;

use crate::error::Closed;

/// [`Closed`] if the reader has gone, else the error.
pub fn write_error(error: impl Into<io::Error>) -> anyhow::Error {
    let error = error.into();
    match error.kind() {
        io::ErrorKind::BrokenPipe => Closed.into(),
        _ => anyhow::Error::new(error).context("cannot write to stdout"),
    }
}

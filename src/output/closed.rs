//! What a failure to write means.

use std::io;

use crate::error::Closed;

/// A failure to write to stdout: [`Closed`] when nobody reads any more, else what went wrong.
pub fn write_error(error: impl Into<io::Error>) -> anyhow::Error {
    let error = error.into();
    match error.kind() {
        io::ErrorKind::BrokenPipe => Closed.into(),
        _ => anyhow::Error::new(error).context("cannot write to stdout"),
    }
}

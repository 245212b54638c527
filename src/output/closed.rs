//! What a failure to write means.

use std::io;

/// The reader of stdout is gone: the program ends, quietly and without an error.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output closed it")]
pub struct Closed;

/// A failure to write to stdout: [`Closed`] when nobody reads any more, else what went wrong.
pub fn write_error(error: impl Into<io::Error>) -> anyhow::Error {
    let error = error.into();
    match error.kind() {
        io::ErrorKind::BrokenPipe => Closed.into(),
        _ => anyhow::Error::new(error).context("cannot write to stdout"),
    }
}

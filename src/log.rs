//! The log of a run: each attempt, and in detail claims, look-ups and connections. Nothing is written before [`start`]; any
//! thread may write.

use std::sync::OnceLock;

/// How important an entry is, the most important first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warning,
    Notice,
    /// Written from `-v` on.
    Info,
    /// Written from `-vv` on.
    Debug,
}

impl Level {
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Notice => "notice",
            Level::Info => "info",
            Level::Debug => "debug",
        }
    }
}

/// One thing that happened, and its fields in their order.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    pub level: Level,
    pub message: &'a str,
    pub fields: &'a [(&'static str, Field<'a>)],
}

#[derive(Clone, Copy, Debug)]
pub enum Field<'a> {
    Text(&'a str),
    Number(i64),
}

type Write = Box<dyn Fn(&Entry<'_>) + Send + Sync>;

static LOG: OnceLock<(Level, Write)> = OnceLock::new();

/// From now on entries are written by `write`, down to that level. Only the first call counts.
pub fn start(level: Level, write: impl Fn(&Entry<'_>) + Send + Sync + 'static) {
    let _ = LOG.set((level, Box::new(write)));
}

/// Whether entries of that level are written.
pub fn is_on(level: Level) -> bool {
    LOG.get().is_some_and(|(least, _)| level <= *least)
}

pub fn write(level: Level, message: &str, fields: &[(&'static str, Field<'_>)]) {
    if let Some((least, write)) = LOG.get()
        && level <= *least
    {
        write(&Entry { level, message, fields });
    }
}

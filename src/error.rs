//! Failures as users meet them: a message, sometimes a hint, and an exit code. The one place where that is decided.

use std::fmt;

use crate::store::StoreError;

/// The kinds of failure, each with its exit code and its stable name for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Could not do it: database, file system, read-only, internal.
    Failed,
    /// Wrong usage or invalid input; nothing was stored or sent.
    Invalid,
    /// No such webhook, event or delivery.
    NotFound,
    /// The name is taken; the event id was used with another payload.
    Conflict,
    /// The database stayed locked.
    Busy,
    /// Every command that writes is refused.
    ReadOnly,
    /// Ctrl-C at a question.
    Stopped,
}

impl Kind {
    /// The exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Failed | Kind::ReadOnly => 1,
            Kind::Invalid => 2,
            Kind::NotFound => 3,
            Kind::Conflict => 6,
            Kind::Busy => 75,
            Kind::Stopped => 130,
        }
    }

    /// The name in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Failed => "failed",
            Kind::ReadOnly => "read_only",
            Kind::Invalid => "invalid_input",
            Kind::NotFound => "not_found",
            Kind::Conflict => "conflict",
            Kind::Busy => "busy",
            Kind::Stopped => "stopped",
        }
    }
}

/// A failure with all that its user is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What kind it is.
    pub kind: Kind,
    /// One line: what was wrong, and with which option.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure of that kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Failure {
        Failure { kind, message: message.into(), hint: None }
    }

    /// Invalid input.
    pub fn invalid(message: impl Into<String>) -> Failure {
        Failure::new(Kind::Invalid, message)
    }

    /// The value of an option is wrong.
    pub fn option(option: &str, reason: impl fmt::Display) -> Failure {
        Failure::invalid(format!("{option}: {reason}"))
    }

    /// The same with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// What an error means to a user; `None` when the reader of the output went away, which is no failure.
    pub fn of(error: &anyhow::Error) -> Option<Failure> {
        if error.is::<Closed>() {
            return None;
        }
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure.clone());
        }
        let store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
        Some(store.map_or_else(|| Failure::new(Kind::Failed, format!("{error:#}")), |cause| of_store(cause, error)))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The reader of stdout is gone: the program ends without a message, and it is no failure.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output closed it")]
pub struct Closed;

fn of_store(cause: &StoreError, error: &anyhow::Error) -> Failure {
    let message = format!("{error:#}");
    match cause {
        StoreError::Busy => Failure::new(Kind::Busy, message).hint("try again; nothing of this step was stored"),
        StoreError::NameTaken(_) => Failure::new(Kind::Conflict, message)
            .hint("choose another name, or change it with `hookctl webhook update`"),
        StoreError::Full => Failure::new(Kind::Failed, message).hint("free some space and run the command again"),
        StoreError::ReadOnly(_) => Failure::new(Kind::Failed, message)
            .hint("check the permissions of the file and its folder, or name another with --db"),
        StoreError::Io(_) => Failure::new(Kind::Failed, message)
            .hint("check the disk, its space and its limits; what was accepted before is kept"),
        StoreError::Replaced(_) => Failure::new(Kind::Failed, message).hint("run the command again"),
        StoreError::Directory(_) | StoreError::CannotOpen { .. } => {
            Failure::new(Kind::Failed, message).hint("name another file with --db or HOOKCTL_DB")
        }
        StoreError::NotOurs { .. } => Failure::new(Kind::Failed, message)
            .hint("name hookctl's file with --db or HOOKCTL_DB; this one was not touched"),
        StoreError::Newer { .. } => {
            Failure::new(Kind::Failed, message).hint("use the newer hookctl; the file was not touched")
        }
        StoreError::Older { .. } => Failure::new(Kind::ReadOnly, message)
            .hint("run a command that writes, without --read-only, to bring it up to date"),
        StoreError::Corrupt(_) | StoreError::Value { .. } => Failure::new(Kind::Failed, message)
            .hint("see `hookctl db check`, and restore a backup with `hookctl db restore`"),
        StoreError::NotUnique(_) | StoreError::Gone(_) | StoreError::Other(_) => Failure::new(Kind::Failed, message),
    }
}

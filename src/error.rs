//! How a run ends: exit codes, and failures as users meet them, with a message and sometimes a hint. Decided here alone.

use std::fmt;

use crate::domain::webhook::Invalid;
use crate::store::StoreError;

/// How a run ended. Every exit code of hookctl is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exit(u8);

impl Exit {
    pub const DONE: Exit = Exit(0);
    /// Could not do it; or, by `db check`, something is wrong with the database.
    pub const FAILED: Exit = Exit(1);
    pub const INVALID: Exit = Exit(2);
    pub const NOT_FOUND: Exit = Exit(3);
    /// The signature is not valid; or a receiver does not what it must, as `probe` finds.
    pub const NOT_VALID: Exit = Exit(4);
    /// Not delivered; with `apply --dry-run`, changes to be made.
    pub const NOT_DELIVERED: Exit = Exit(5);
    pub const CONFLICT: Exit = Exit(6);
    /// Lines of a batch were rejected, the others taken: `EX_DATAERR` of sysexits.h.
    pub const REJECTED: Exit = Exit(65);
    /// `EX_TEMPFAIL` of sysexits.h.
    pub const BUSY: Exit = Exit(75);
    pub const INTERRUPTED: Exit = Exit::by_signal(2);

    /// The codes of `check`, which are those of Nagios plug-ins: OK, warning, critical, unknown.
    pub const MONITOR: [Exit; 4] = [Exit(0), Exit(1), Exit(2), Exit(3)];

    /// As a shell tells the end of a program by a signal.
    pub const fn by_signal(number: u8) -> Exit {
        Exit(128 + number)
    }

    pub fn code(self) -> u8 {
        self.0
    }
}

/// Of what ends without an error and has nothing more to say.
impl From<()> for Exit {
    fn from((): ()) -> Exit {
        Exit::DONE
    }
}

/// The kinds of failure, each with its exit code and its stable name for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Could not do it: database, file system, internal.
    Failed,
    /// Wrong usage or invalid input; nothing was stored or sent.
    Invalid,
    /// No such webhook, event or delivery.
    NotFound,
    /// The name is taken; the event id was used with another payload.
    Conflict,
    Busy,
    /// Every command that writes is refused.
    ReadOnly,
    /// Ctrl-C at a question.
    Stopped,
}

impl Kind {
    pub fn exit(self) -> Exit {
        match self {
            Kind::Failed | Kind::ReadOnly => Exit::FAILED,
            Kind::Invalid => Exit::INVALID,
            Kind::NotFound => Exit::NOT_FOUND,
            Kind::Conflict => Exit::CONFLICT,
            Kind::Busy => Exit::BUSY,
            Kind::Stopped => Exit::INTERRUPTED,
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

/// A failure as its user sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
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

/// A setting that was given by its option.
impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Failure {
        Failure { hint: invalid.hint, ..Failure::option(invalid.field.flag, invalid.reason) }
    }
}

impl From<Invalid> for anyhow::Error {
    fn from(invalid: Invalid) -> anyhow::Error {
        Failure::from(invalid).into()
    }
}

/// The reader of stdout is gone: the program ends without a message, and it is no failure.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the output closed it")]
pub struct Closed;

fn of_store(cause: &StoreError, error: &anyhow::Error) -> Failure {
    let hint = match cause {
        StoreError::NotRecorded { .. } => {
            "what was accepted stays due: the next `hookctl drain` sends it, and what was in flight again once its lease expires"
        }
        StoreError::Busy | StoreError::Again => "nothing of this step was stored; try again",
        StoreError::Unavailable(_) => "try again; what was accepted before is kept",
        StoreError::NotAFile => "pg_dump and pg_restore save and restore it, autovacuum keeps it small",
        StoreError::NameTaken(_) => "choose another name, or change it with `hookctl webhook update`",
        StoreError::Full => "nothing of this step was stored; free some space and run the command again",
        StoreError::ReadOnly(_) => "check the permissions of the file and its folder, or name another with --db",
        StoreError::Io(reason) if reason.contains("ulimit -f") => {
            "nothing of this step was stored; raise the limit (`ulimit -f`), or check the disk, and run it again"
        }
        StoreError::Io(_) => "check the disk, its space and its limits; what was accepted before is kept",
        StoreError::Replaced(_) => "nothing of this step was stored; run the command again",
        StoreError::Directory(_) | StoreError::CannotOpen { .. } => "name another file with --db or HOOKCTL_DB",
        StoreError::NotOurs { .. } => "name hookctl's database with --db or HOOKCTL_DB; this one was not touched",
        StoreError::Newer { .. } => "use the newer hookctl; the database was not touched",
        StoreError::Older { .. } => "run a command that writes, without --read-only, to bring it up to date",
        StoreError::Corrupt(_) | StoreError::Value { .. } => {
            "see `hookctl db check`, and restore a backup: `hookctl db restore`, or pg_restore on a server"
        }
        StoreError::NoOutbox { missing_table: true, .. } => "`hookctl outbox init SOURCE` makes it",
        StoreError::NoOutbox { .. } => "nothing was changed there",
        StoreError::NoKey | StoreError::WrongKey => {
            "name the file with the key by HOOKCTL_KEY_FILE; what needs no secret works without it"
        }
        StoreError::Key(_)
        | StoreError::Refused(_)
        | StoreError::NotUnique(_)
        | StoreError::Gone(_)
        | StoreError::Other(_) => "",
    };
    let failure = Failure::new(kind_of(cause), format!("{error:#}"));
    if hint.is_empty() { failure } else { failure.hint(hint) }
}

fn kind_of(cause: &StoreError) -> Kind {
    match cause {
        StoreError::NotRecorded { reason, .. } if kind_of(reason) == Kind::Busy => Kind::Busy,
        StoreError::Busy | StoreError::Again | StoreError::Unavailable(_) => Kind::Busy,
        StoreError::NotAFile => Kind::Invalid,
        StoreError::NameTaken(_) => Kind::Conflict,
        StoreError::Older { .. } => Kind::ReadOnly,
        _ => Kind::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Exit; 12] = [
        Exit::DONE,
        Exit::FAILED,
        Exit::INVALID,
        Exit::NOT_FOUND,
        Exit::NOT_VALID,
        Exit::NOT_DELIVERED,
        Exit::CONFLICT,
        Exit::REJECTED,
        Exit::BUSY,
        Exit::by_signal(1),
        Exit::INTERRUPTED,
        Exit::by_signal(15),
    ];

    fn codes<'a>(rows: impl Iterator<Item = &'a str>) -> Vec<u8> {
        rows.flat_map(|row| row.split(", ")).map(|code| code.trim().parse::<u8>().expect(code)).collect()
    }

    #[test]
    fn the_help_and_the_reference_tell_every_exit_code() {
        let section = |text: &'static str, title: &str, end: &str| {
            text.split_once(title).and_then(|(_, rest)| rest.split(end).next()).expect("the section is there")
        };
        let help = section(include_str!("cli/reference.txt"), "Exit status:\n", "\n\n");
        // A line that is indented further goes on with the meaning of the one above.
        let help = help.lines().filter(|line| !line.starts_with("   "));
        let help = help.map(|line| line.trim_start().split("  ").next().unwrap_or_default());
        let reference = section(include_str!("../docs/reference.md"), "| code | meaning |\n| --- | --- |\n", "\n\n");
        let reference =
            reference.lines().map(|line| line.trim_start_matches("| ").split(" |").next().unwrap_or_default());
        let all = ALL.map(Exit::code);
        assert_eq!(codes(help), all);
        assert_eq!(codes(reference), all);
    }
}

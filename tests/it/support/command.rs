//! The binary, about to be run.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Child, Run, Terminal};

/// How long a run may take before it is killed and its test fails.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// One run of the binary. Its environment is empty but for what is set here.
pub struct Hookctl {
    command: Command,
    stdin: Vec<u8>,
    time_limit: Duration,
}

impl Hookctl {
    /// The binary without arguments or environment, in that folder.
    pub fn new(folder: &Path) -> Hookctl {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hookctl"));
        command.env_clear().current_dir(folder);
        Hookctl { command, stdin: Vec::new(), time_limit: TIME_LIMIT }
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Hookctl {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    /// Adds one argument.
    pub fn arg(self, arg: impl Into<OsString>) -> Hookctl {
        self.args([arg])
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Hookctl {
        self.command.env(name, value);
        self
    }

    /// Removes an environment variable that every test sets, such as `HOOKCTL_ALLOW_NETWORKS`.
    pub fn without_env(mut self, name: &str) -> Hookctl {
        self.command.env_remove(name);
        self
    }

    /// Sets the clock of this run (RFC 3339).
    pub fn now(self, time: &str) -> Hookctl {
        self.env("HOOKCTL_NOW", time)
    }

    /// What the run reads on standard input; nothing by default.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Hookctl {
        self.stdin = bytes.into();
        self
    }

    /// Another folder to run in.
    pub fn current_dir(mut self, folder: &Path) -> Hookctl {
        self.command.current_dir(folder);
        self
    }

    /// Another limit in time than 60 s.
    pub fn time_limit(mut self, limit: Duration) -> Hookctl {
        self.time_limit = limit;
        self
    }

    /// Runs it under another program, which is given with its arguments: `strace -f …`.
    pub fn under(mut self, wrapper: &[&str]) -> Hookctl {
        let mut command = Command::new(wrapper[0]);
        command.args(&wrapper[1..]).arg(self.command.get_program()).args(self.command.get_args()).env_clear();
        command.envs(self.command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        self.command = command;
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn run(self) -> Run {
        let limit = self.time_limit;
        self.spawn().wait_timeout(limit)
    }

    /// Starts it and goes on.
    #[track_caller]
    pub fn spawn(mut self) -> Child {
        self.command.stdout(Stdio::piped());
        Child::start(self.command, self.stdin)
    }

    /// Runs it to its end with a standard output that nobody reads: the first write finds a closed pipe.
    #[track_caller]
    pub fn run_into_closed_pipe(mut self) -> Run {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command.stdout(writer);
        let limit = self.time_limit;
        Child::start(self.command, self.stdin).wait_timeout(limit)
    }

    /// Starts it at a terminal of 80 columns, where somebody reads and types.
    #[track_caller]
    pub fn at_terminal(self) -> Terminal {
        self.at_terminal_of(80)
    }

    /// Starts it at a terminal of so many columns.
    #[track_caller]
    pub fn at_terminal_of(self, columns: u16) -> Terminal {
        Terminal::start(&self.command, columns, None)
    }

    /// Starts it with its output and errors on a terminal of so many columns, and an empty standard input.
    #[track_caller]
    pub fn watched(self, columns: u16) -> Terminal {
        Terminal::start(&self.command, columns, Some(Stdio::null()))
    }
}

//! A run that ended, and what it said.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// What a run left: its exit code, or the signal that ended it, and its output.
#[derive(Clone, PartialEq, Eq)]
pub struct Run {
    /// The arguments, for messages.
    pub arguments: String,
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// The number of the signal that ended it.
    pub signal: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to standard error.
    pub stderr: Vec<u8>,
    /// How long it took.
    pub took: Duration,
}

impl Run {
    /// Asserts that it ended with exit code 0.
    #[track_caller]
    pub fn ok(self) -> Run {
        assert!(self.code == Some(0), "should have ended well\n{self:?}");
        self
    }

    /// Asserts that it ended with that exit code.
    #[track_caller]
    pub fn fails(self, code: i32) -> Run {
        assert!(self.code == Some(code), "should have ended with exit code {code}\n{self:?}");
        assert!(!self.err().contains("panicked at"), "panicked\n{self:?}");
        self
    }

    /// Standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("not JSON: {error}\n{self:?}"))
    }

    /// Standard output as one JSON document a line.
    #[track_caller]
    pub fn jsonl(&self) -> Vec<Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("not JSON: {error}: {line}\n{self:?}"))
        };
        self.text().lines().map(parse).collect()
    }

    /// Standard output, which must be UTF-8.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone()).unwrap_or_else(|_| panic!("standard output is not UTF-8\n{self:?}"))
    }

    /// Standard error, which must be UTF-8.
    #[track_caller]
    pub fn err(&self) -> String {
        String::from_utf8(self.stderr.clone()).unwrap_or_else(|_| panic!("standard error is not UTF-8\n{self:?}"))
    }
}

impl fmt::Debug for Run {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "$ hookctl {}", self.arguments)?;
        match (self.code, self.signal) {
            (Some(code), _) => writeln!(formatter, "exit code {code} after {:?}", self.took)?,
            (None, signal) => writeln!(formatter, "ended by signal {signal:?} after {:?}", self.took)?,
        }
        writeln!(formatter, "--- stdout\n{}", String::from_utf8_lossy(&self.stdout))?;
        write!(formatter, "--- stderr\n{}", String::from_utf8_lossy(&self.stderr))
    }
}

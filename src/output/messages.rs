//! Messages on stderr: notices, warnings, errors and the log.

use std::io::Write as _;

use serde::Serialize;

use super::escape::escape;
use super::{Format, Meaning, Output, json, log_line};
use crate::error::Failure;
use crate::log::{self, Entry, Field, Level};

impl Output {
    /// Starts to write the log to stderr, at the level of `-v`.
    pub fn start_log(&self) {
        let (clock, is_json) = (self.settings.clock, self.settings.logs_json);
        let level = match self.settings.verbose {
            0 => return,
            _ if self.settings.quiet => return,
            1 => Level::Info,
            2.. => Level::Debug,
        };
        log::start(level, move |entry| log_line::write(entry, clock.now(), is_json));
    }

    /// Starts to log each attempt, also without `-v`.
    pub fn log_attempts(&mut self) {
        self.settings.verbose = self.settings.verbose.max(1);
        self.start_log();
    }

    /// Writes a line that scripts may wait for, also with --quiet.
    pub fn announce(&mut self, text: &str) {
        self.say(Level::Info, text);
    }

    /// A line that begins with `note:`, unless --quiet.
    pub fn notice(&mut self, text: &str) {
        if !self.settings.quiet {
            self.say(Level::Notice, text);
        }
    }

    /// A line that begins with `warning:`, also with --quiet: input was rejected.
    pub fn alarm(&mut self, text: &str) {
        self.say(Level::Warning, text);
    }

    /// A line that begins with `warning:`, unless --quiet.
    pub fn warning(&mut self, text: &str) {
        if !self.settings.quiet {
            self.alarm(text);
        }
    }

    /// The result of a run in one line, unless --quiet.
    pub fn summary(&mut self, text: &str) {
        if !self.settings.quiet {
            self.say(Level::Info, text);
        }
    }

    /// A line that is shown if `-v` was given at least `level` times.
    pub fn diagnostic(&mut self, level: u8, text: &str) {
        if !self.settings.quiet && self.settings.verbose >= level {
            self.say(Level::Debug, text);
        }
    }

    /// Reports a failure: as text, or as one JSON object if the data or the log is JSON.
    pub fn error(&mut self, failure: &Failure) {
        if matches!(self.settings.format, Format::Json | Format::Jsonl) {
            let mut line = Vec::new();
            let object = std::collections::BTreeMap::from([("error", ErrorObject::of(failure))]);
            json::compact(&mut line, &object).expect("texts and numbers are JSON");
            line.push(b'\n');
            return self.tell(&line);
        }
        let hint = failure.hint.as_deref();
        if self.is_log_json() {
            let fields: Vec<_> = hint.into_iter().map(|hint| ("hint", Field::Text(hint))).collect();
            return self.log(&Entry { level: Level::Error, message: &failure.message, fields: &fields });
        }
        self.say(Level::Error, &failure.message);
        if let Some(hint) = hint {
            self.line_with("hint: ", Meaning::Id, hint);
        }
    }

    fn say(&mut self, level: Level, text: &str) {
        if self.is_log_json() {
            return self.log(&Entry { level, message: text, fields: &[] });
        }
        let (prefix, meaning) = match level {
            Level::Error => ("error: ", Meaning::Bad),
            Level::Warning => ("warning: ", Meaning::Warn),
            Level::Notice => ("note: ", Meaning::Id),
            Level::Info => ("", Meaning::Plain),
            Level::Debug => ("debug: ", Meaning::Dim),
        };
        self.line_with(prefix, meaning, text);
    }

    fn is_log_json(&self) -> bool {
        self.settings.logs_json && self.settings.verbose > 0
    }

    fn log(&mut self, entry: &Entry<'_>) {
        self.tell(&log_line::json_line(entry, self.settings.clock.now()));
    }

    fn line_with(&mut self, prefix: &str, meaning: Meaning, text: &str) {
        let line = format!("{}{}\n", meaning.paint(prefix, self.stderr_color), escape(text));
        self.tell(line.as_bytes());
    }

    /// Writes to stderr, above a progress bar and after the data so far. An error is ignored: it could not be reported.
    pub(super) fn tell(&mut self, line: &[u8]) {
        let mut write = || {
            let _ = self.stdout.flush();
            let _ = self.stderr.write_all(line);
        };
        match &self.bar {
            Some(bar) if !bar.is_finished() => bar.suspend(write),
            _ => write(),
        }
    }
}

#[derive(Serialize)]
struct ErrorObject<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    exit_code: u8,
}

impl ErrorObject<'_> {
    fn of(failure: &Failure) -> ErrorObject<'_> {
        let Failure { kind, message, hint } = failure;
        ErrorObject { code: kind.code(), message, hint: hint.as_deref(), exit_code: kind.exit().code() }
    }
}

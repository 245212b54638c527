//! The command of --duplicate-check.

use std::process::{Command, Stdio};

use crate::error::{Failure, Kind};

/// The variable that holds the id of the event.
const EVENT_ID: &str = "HOOKCTL_EVENT_ID";

/// Runs the command in a shell: whether it exited with 0, and how it ended.
pub fn run(command: &str, event_id: &str) -> Result<(bool, String), Failure> {
    let (shell, option) = if cfg!(windows) { ("cmd", "/C") } else { ("sh", "-c") };
    let mut process = Command::new(shell);
    process.args([option, command]).env(EVENT_ID, event_id).stdin(Stdio::null());
    let output = process
        .output()
        .map_err(|error| Failure::new(Kind::Failed, format!("--duplicate-check: cannot run {shell}: {error}")))?;
    let said = [&output.stderr, &output.stdout].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let first = said.iter().flat_map(|text| text.lines()).find(|line| !line.trim().is_empty());
    let ended = match output.status.code() {
        Some(code) => format!("the command exited with {code}"),
        None => "a signal ended the command".to_owned(),
    };
    let said = first.filter(|_| !output.status.success()).map_or(ended.clone(), |line| format!("{ended}: {line}"));
    Ok((output.status.success(), said))
}

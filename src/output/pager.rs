//! The pager.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Shows the text in a pager, a command of the shell; false if it cannot be started.
pub fn show(pager: &str, text: &str) -> bool {
    // As git does: less quits if the text fits on one screen, shows colours, and leaves the text on the screen.
    let script = format!("export LESS=\"${{LESS-FRX}}\"; {pager}");
    let Ok(mut child) = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // The user may quit the pager early.
        let _ = stdin.write_all(text.as_bytes());
    }
    // The shell exits with 127 if there is no such program, and 126 if it cannot be run.
    child.wait().is_ok_and(|status| !matches!(status.code(), Some(126 | 127)))
}

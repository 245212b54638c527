//! A program that shows a long text page by page.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// Shows the text by that program, a command of the shell; false where it does not start, and nothing was shown.
pub fn show(pager: &str, text: &str) -> bool {
    // As git has it: less ends where all fits on one screen, shows colours, and leaves the text on the screen.
    let script = format!("export LESS=\"${{LESS-FRX}}\"; {pager}");
    let Ok(mut child) = Command::new("sh").args(["-c", &script]).stdin(Stdio::piped()).spawn() else { return false };
    if let Some(mut stdin) = child.stdin.take() {
        // Whoever leaves the pager early has seen enough.
        let _ = stdin.write_all(text.as_bytes());
    }
    // 127 and 126 are the shell's: there is no such program, or it cannot be run.
    child.wait().is_ok_and(|status| !matches!(status.code(), Some(126 | 127)))
}

//! Programs that single tests drive beside the binary, and that not every machine has.

use std::process::{Command, Stdio};

/// The first of these programs that is installed. Where none is, a note says what the test that asks is skipped for.
#[expect(clippy::print_stderr, reason = "a skipped test that says nothing looks like one that passed")]
pub fn installed(names: &[&'static str], package: &str) -> Option<&'static str> {
    let runs = |name: &&&str| {
        let version = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    let found = names.iter().find(runs).copied();
    if found.is_none() {
        eprintln!("skipped: {} is not installed; Debian's package {package} has it", names[0]);
    }
    found
}

//! Programs that single tests drive beside the binary, and that not every machine has.

use std::process::{Command, Stdio};

/// The first of these programs that is installed. Where none is, a note says what the test that asks is skipped for; but
/// where the project is checked (`CI=true`, see `.ci/run`) all are there, and the test fails.
#[expect(clippy::print_stderr, reason = "a skipped test that says nothing looks like one that passed")]
#[track_caller]
pub fn installed(names: &[&'static str], package: &str) -> Option<&'static str> {
    let starts = |name: &&&str| {
        let mut program = Command::new(name);
        // Not each knows the option; that it can be started is enough.
        program.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let found = names.iter().find(starts).copied();
    if found.is_none() {
        let is_checked = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!is_checked, "{} is not installed; .ci/run should have done so", names[0]);
        eprintln!("skipped: {} is not installed; Debian's package {package} has it", names[0]);
    }
    found
}

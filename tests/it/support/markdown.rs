//! What a document shows in its code blocks, and how its commands are run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Child, Run, TestEnv};

/// How long all commands of a document may take together.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// One code block of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The word after the fence.
    pub language: String,
    /// The last line of text before it.
    pub before: String,
    /// The heading of the section it is in.
    pub section: String,
    /// What is in it.
    pub code: String,
}

/// The code blocks of a document, in order.
pub fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut before, mut section) = (String::new(), String::new());
    let mut open: Option<Block> = None;
    for (line, content) in (1..).zip(text.lines()) {
        match (&mut open, content.strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => block.code += &format!("{content}\n"),
            (None, Some(language)) => {
                let (language, before, section) = (language.to_owned(), before.clone(), section.clone());
                open = Some(Block { line, language, before, section, code: String::new() });
            }
            (None, None) if content.starts_with('#') => content.trim_start_matches(['#', ' ']).clone_into(&mut section),
            (None, None) if !content.is_empty() => content.clone_into(&mut before),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a code block is not closed");
    blocks
}

/// The commands of a crontab without their times, and without the lines that set variables; a crontab writes `%` as `\%`.
pub fn crontab(code: &str) -> Vec<String> {
    let command = |line: &str| line.splitn(6, ' ').nth(5).expect("five fields and a command").replace("\\%", "%");
    let sets_variable = |line: &&str| line.split_once('=').is_some_and(|(name, _)| !name.contains([' ', '*']));
    code.lines().filter(|line| !sets_variable(line)).map(command).collect()
}

/// A shell that runs a script in the environment's folder, with the binary under test as `hookctl`, and fails with the first
/// command that does.
pub fn shell(env: &TestEnv, script: &str) -> Child {
    let binaries = Path::new(env!("CARGO_BIN_EXE_hookctl")).parent().unwrap();
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).env_clear().current_dir(env.path()).stdout(Stdio::piped());
    command.env("PATH", format!("{}:{}", binaries.display(), std::env::var("PATH").unwrap()));
    command.env("HOME", env.path()).env("USER", "tester");
    Child::start(command, Vec::new())
}

/// Runs a script in such a shell to its end.
#[track_caller]
pub fn run(env: &TestEnv, script: &str) -> Run {
    shell(env, script).wait_timeout(TIME_LIMIT)
}

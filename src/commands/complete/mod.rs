//! `hookctl complete`, which the scripts in completions/ call: the candidates at the cursor.

mod live;
mod word;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use clap_complete::CompletionCandidate;
use clap_complete::engine::complete;

use super::completions::Shell;
use super::help::GUIDES;
use crate::context::Context;
use crate::output::is_unsafe;

/// Answer a shell that completes a line
#[derive(Args, Debug)]
pub struct Complete {
    /// The shell
    shell: Shell,
    /// The words of the line up to the cursor, hookctl first
    #[arg(last = true)]
    words: Vec<OsString>,
}

impl Complete {
    /// Writes no error messages, which would disturb the prompt: after an error there are no candidates.
    pub fn run(self, context: &mut Context, tree: clap::Command) -> Result<()> {
        let typed = self.words.last().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
        let mut words: Vec<OsString> = self.words.into_iter().map(|word| word::meant(self.shell, word)).collect();
        // `help` is followed by the words of a command.
        let is_help = words.len() > 2 && words[1] == OsStr::new("help");
        if is_help {
            words.remove(1);
        }
        if let Some(named) = database_of(&words) {
            context.database = Some(named);
        }
        let database = context.place().ok();
        let mut command = live::offered(tree, database);
        let last = words.len().saturating_sub(1);
        let mut found = complete(&mut command, words, last, None).unwrap_or_default();
        let is_switch = |candidate: &CompletionCandidate| candidate.get_id().is_some_and(|id| id.starts_with("arg::"));
        // Options are offered after a dash, or if there is nothing else.
        if !typed.starts_with('-') && !found.iter().all(is_switch) {
            found.retain(|candidate| !is_switch(candidate));
        }
        if is_help {
            found.retain(|candidate| candidate.get_id().is_some_and(|id| id.starts_with("command::")));
            found.extend(guides(&typed).filter(|_| last == 1));
        }
        for candidate in &found {
            if let Some(line) = line(self.shell, candidate, &typed) {
                context.out.bytes(line.as_bytes())?;
            }
        }
        Ok(())
    }
}

fn guides(typed: &str) -> impl Iterator<Item = CompletionCandidate> {
    let meant = GUIDES.iter().filter(move |guide| guide.name.starts_with(typed));
    meant.map(|guide| CompletionCandidate::new(guide.name).help(Some(guide.about.into())))
}

/// A candidate as the shell's script reads it. Values with unsafe characters are left out.
fn line(shell: Shell, candidate: &CompletionCandidate, typed: &str) -> Option<String> {
    let value = candidate.get_value().to_str().filter(|value| !value.contains(is_unsafe))?;
    let help = candidate.get_help().map(|help| crate::output::escape(first_line(&help.to_string())).into_owned());
    Some(word::line(shell, value, help.as_deref(), typed))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// The value of `--db` on the line.
fn database_of(words: &[OsString]) -> Option<PathBuf> {
    let mut words = words.iter();
    while let Some(word) = words.next() {
        if word == OsStr::new("--db") {
            return words.next().map(PathBuf::from);
        }
        if let Some(path) = word.to_str().and_then(|word| word.strip_prefix("--db=")) {
            return Some(PathBuf::from(path));
        }
    }
    None
}

//! `hookctl completions`

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::context::Context;

/// Print the completion script of a shell
///
/// Packages put it where the shell looks; by hand, load it from the shell's start-up file as below. The script asks hookctl
/// itself, so it also completes what your database holds: webhooks, event types, ids.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl completions bash > hookctl.bash  # in ~/.bashrc: source hookctl.bash
  hookctl completions zsh > _hookctl       # in a folder of $fpath
  hookctl completions fish > hookctl.fish  # in ~/.config/fish/completions")]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    Bash,
    Zsh,
    Fish,
    Elvish,
    Powershell,
}

impl Shell {
    /// Its script, which packages install as a file.
    fn script(self) -> &'static str {
        match self {
            Shell::Bash => include_str!("../../completions/hookctl.bash"),
            Shell::Zsh => include_str!("../../completions/_hookctl"),
            Shell::Fish => include_str!("../../completions/hookctl.fish"),
            Shell::Elvish => include_str!("../../completions/hookctl.elv"),
            Shell::Powershell => include_str!("../../completions/_hookctl.ps1"),
        }
    }
}

impl Completions {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.out.plain(self.shell.script().as_bytes())
    }
}

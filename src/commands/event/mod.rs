//! `hookctl event`: what was emitted.

pub mod list;
pub mod resend;
pub mod show;
pub mod view;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl event list --since 1d")]
pub enum Command {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Resend(resend::Resend),
}

impl Command {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::List(command) => command.run(context),
            Command::Show(command) => command.run(context),
            Command::Resend(command) => command.run(context),
        }
    }
}

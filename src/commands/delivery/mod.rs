//! `hookctl delivery`: the log, and what can be done about what it says.

pub mod cancel;
pub mod filter;
pub mod list;
pub mod prune;
pub mod request;
pub mod retry;
pub mod show;
pub mod tail;
pub mod view;
pub mod waiting;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl delivery list --status failed  # what was not delivered
  hookctl delivery show 42               # and why")]
pub enum Command {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Retry(retry::Retry),
    Tail(tail::Tail),
    Cancel(cancel::Cancel),
    Prune(prune::Prune),
}

impl Command {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::List(command) => command.run(context),
            Command::Show(command) => command.run(context),
            Command::Retry(command) => command.run(context),
            Command::Tail(command) => command.run(context),
            Command::Cancel(command) => command.run(context),
            Command::Prune(command) => command.run(context),
        }
    }
}

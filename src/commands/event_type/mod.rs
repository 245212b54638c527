//! `hookctl event-type`: the catalogue of event types.

pub mod add;
pub mod contract;
pub mod list;
mod not_found;
pub mod remove;
pub mod show;
pub mod view;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};

/// The commands about event types.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl event-type list
  hookctl event-type show invoice.paid  # with an example payload
  hookctl event-type add order.shipped --schema order.json")]
pub enum Command {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Add(add::Add),
    #[command(visible_alias = "rm")]
    Remove(remove::Remove),
}

impl Command {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::List(command) => command.run(context),
            Command::Show(command) => command.run(context),
            Command::Add(command) => command.run(context),
            Command::Remove(command) => command.run(context),
        }
    }
}

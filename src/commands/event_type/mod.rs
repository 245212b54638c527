//! `hookctl event-type`: the catalogue of event types.

pub mod add;
pub mod contract;
pub mod list;
mod not_found;
pub mod remove;
pub mod show;
pub mod view;

use clap::Subcommand;

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

run_chosen!(List, Show, Add, Remove);

//! `hookctl event-type`: the catalogue of event types.

pub mod add;
pub mod list;
pub mod remove;
pub mod show;
pub mod view;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};
use crate::domain::event_type::nearest;
use crate::error::{Failure, Kind};
use crate::store::EventTypeRow;

/// The commands about event types.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl event-type list
  hookctl event-type show invoice.paid  # with an example payload")]
pub enum Command {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Add(add::Add),
    #[command(visible_alias = "rm")]
    Remove(remove::Remove),
}

impl Command {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::List(command) => command.run(context),
            Command::Show(command) => command.run(context),
            Command::Add(command) => command.run(context),
            Command::Remove(command) => command.run(context),
        }
    }
}

/// A type that the catalogue does not have, with the nearest that it has.
fn not_found(event_type: &str, known: &[EventTypeRow]) -> Failure {
    let hint = match nearest(event_type, known.iter().map(|known| known.name.as_str())) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => "see `hookctl event-type list`".to_owned(),
    };
    Failure::new(Kind::NotFound, format!("no event type '{event_type}' in the catalogue")).hint(hint)
}

//! `hookctl event-type add`

use anyhow::Result;
use clap::Args;

use super::view::EventTypeView;
use crate::context::{Context, Exit};
use crate::domain::event_type::{self, check_description};
use crate::error::{Failure, Kind};
use crate::store::EventTypeRow;

/// Add an event type of your own
///
/// Adding one again changes its description.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event-type add order.shipped --description 'An order was shipped'

Exit status:
  6  the event type is built in")]
pub struct Add {
    /// The event type, such as order.shipped
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// What it means, for people
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

impl Add {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        event_type::check(&self.event_type).map_err(|error| Failure::option("TYPE", error))?;
        check_description(&self.description)
            .map_err(|error| Failure::option("--description", format!("the description {error}")))?;
        let store = context.store_to_write()?;
        let is_added = store.transaction(|| store.add_event_type(&self.event_type, &self.description))?;
        if !is_added {
            return Err(
                Failure::new(Kind::Conflict, format!("the event type '{}' is built in", self.event_type)).into()
            );
        }
        let row = EventTypeRow { name: self.event_type, description: self.description, is_builtin: false };
        context.out.page(&EventTypeView::from(row))?;
        Ok(Exit::DONE)
    }
}

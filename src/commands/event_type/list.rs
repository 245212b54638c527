//! `hookctl event-type list`

use anyhow::Result;
use clap::Args;

use super::view::EventTypeView;
use crate::context::Context;

/// List the catalogue
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event-type list
  hookctl event-type list -o csv")]
pub struct List {}

impl List {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let rows = store.event_types()?.into_iter().map(|row| Ok(EventTypeView::from(row)));
        context.out.list(rows, "the catalogue is empty")
    }
}

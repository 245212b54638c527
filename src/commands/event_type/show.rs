//! `hookctl event-type show`

use anyhow::Result;
use clap::Args;
use serde_json::value::RawValue;

use super::contract::own_example;
use super::not_found::not_found;
use super::view::{EventTypePage, EventTypeView};
use crate::commands::candidates::Candidates;
use crate::context::Context;
use crate::domain::{event_type, example};
use crate::store::EventTypeRow;

/// Show one event type, who subscribes to it, an example payload, and its schema
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event-type show invoice.paid")]
pub struct Show {
    /// The event type
    #[arg(value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: String,
}

impl Show {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let known = store.event_types()?;
        let Some(row) = known.iter().find(|known| known.name == self.event_type) else {
            return Err(not_found(&self.event_type, &known).into());
        };
        let webhooks = store
            .subscribers()?
            .into_iter()
            .filter(|webhook| event_type::wants(&webhook.events, &row.name))
            .map(|webhook| webhook.name)
            .collect();
        let page = EventTypePage {
            example: example(row, context).transpose()?,
            schema: row.schema.clone().map(RawValue::from_string).transpose()?,
            event_type: EventTypeView::from(row.clone()),
            webhooks,
        };
        context.out.page(&page)
    }
}

/// The envelope that `emit --example` would make, if any.
fn example(row: &EventTypeRow, context: &Context) -> Option<Result<Box<RawValue>>> {
    let own = own_example(Some(row.clone())).ok()?;
    let content = example::content(&row.name, own.as_deref());
    let envelope = content.envelope("evt_01JD0000000000000000000000", &row.name, context.now());
    Some(String::from_utf8(envelope).map_err(Into::into).and_then(|text| Ok(RawValue::from_string(text)?)))
}

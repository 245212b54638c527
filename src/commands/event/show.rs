//! `hookctl event show`

use anyhow::Result;
use clap::Args;

use super::view::{EventPage, EventView};
use crate::commands::candidates::Candidates;
use crate::commands::delivery::view::{Bytes, DeliveryView};
use crate::context::{Context, Exit};
use crate::domain::event::payload_hash;

/// Show one event with its payload and its deliveries
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event show evt_01JD0000000000000000000000
  hookctl event show order-7-paid --payload > body.json  # the exact bytes")]
pub struct Show {
    /// Its event id
    #[arg(value_name = "ID", add = Candidates::Events)]
    id: String,
    /// Write the payload's bytes and nothing else
    #[arg(long)]
    payload: bool,
}

impl Show {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_read()?;
        let event = context.event(&store, &self.id)?;
        let payload = store.payload(event.id)?;
        if self.payload {
            context.out.bytes(&payload)?;
            return Ok(Exit::DONE);
        }
        let deliveries = store.deliveries_of_event(event.id)?.into_iter().map(DeliveryView::from).collect();
        let page = EventPage {
            event: EventView::from(event),
            payload_hash: payload_hash(&payload),
            payload: Bytes(payload),
            deliveries,
        };
        context.out.page(&page)?;
        Ok(Exit::DONE)
    }
}

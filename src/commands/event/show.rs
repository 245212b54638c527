//! `hookctl event show`

use anyhow::Result;
use clap::Args;

use super::view::EventPage;
use crate::commands::candidates::Candidates;
use crate::commands::delivery::request::{Bytes, Pairs};
use crate::context::Context;
use crate::domain::event::payload_hash;
use crate::error::{Failure, Kind};

/// Show one event with its payload and its deliveries
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event show evt_01JD0000000000000000000000
  hookctl event show order-7-paid --payload > body.json  # the exact bytes")]
pub struct Show {
    /// Its event id
    #[arg(value_name = "ID", add = Candidates::Events)]
    id: String,
    /// Write the payload's bytes and nothing else; at a terminal control characters are escaped
    #[arg(long)]
    payload: bool,
}

impl Show {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let event = context.event(&store, &self.id)?;
        let payload = store.payload(event.id)?;
        if self.payload {
            let payload = payload.ok_or_else(|| pruned(&self.id))?;
            context.out.payload(&payload)?;
            return Ok(());
        }
        let deliveries = store.deliveries_of_event(event.id)?;
        let headers = store.event_headers(event.id)?;
        let headers = headers.masked().into_iter().map(|(name, value)| (name.to_owned(), value.into_owned()));
        let page = EventPage {
            event,
            payload_hash: payload.as_deref().map(payload_hash),
            payload: payload.map(Bytes),
            headers: Pairs(headers.collect()),
            deliveries,
        };
        context.out.page(&page)
    }
}

/// The failure for an event whose payload was pruned.
pub fn pruned(event_id: &str) -> Failure {
    Failure::new(Kind::NotFound, format!("the payload of event '{event_id}' was pruned; only its id is remembered"))
        .hint("`hookctl db policy` says how long the log is kept")
}

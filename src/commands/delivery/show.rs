//! `hookctl delivery show`

use anyhow::Result;
use clap::Args;

use super::view::DeliveryPage;
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::context::Context;

/// Show one delivery: payload, request, and each attempt with its response
///
/// The request is that of the last attempt, made with the webhook's current settings and secrets. Values of headers
/// that usually carry credentials, and of the URL's query, are masked. A body made by a transform is shown as `body`,
/// beside the event's payload. For a delivery that is not finished it says what it waits for, in JSON as
/// `waiting.for`: attempt, enable, resume, receiver, breaker, retry, order or drain.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery show 42
  hookctl delivery show 42 -o json | jq '.attempts[].response_status_code'")]
pub struct Show {
    /// Its id
    #[arg(value_name = "ID", add = Candidates::Deliveries, value_parser = arguments::id)]
    id: i64,
}

impl Show {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let page = DeliveryPage::load(context, &store, self.id)?;
        context.out.page(&page)
    }
}

//! `hookctl event-type remove`

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::not_found::not_found;
use crate::commands::candidates::Candidates;
use crate::context::Context;
use crate::error::Failure;

/// Remove an event type of your own
///
/// Webhooks that subscribe to it, and events of it, stay as they are. Built-in types cannot be removed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event-type remove order.shipped")]
pub struct Remove {
    /// The event type
    #[arg(value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: String,
}

impl Remove {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_write()?;
        let is_removed = store.transaction(|| store.remove_event_type(&self.event_type))?;
        if is_removed {
            let line = format!("'{}' is removed; `hookctl event-type add` brings it back", self.event_type);
            context.out.report(&json!({ "name": self.event_type, "removed": true }), &line)?;
            return Ok(());
        }
        if store.knows_event_type(&self.event_type)? {
            return Err(
                Failure::invalid(format!("TYPE: '{}' is built in and cannot be removed", self.event_type)).into()
            );
        }
        Err(not_found(&self.event_type, &store.event_types()?).into())
    }
}

//! `hookctl webhook pause`

use anyhow::Result;
use clap::Args;

use super::state;
use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::Context;

/// Stop sending to webhooks; new events are queued for them
///
/// For maintenance of a receiver, or while a leaked secret is replaced: nothing is sent until `webhook resume`, and nothing is
/// missed. `webhook disable` is for a receiver that is to get no more events.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook pause crm
  hookctl webhook pause crm && hookctl webhook resume crm")]
pub struct Pause {
    /// Their names or ids
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks, required = true)]
    webhooks: Vec<String>,
}

impl Pause {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_write()?;
        let now = context.now();
        let views = state::change(context, &store, &self.webhooks, |webhook| {
            state::refuse_disabled(webhook, ": nothing is sent to it already")?;
            Ok(store.pause_webhook(webhook.id, now)?)
        })?;
        let waiting = state::print(context, views)?;
        if waiting > 0 {
            let waits = counted(waiting, "delivery waits", "deliveries wait");
            context.out.notice(&format!("{waits} until `hookctl webhook resume`"));
        }
        Ok(())
    }
}

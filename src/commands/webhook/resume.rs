//! `hookctl webhook resume`

use anyhow::Result;
use clap::Args;

use super::state;
use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::Context;

/// Send to paused webhooks again
///
/// Waiting deliveries are sent by the next drain. A webhook that is disabled is made active by `webhook enable`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook resume crm && hookctl drain -w crm")]
pub struct Resume {
    /// Their names or ids
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks, required = true)]
    webhooks: Vec<String>,
}

impl Resume {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_write()?;
        let now = context.now();
        let views = state::change(context, &store, &self.webhooks, |webhook| {
            state::refuse_disabled(webhook, ", not paused")?;
            Ok(store.resume_webhook(webhook.id, now)?)
        })?;
        let waiting = state::print(context, views)?;
        if waiting > 0 {
            let goes = counted(waiting, "delivery goes out", "deliveries go out");
            context.out.notice(&format!("{goes} with the next `hookctl drain`"));
        }
        Ok(())
    }
}

//! `hookctl webhook show`

use anyhow::Result;
use clap::Args;

use super::view::WebhookView;
use crate::commands::candidates::Candidates;
use crate::context::Context;

/// Show one webhook with its settings, state and counters
///
/// The secret is not shown; see `hookctl webhook secret reveal`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook show crm
  hookctl webhook show 1 -o json")]
pub struct Show {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
}

impl Show {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let webhook = context.webhook(&store, &self.webhook)?;
        let waiting = store.count_open(webhook.id)?;
        let mut view = WebhookView::new(&webhook, waiting, context.now());
        view.previous_secret_expires_at = store.overlap_end(webhook.id, context.now())?;
        context.out.page(&view)
    }
}

//! `hookctl webhook secret expire`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::candidates::Candidates;
use crate::context::Context;
use crate::output::{Page, Text};

/// End the overlap of a rotation: old secrets are deleted
///
/// From now on only the new secret signs and counts.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook secret expire crm")]
pub struct Expire {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
}

impl Expire {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_write()?;
        let now = context.now();
        let (webhook, expired) = store.transaction(|| {
            let webhook = context.webhook_to_change(&store, &self.webhook)?;
            let expired = store.expire_secrets(webhook.id, now)?;
            anyhow::Ok((webhook, expired))
        })?;
        context.erase_deleted(&store);
        context.out.page(&ExpireView { webhook: webhook.settings.name, webhook_id: webhook.id, expired })
    }
}

#[derive(Debug, Serialize)]
struct ExpireView {
    webhook: String,
    webhook_id: i64,
    expired: usize,
}

impl Page for ExpireView {
    fn describe(&self, text: &mut Text) {
        text.line(match self.expired {
            0 => format!("{}: there was no old secret", self.webhook),
            1 => format!("{}: the old secret is deleted", self.webhook),
            count => format!("{}: {count} old secrets are deleted", self.webhook),
        });
    }
}

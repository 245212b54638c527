//! `hookctl webhook delete`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::candidates::Candidates;
use crate::commands::wording::{counted, listed};
use crate::context::Context;
use crate::output::{Cell, Look, Row};
use crate::store::DeliveryFilter;

/// Delete webhooks with their deliveries and attempts
///
/// Asks first, or needs --yes. Events that only these webhooks had are deleted too.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook delete crm                # asks first
  hookctl webhook delete old-1 old-2 --yes  # in a script")]
pub struct Delete {
    /// Their names or ids
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks, required = true)]
    webhooks: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Deleted {
    id: i64,
    name: String,
    deleted_deliveries: u64,
    deleted_events: u64,
}

impl Row for Deleted {
    const COLUMNS: &'static [&'static str] = &["id", "name", "deliveries", "events"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::id(&self.name),
            Cell::number(self.deleted_deliveries),
            Cell::number(self.deleted_events),
        ]
    }
}

impl Delete {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        let store = context.store_to_write()?;
        let mut webhooks = Vec::new();
        for name in &self.webhooks {
            let webhook = context.webhook(&store, name)?;
            if !webhooks.iter().any(|(id, _)| *id == webhook.id) {
                webhooks.push((webhook.id, webhook.settings.name));
            }
        }
        let filter =
            DeliveryFilter { webhooks: webhooks.iter().map(|(id, _)| *id).collect(), ..DeliveryFilter::default() };
        let deliveries: u64 = store.count_deliveries_by_webhook(&filter)?.iter().map(|(_, count)| count).sum();
        let names: Vec<String> = webhooks.iter().map(|(_, name)| format!("'{name}'")).collect();
        let deliveries = counted(deliveries, "delivery", "deliveries");
        context
            .confirm(&format!("Delete {} with {deliveries}, and events that nobody else got?", listed(&names, 5)))?;
        let deleted = store.transaction(|| {
            let mut deleted = Vec::new();
            for (id, name) in webhooks {
                context.check_still_there(&store, id, &name)?;
                let removed = store.delete_webhook(id)?;
                deleted.push(Deleted {
                    id,
                    name,
                    deleted_deliveries: removed.deliveries,
                    deleted_events: removed.events,
                });
            }
            anyhow::Ok(deleted)
        })?;
        context.erase_deleted(&store);
        context.out.list(deleted.into_iter().map(Ok), "")
    }
}

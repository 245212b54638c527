//! `hookctl webhook disable`

use anyhow::Result;
use clap::Args;

use super::state::StateView;
use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::Context;
use crate::domain::delivery::Status;
use crate::domain::webhook::DISABLED_BY_HAND;
use crate::store::DeliveryFilter;

/// Stop deliveries to webhooks; waiting deliveries are kept, new events create none
///
/// Deliveries that a webhook already has are kept until it is enabled again. `webhook enable` says how many events it
/// missed and how to deliver them; a paused webhook misses none.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook disable crm
  hookctl webhook disable crm --cancel  # and drop what waits")]
pub struct Disable {
    /// Their names or ids
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks, required = true)]
    webhooks: Vec<String>,
    /// Cancel the deliveries that wait
    #[arg(long)]
    cancel: bool,
}

impl Disable {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_write()?;
        let now = context.now();
        let views =
            store.transaction(|| {
                let mut views = Vec::new();
                for name in &self.webhooks {
                    let id = context.webhook_to_change(&store, name)?.id;
                    store.disable_webhook(id, DISABLED_BY_HAND, now)?;
                    let mut cancelled = 0;
                    if self.cancel {
                        let waiting = DeliveryFilter {
                            webhooks: vec![id],
                            statuses: vec![Status::Pending, Status::Retrying],
                            ..DeliveryFilter::default()
                        };
                        cancelled = store.cancel_deliveries(&store.delivery_ids(&waiting)?)? as u64;
                    }
                    let waiting = store.count_open(id)?;
                    views.extend(store.webhook(id)?.map(|webhook| StateView {
                        cancelled_deliveries: cancelled,
                        ..StateView::new(&webhook, waiting)
                    }));
                }
                anyhow::Ok(views)
            })?;
        let waiting: u64 = views.iter().map(|view| view.waiting).sum();
        context.out.list(views.into_iter().map(Ok), "")?;
        if waiting > 0 {
            context.out.notice(&format!(
                "{} until `hookctl webhook enable`",
                counted(waiting, "delivery waits", "deliveries wait")
            ));
        }
        Ok(())
    }
}

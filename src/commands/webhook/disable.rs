//! `hookctl webhook disable`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::domain::webhook::{DISABLED_BY_HAND, Webhook};
use crate::output::{Cell, Look, Row};
use crate::store::DeliveryFilter;

/// Stop deliveries to webhooks; what is due waits
///
/// Events emitted from now on are not delivered to a disabled webhook; deliveries that it already has are kept until it is
/// enabled again.
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

/// A webhook's state after enable or disable.
#[derive(Debug, Serialize)]
pub struct StateView {
    id: i64,
    name: String,
    is_active: bool,
    disabled_reason: Option<String>,
    /// Deliveries that are not finished.
    pub waiting_deliveries: u64,
    cancelled_deliveries: u64,
}

impl StateView {
    /// The state of a webhook.
    pub fn new(webhook: &Webhook, waiting: u64, cancelled: u64) -> StateView {
        StateView {
            id: webhook.id,
            name: webhook.settings.name.clone(),
            is_active: webhook.health.is_active,
            disabled_reason: webhook.health.disabled_reason.clone(),
            waiting_deliveries: waiting,
            cancelled_deliveries: cancelled,
        }
    }
}

impl Row for StateView {
    const COLUMNS: &'static [&'static str] = &["id", "name", "state", "waiting", "cancelled"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::id(&self.name),
            if self.is_active { Cell::good("active") } else { Cell::bad("disabled") },
            Cell::number(self.waiting_deliveries),
            Cell::number(self.cancelled_deliveries),
        ]
    }
}

impl Disable {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_write()?;
        let now = context.now();
        let views = store.transaction(|| {
            let mut views = Vec::new();
            for id in context.webhook_ids(&store, &self.webhooks)? {
                store.disable_webhook(id, DISABLED_BY_HAND, now)?;
                let mut cancelled = 0;
                if self.cancel {
                    let waiting = DeliveryFilter {
                        webhooks: vec![id],
                        statuses: vec![
                            crate::domain::delivery::Status::Pending,
                            crate::domain::delivery::Status::Retrying,
                        ],
                        ..DeliveryFilter::default()
                    };
                    cancelled = store.cancel_deliveries(&store.delivery_ids(&waiting)?)? as u64;
                }
                let waiting = store.count_open(id)?;
                views.extend(store.webhook(id)?.map(|webhook| StateView::new(&webhook, waiting, cancelled)));
            }
            anyhow::Ok(views)
        })?;
        let waiting: u64 = views.iter().map(|view| view.waiting_deliveries).sum();
        context.out.list(views.into_iter().map(Ok), "")?;
        if waiting > 0 {
            context.out.notice(&format!(
                "{} until `hookctl webhook enable`",
                counted(waiting, "delivery waits", "deliveries wait")
            ));
        }
        Ok(Exit::DONE)
    }
}

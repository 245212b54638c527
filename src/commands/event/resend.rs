//! `hookctl event resend`

use anyhow::Result;
use clap::Args;

use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::emit::EmitView;
use crate::context::{Context, Exit};
use crate::delivery::{Engine, Matching, deliver_to};
use crate::store::{Store, StoreError};

/// Deliver an old event to webhooks that did not have it
///
/// Goes to every active webhook that wants the event now and has no delivery of it. Webhooks named with -w get it whatever
/// they subscribe to; one that had it already gets the same delivery again. Exits with 5 when an attempt failed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event resend order-7-paid
  hookctl event resend order-7-paid -w crm --enqueue

Exit status:
  5  not every delivery ended in success")]
pub struct Resend {
    /// Its event id
    #[arg(value_name = "ID", add = Candidates::Events)]
    id: String,
    /// To this webhook [repeatable]
    #[arg(short, long = "webhook", value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhooks: Vec<String>,
    /// Store only; the next drain sends
    #[arg(long)]
    enqueue: bool,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = arguments::concurrency)]
    concurrency: usize,
}

impl Resend {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_write()?;
        let event = context.event(&store, &self.id)?;
        let named = context.webhook_ids(&store, &self.webhooks)?;
        let now = context.now();
        let deliveries = store.transaction(|| {
            let mut deliveries = Vec::new();
            for webhook in store.subscribers()? {
                let is_wanted = match named.is_empty() {
                    true => Matching::of(&webhook, &event.event_type, event.owner.as_deref(), &[]) == Matching::Wanted,
                    false => named.contains(&webhook.id),
                };
                if !is_wanted {
                    continue;
                }
                let delivery = match deliver_to(&store, event.id, &event.event_type, &webhook, now)? {
                    Some(delivery) => Some(delivery),
                    None if named.is_empty() => None,
                    None => again(&store, event.id, webhook.id, now)?,
                };
                deliveries.extend(delivery.map(|delivery| (webhook.id, delivery)));
            }
            Ok::<_, StoreError>(deliveries)
        })?;
        if deliveries.is_empty() {
            context
                .out
                .notice("every webhook that wants this event has a delivery of it; see `hookctl delivery retry`");
        }
        let mut is_delivered = true;
        let mut stopped = None;
        if !self.enqueue && !deliveries.is_empty() {
            let stop = context.stop_on_signals()?;
            let setup = context.engine_setup(self.concurrency.min(deliveries.len()), &stop);
            let mut engine = Engine::new(&store, setup, context.random()?);
            engine.add_deliveries(deliveries);
            let summary = engine.run(|_| ())?;
            is_delivered = summary.retrying + summary.failed == 0;
            stopped = stop.exit();
        }
        context.out.outcome(&EmitView::load(&store, event.id, false)?)?;
        Ok(match stopped {
            Some(exit) => exit,
            None if is_delivered => Exit::DONE,
            None => Exit::NOT_DELIVERED,
        })
    }
}

/// Makes the delivery that a webhook has of an event due again.
fn again(
    store: &Store,
    event_row: i64,
    webhook_id: i64,
    now: crate::domain::time::Timestamp,
) -> Result<Option<i64>, StoreError> {
    let known = store.deliveries_of_event(event_row)?.into_iter().find(|delivery| delivery.webhook_id == webhook_id);
    match known {
        Some(delivery) => Ok(store.retry_deliveries(&[delivery.id], now)?.first().map(|(_, id)| *id)),
        None => Ok(None),
    }
}

//! `hookctl event resend`

use anyhow::Result;
use clap::Args;

use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::emit::EmitView;
use crate::commands::sending::{self, Sending, broken_off};
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::delivery::{Matching, new_delivery};
use crate::domain::time::Timestamp;
use crate::store::{DeliveryRow, NewDelivery, Store, StoreError, Subscriber};

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
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_write()?;
        let event = context.event(&store, &self.id)?;
        let named = context.webhook_ids(&store, &self.webhooks)?;
        let now = context.now();
        let deliveries = store.transaction(|| {
            let is_wanted = |webhook: &&Subscriber| match named.is_empty() {
                true => Matching::of(webhook, &event.event_type, event.owner.as_deref(), &[]) == Matching::Wanted,
                false => named.contains(&webhook.id),
            };
            let new: Vec<NewDelivery> = store.subscribers()?.iter().filter(is_wanted).map(new_delivery).collect();
            let mut deliveries = store.deliver(event.id, &event.event_type, &new, now)?;
            if !named.is_empty() {
                deliveries.extend(again(&store, event.id, &named, &deliveries, now)?);
            }
            Ok::<_, StoreError>(deliveries)
        })?;
        if deliveries.is_empty() {
            context
                .out
                .notice("every webhook that wants this event has a delivery of it; see `hookctl delivery retry`");
        }
        if self.enqueue || deliveries.is_empty() {
            context.out.outcome(&EmitView::load(&store, event.id, false)?)?;
            return Ok(Exit::DONE);
        }
        let count = counted(deliveries.len() as u64, "delivery of it is", "deliveries of it are");
        let options = sending::options(context, self.concurrency.min(deliveries.len()))?;
        let mut sending = Sending::new(context, &store, options)?;
        let sent = sending.deliver(context, "Delivering", deliveries);
        let view = sent.and_then(|()| EmitView::load(&store, event.id, false));
        let view = view.map_err(|error| broken_off(error, &format!("{count} due")))?;
        context.out.outcome(&view)?;
        Ok(sending.exit(sending.tally().not_delivered() == 0))
    }
}

/// Makes the deliveries that webhooks had of an event before the `new` ones due again: webhook and delivery.
fn again(
    store: &Store,
    event_row: i64,
    webhooks: &[i64],
    new: &[(i64, i64)],
    now: Timestamp,
) -> Result<Vec<(i64, i64)>, StoreError> {
    let is_old = |delivery: &DeliveryRow| {
        webhooks.contains(&delivery.webhook_id) && !new.contains(&(delivery.webhook_id, delivery.id))
    };
    let old = store.deliveries_of_event(event_row)?.into_iter().filter(is_old).map(|delivery| delivery.id);
    store.retry_deliveries(&old.collect::<Vec<_>>(), now)
}

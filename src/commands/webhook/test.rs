//! `hookctl webhook test`

use anyhow::{Context as _, Result};
use clap::Args;

use super::sample::Sample;
use crate::commands::candidates::Candidates;
use crate::commands::delivery::view::DeliveryPage;
use crate::commands::sending::{self, Sending, broken_off};
use crate::context::{Context, Exit};
use crate::delivery::{Case, Gates, sends, shape};
use crate::domain::delivery::Status;
use crate::store::{NewDelivery, Offer};

/// Send one event now and show the response
///
/// The event is a webhook.test, or with --type the example of that type, as `hookctl event-type show` has it. No other webhook
/// gets it, now or by a backfill.
///
/// It is sent whatever the webhook subscribes to and filters, active or not, in the form of its transform or preset,
/// and without waiting for --concurrency or --rate-limit. It is logged, never retried, and not counted. Exits with 5
/// when it was not delivered.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook test crm
  hookctl webhook test crm --type invoice.paid
  hookctl webhook test crm --data '{\"hello\":\"world\"}' -o json

Exit status:
  5  it was not delivered")]
pub struct Test {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
    /// Send the example of this event type
    #[arg(long = "type", aliases = ["event", "event-type"], value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: Option<String>,
    /// The event's data: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

impl Test {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        context.refuse_if_read_only()?;
        let sample = Sample::read(self.event_type.as_deref(), self.data.as_deref())?;
        let store = context.store_to_write()?;
        let webhook = context.webhook(&store, &self.webhook)?;
        store.check_key_of(&[webhook.id])?;
        let event = sample.event(context, &store)?;
        let case = Case { shape: &webhook.settings.shape, event: event.parts(), is_filtered: false };
        let (shaped, mut bodies) = (shape(&[case])?, Vec::new());
        let new = NewDelivery {
            webhook_id: webhook.id,
            order: webhook.settings.order,
            is_test: true,
            claim: None,
            sends: sends(&shaped[0], &mut bodies),
        };
        let offer = Offer { event: &event, deliveries: vec![new], bodies, known_since: None };
        let intakes = store.transaction(|| {
            context.check_still_there(&store, webhook.id, &self.webhook)?;
            anyhow::Ok(store.accept(&[offer], true)?)
        })?;
        let due = intakes.iter().flat_map(|intake| &intake.deliveries).map(|(_, delivery)| *delivery);
        let failed = intakes.iter().flat_map(|intake| &intake.failed).copied().next();
        if let Some(delivery) = failed {
            context.out.page(&DeliveryPage::load(context, &store, delivery)?)?;
            return Ok(Exit::NOT_DELIVERED);
        }
        let delivery = due.into_iter().next().context("a new event id was taken; try again")?;
        let mut options = sending::options(context, 1)?;
        options.gates = Gates::Ignore;
        let mut sending = Sending::new(context, &store, options)?;
        let sent = sending.deliver(context, "Testing", vec![(webhook.id, delivery)]);
        let page = sent.and_then(|()| DeliveryPage::load(context, &store, delivery));
        let stored = || format!("the test is stored as delivery {delivery}");
        let page = page.map_err(|error| broken_off(error, &stored()))?;
        context.out.page(&page)?;
        Ok(sending.exit(page.status() == Status::Success))
    }
}

//! `hookctl event resend`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::show::pruned;
use crate::commands::arguments::{self, Moment};
use crate::commands::backfill::{Backfill, Preview, Scope};
use crate::commands::candidates::Candidates;
use crate::commands::emit::EmitView;
use crate::commands::owners::{OwnedEvent, check_owners};
use crate::commands::sending::{self, Sending, Tally, broken_off};
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::domain::event_type;
use crate::domain::owner::Owner;
use crate::error::Failure;
use crate::output::{Cell, Page, Text};
use crate::store::{EventFilter, EventRow, Store, Subscriber};

/// Deliver past events to webhooks that did not get them
///
/// Events are named by id or by filters. They go, oldest first, to every active webhook that now subscribes to them
/// and has no delivery of them. Webhooks named with -w get them whatever they subscribe to, and again if they had
/// them; with --missing they get only what they subscribe to and did not have. A new webhook gets past events in the
/// same way. Deliveries that failed are not missing: see `hookctl delivery retry`. An event of an owner goes to that
/// owner's webhooks alone.
///
/// If it is interrupted, run it again with --missing: it continues. Exits with 5 when an attempt failed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event resend order-7-paid
  hookctl event resend order-7-paid -w crm --enqueue
  hookctl event resend --missing -w crm --since 2d --dry-run
  hookctl event resend --missing -w crm --since 2d

Exit status:
  5  not every delivery ended in success")]
pub struct Resend {
    /// Their event ids
    #[arg(value_name = "ID", add = Candidates::Events, conflicts_with_all = ["event_type", "owner", "since", "until", "limit"])]
    ids: Vec<String>,
    /// Only to webhooks that subscribe to them and have no delivery of them
    #[arg(long)]
    missing: bool,
    /// Only events of this type, or pattern
    #[arg(long = "type", alias = "event", alias = "event-type", value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: Option<String>,
    /// Only those emitted for this owner; none for those of no owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    owner: Option<Owner>,
    /// Accepted at this time or later: a time, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    since: Option<Moment>,
    /// Accepted before this time
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    until: Option<Moment>,
    /// To this webhook [repeatable]
    #[arg(short, long = "webhook", value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhooks: Vec<String>,
    /// At most this many events, oldest first
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    limit: Option<u64>,
    /// Show how many there are, by webhook; store and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Store only; the next drain sends
    #[arg(long)]
    enqueue: bool,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = arguments::concurrency)]
    concurrency: usize,
}

/// What is resent, or would be.
#[derive(Debug, Serialize)]
struct ResendView {
    events: u64,
    deliveries: u64,
    by_webhook: Vec<OfWebhook>,
    #[serde(flatten)]
    tally: Option<Tally>,
}

#[derive(Debug, Serialize)]
struct OfWebhook {
    webhook: String,
    deliveries: u64,
}

impl ResendView {
    fn new(preview: &Preview) -> ResendView {
        let of_webhook = |(webhook, count): (&String, &u64)| OfWebhook { webhook: webhook.clone(), deliveries: *count };
        ResendView {
            events: preview.events,
            deliveries: preview.deliveries,
            by_webhook: preview.by_webhook.iter().map(of_webhook).collect(),
            tally: None,
        }
    }
}

impl Page for ResendView {
    fn describe(&self, text: &mut Text) {
        text.field("Events", self.events as i64);
        text.field("Deliveries", self.deliveries as i64);
        text.optional("Attempted", self.tally.map(|tally| format!("{}: {}", tally.claimed, tally.told())));
        if self.by_webhook.is_empty() {
            return;
        }
        text.blank();
        let row = |of: &OfWebhook| vec![Cell::name(&of.webhook), Cell::number(of.deliveries)];
        text.table(&["webhook", "deliveries"], self.by_webhook.iter().map(row).collect::<Vec<_>>());
    }
}

impl Resend {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if let Some(pattern) = &self.event_type {
            event_type::check_pattern(pattern).map_err(|error| Failure::option("--type", error))?;
        }
        let is_selected = self.missing || self.event_type.is_some() || self.since.is_some() || self.until.is_some();
        if self.ids.is_empty() && !is_selected && self.owner.is_none() {
            return Err(Failure::invalid("neither an ID nor a filter is given")
                .hint("name events by id, or by --missing, --type, --since, --until or --owner")
                .into());
        }
        let store = if self.dry_run { context.store_to_read()? } else { context.store_to_write()? };
        let events = self.ids.iter().map(|id| context.event(&store, id)).collect::<Result<Vec<_>>>()?;
        if let Some(event) = events.iter().find(|event| event.payload_size.is_none()) {
            return Err(pruned(&event.event_id).into());
        }
        let backfill = self.backfill(context, &store, &events)?;
        let preview = backfill.preview(&store, self.limit)?;
        let mut view = ResendView::new(&preview);
        if self.dry_run {
            context.out.page(&view)?;
            return Ok(Exit::DONE);
        }
        store.expect_large_transactions()?;
        let options = sending::options(context, self.concurrency.min(preview.deliveries.max(1) as usize))?;
        let stop = options.stop.clone();
        let backfill = backfill.up_to(&preview);
        let progress = context.out.progress("Storing", Some(backfill.parts().len() as u64));
        let now = context.now();
        for (number, part) in backfill.parts().iter().enumerate() {
            if stop.is_asked() {
                break;
            }
            let prepared = backfill.prepare(&store, part)?;
            store.transaction(|| backfill.carry_out_part(&store, part, &prepared, now))?;
            progress.set(number as u64 + 1);
        }
        progress.finish();
        self.tell_nothing(context, &preview);
        if self.enqueue || preview.deliveries == 0 {
            self.show(context, &store, &events, &view)?;
            return Ok(stop.exit().unwrap_or(Exit::DONE));
        }
        let mut sending = Sending::new(context, &store, options)?;
        let sent = self.send(context, &store, &events, &preview, &mut sending);
        view.tally = Some(sending.tally());
        let shown = sent.and_then(|()| self.show(context, &store, &events, &view));
        let is = match self.ids.len() {
            1 => counted(preview.deliveries, "delivery of it is", "deliveries of it are"),
            _ => counted(preview.deliveries, "delivery is", "deliveries are"),
        };
        shown.map_err(|error| broken_off(error, &format!("{is} due")))?;
        Ok(sending.exit(sending.tally().not_delivered() == 0))
    }

    fn backfill(&self, context: &Context, store: &Store, events: &[EventRow]) -> Result<Backfill> {
        let named = context.webhook_ids(store, &self.webhooks)?;
        let is_meant = |webhook: &Subscriber| match named.is_empty() {
            true => webhook.is_active,
            false => named.contains(&webhook.id),
        };
        let webhooks: Vec<Subscriber> = store.subscribers()?.into_iter().filter(is_meant).collect();
        let scope = if named.is_empty() || self.missing { Scope::Missing } else { Scope::Everything };
        if self.ids.is_empty() {
            let now = context.now();
            let filter = EventFilter {
                event_type: self.event_type.clone(),
                owner: self.owner.clone(),
                since: self.since.map(|moment| moment.resolve(now)),
                until: self.until.map(|moment| moment.resolve(now)),
                ..EventFilter::default()
            };
            return Backfill::by_filter(store, webhooks, filter, scope);
        }
        for event in events.iter().filter(|_| scope == Scope::Everything) {
            let (event_type, owner) = (event.event_type.as_str(), event.owner.as_deref());
            let what = &format!("event {}", event.event_id);
            check_owners(OwnedEvent { what, event_type, owner }, webhooks.iter())?;
        }
        let rows: Vec<i64> = events.iter().map(|event| event.id).collect();
        Backfill::by_rows(store, webhooks, &rows, scope)
    }

    /// Sends the stored deliveries: of named events only those, else everything that is due for their webhooks.
    fn send(
        &self,
        context: &mut Context,
        store: &Store,
        events: &[EventRow],
        preview: &Preview,
        sending: &mut Sending<'_>,
    ) -> Result<()> {
        if !events.is_empty() {
            let mut deliveries = Vec::new();
            for event in events {
                let of_event = store.deliveries_of_event(event.id)?.into_iter();
                let is_meant = |webhook: &str| preview.by_webhook.contains_key(webhook);
                let open = of_event.filter(|row| row.status.is_open() && is_meant(&row.webhook));
                deliveries.extend(open.map(|row| (row.webhook_id, row.id)));
            }
            return sending.deliver(context, "Delivering", deliveries);
        }
        let names: Vec<String> = preview.by_webhook.keys().cloned().collect();
        let webhooks = context.webhook_ids(store, &names)?;
        sending.engine.drain(&webhooks);
        sending.finish(context, "Delivering", crate::delivery::Summary::default(), preview.deliveries)
    }

    fn tell_nothing(&self, context: &mut Context, preview: &Preview) {
        if preview.deliveries > 0 {
            return;
        }
        context.out.notice(match self.ids.as_slice() {
            [] => "nothing to resend: every webhook that wants these events has a delivery of them",
            [_] => "every webhook that wants this event has a delivery of it; see `hookctl delivery retry`",
            _ => "every webhook that wants these events has a delivery of them; see `hookctl delivery retry`",
        });
    }

    fn show(&self, context: &mut Context, store: &Store, events: &[EventRow], view: &ResendView) -> Result<()> {
        match events {
            [event] => context.out.outcome(&EmitView::load(store, event.id, false)?)?,
            _ => context.out.outcome(view)?,
        }
        Ok(())
    }
}

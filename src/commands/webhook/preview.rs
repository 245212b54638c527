//! `hookctl webhook preview`

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;

use super::sample::Sample;
use crate::commands::candidates::Candidates;
use crate::commands::delivery::request::{Bytes, Pairs, RequestView, Sent};
use crate::commands::event::show::pruned;
use crate::commands::verdict::Verdict;
use crate::context::Context;
use crate::delivery::{self, Case, Matching, Schemas, Shaped};
use crate::domain::event::EventParts;
use crate::domain::webhook::{Shape, Webhook};
use crate::error::Failure;
use crate::output::{Cell, Page, Text};
use crate::store::{EventHeaders, Payload, Store};

/// Show the request that a webhook would get for an event, and whether it would get it
///
/// The event is one that is stored (--event), the example of a type (--type), or else what `hookctl webhook test`
/// sends, which every webhook gets. Whether it would get one of the others depends on its patterns, owner, state and
/// filter; the request is shown either way, with the current settings: headers, and the body that the transform or
/// the preset makes. Nothing is sent or stored.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook preview crm --type invoice.paid
  hookctl webhook preview crm --type invoice.paid --data 7 --jq .body
  hookctl webhook preview crm --event order-7-paid -o json")]
pub struct Preview {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
    /// A stored event
    #[arg(long, value_name = "EVENT_ID", conflicts_with_all = ["event_type", "data"], add = Candidates::Events)]
    event: Option<String>,
    /// The example of this event type
    #[arg(long = "type", value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: Option<String>,
    /// The event's data: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "JSON")]
    data: Option<String>,
}

const TEST: &str = "`hookctl webhook test`";

struct Event {
    payload: Payload,
    owner: Option<String>,
    /// The webhook that the event is about, which does not get it.
    about: Option<i64>,
}

#[derive(Debug, Serialize)]
struct PreviewPage {
    wanted: bool,
    #[serde(flatten)]
    verdict: Verdict,
    method: String,
    url: String,
    /// Null without a body, because the signature needs it.
    headers: Option<Pairs>,
    /// Null if the transform fails.
    body: Option<Bytes>,
    #[serde(skip)]
    title: String,
}

impl Preview {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let sample = Sample::read(self.event_type.as_deref(), self.data.as_deref())?;
        let store = context.store_to_read()?;
        let webhook = context.webhook(&store, &self.webhook)?;
        let Event { mut payload, owner, about } = match &self.event {
            Some(event_id) => stored(context, &store, event_id)?,
            None => made_up(context, &store, &sample)?,
        };
        let title = format!("{} for {}", payload.event_type, webhook.settings.name);
        let shaped = shaped(&webhook.settings.shape, &payload, false)?;
        let verdict = match (&self.event, &self.event_type, &shaped) {
            (None, None, Shaped::Failed(error)) => Verdict::failed(error, TEST),
            (None, None, _) => {
                Verdict { reason: None, detail: format!("{TEST} sends it to every webhook"), fails: false }
            }
            _ if about == Some(webhook.id) => Verdict {
                reason: Some("about-itself"),
                detail: "it is about this webhook, which does not hear of its own failures".to_owned(),
                fails: false,
            },
            _ => verdict(&store, &webhook, (&payload, owner.as_deref()), &shaped)?,
        };
        let is_made = !matches!(shaped, Shaped::Failed(_));
        if let Shaped::Body(body) = shaped {
            payload.bytes = body;
        }
        let sent = Sent { delivery_id: None, attempt_number: 1, payload: &payload, timestamp: context.now() };
        let outgoing = store.outgoing(&[webhook.id], sent.timestamp)?.pop();
        let outgoing = outgoing.context("the webhook was deleted meanwhile")?;
        let RequestView { method, url, headers } = RequestView::new(outgoing, sent)?;
        let wanted = verdict.reason.is_none();
        let (headers, body) = (Some(headers).filter(|_| is_made), Some(Bytes(payload.bytes)).filter(|_| is_made));
        context.out.page(&PreviewPage { wanted, verdict, method, url, headers, body, title })
    }
}

fn stored(context: &Context, store: &Store, event_id: &str) -> Result<Event> {
    let event = context.event(store, event_id)?;
    if event.payload_size.is_none() {
        return Err(pruned(event_id).into());
    }
    let (payload, about) = (store.load_payload((event.id, None))?, store.event_about(event.id)?);
    Ok(Event { payload, owner: event.owner, about })
}

fn made_up(context: &Context, store: &Store, sample: &Sample<'_>) -> Result<Event> {
    let event = sample.event(context, store)?;
    if let Some(reason) = Schemas::default().refusal_of(store, &event)? {
        return Err(Failure::option("--data", reason).into());
    }
    let headers = EventHeaders::of(&event);
    let payload = Payload { event_id: event.event_id, event_type: event.event_type, bytes: event.payload, headers };
    Ok(Event { payload, owner: event.owner, about: event.about })
}

/// `shaped_unfiltered` is the body that the webhook would get, whatever its filter says.
fn verdict(
    store: &Store,
    webhook: &Webhook,
    (payload, owner): (&Payload, Option<&str>),
    shaped_unfiltered: &Shaped,
) -> Result<Verdict> {
    let subscribers = store.subscribers()?;
    let subscriber = subscribers.iter().find(|subscriber| subscriber.id == webhook.id);
    let subscriber = subscriber.context("the webhook was deleted meanwhile")?;
    let matching = Matching::of(subscriber, &payload.event_type, owner, &[]);
    let filter = Shape { filter: subscriber.shape.filter.clone(), ..Shape::default() };
    let answer = match matching {
        Matching::Wanted => shaped(&filter, payload, true)?,
        _ => Shaped::Payload,
    };
    let shaped = if answer == Shaped::Payload { shaped_unfiltered } else { &answer };
    Ok(Verdict::new(subscriber, matching, shaped))
}

fn shaped(shape: &Shape, payload: &Payload, is_filtered: bool) -> Result<Shaped> {
    let Payload { event_id, event_type, bytes, .. } = payload;
    let event = EventParts { event_id, event_type, payload: bytes };
    let case = Case { shape, event, is_filtered };
    Ok(delivery::shape(&[case])?.swap_remove(0))
}

impl Page for PreviewPage {
    fn describe(&self, text: &mut Text) {
        text.heading(&format!("Preview of {}", self.title));
        let detail = &self.verdict.detail;
        let wanted = match (self.wanted, self.verdict.fails) {
            (true, _) => Cell::good(format!("yes: {detail}")),
            (false, true) => Cell::bad(format!("fails: {detail}")),
            (false, false) => Cell::warn(format!("no: {detail}")),
        };
        text.field("Wanted", wanted);
        text.blank();
        let Some((headers, body)) = self.headers.as_ref().zip(self.body.as_ref()) else {
            text.line(Cell::dim("No request: no body is made of this event."));
            return;
        };
        text.heading("Request");
        text.line(format!("{} {}", self.method, self.url));
        headers.describe(text);
        text.blank();
        text.heading("Body");
        text.block(&body.0);
    }
}

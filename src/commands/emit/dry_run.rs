//! `hookctl emit --dry-run`: who would get an event, and why not the others.

use anyhow::Result;
use serde::Serialize;

use super::options::Emit;
use super::receivers::check_named;
use crate::commands::verdict::Verdict;
use crate::context::Context;
use crate::delivery::{Case, Matching, Schemas, shape};
use crate::domain::event::NewEvent;
use crate::domain::event_draft::Field;
use crate::domain::webhook::Shape;
use crate::error::{Failure, Kind};
use crate::output::{Cell, Look, Row};
use crate::store::{Accepted, EventRow, Store, Subscriber};

#[derive(Debug, Serialize)]
struct Candidate {
    id: i64,
    webhook: String,
    would_deliver: bool,
    #[serde(flatten)]
    verdict: Verdict,
}

impl Row for Candidate {
    const COLUMNS: &'static [&'static str] = &["id", "webhook", "gets it", "why"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::id(&self.webhook),
            match (self.would_deliver, self.verdict.fails) {
                (true, _) => Cell::good("yes"),
                (false, true) => Cell::bad("fails"),
                (false, false) => Cell::dim("no"),
            },
            Cell::plain(&self.verdict.detail),
        ]
    }
}

/// Shows the candidates; stores and sends nothing.
pub(super) fn run(emit: &Emit, event: &NewEvent, store: &Store, context: &mut Context) -> Result<()> {
    if let Some(reason) = Schemas::default().refusal_of(store, event)? {
        return Err(Failure::option(Field::Data.option(), reason).into());
    }
    let named = context.webhook_ids(store, &emit.webhooks)?;
    let subscribers = store.subscribers()?;
    check_named(&subscribers, event, &named)?;
    let known_since = emit.dedupe.map(|window| event.created_at.minus(window));
    let known = match store.known(event, known_since)? {
        Some(Accepted::Conflict) => return Err(conflict(&event.event_id).into()),
        Some(Accepted::Duplicate(row)) => store.event(row)?,
        _ => None,
    };
    let matching = |webhook: &Subscriber| Matching::of(webhook, &event.event_type, event.owner.as_deref(), &named);
    let plain = Shape::default();
    let cases = subscribers.iter().map(|webhook| Case {
        shape: if matching(webhook) == Matching::Wanted { &webhook.shape } else { &plain },
        event: event.parts(),
        is_filtered: true,
    });
    let shaped = shape(&cases.collect::<Vec<_>>())?;
    let candidates: Vec<Candidate> = subscribers
        .into_iter()
        .zip(shaped)
        .map(|(webhook, shaped)| {
            let mut verdict = Verdict::new(&webhook, matching(&webhook), &shaped);
            if known.is_some() && verdict.reason.is_none() {
                let detail = "the same event was accepted before".to_owned();
                verdict = Verdict { reason: Some("duplicate"), detail, fails: false };
            }
            Candidate { id: webhook.id, webhook: webhook.name, would_deliver: verdict.reason.is_none(), verdict }
        })
        .collect();
    context
        .out
        .list(candidates.into_iter().map(Ok), "there are no webhooks; the event would be stored and go to nobody")?;
    if let Some(EventRow { event_id, .. }) = known {
        context.out.notice(&format!(
            "the same event was accepted before; nothing would be sent (`hookctl event show {event_id}`)"
        ));
    }
    Ok(())
}

/// The event id was used with other content.
pub(super) fn conflict(event_id: &str) -> Failure {
    Failure::new(Kind::Conflict, format!("--event-id: '{event_id}' was used before with another payload or owner"))
        .hint(format!("see `hookctl event show {event_id}`; an event never changes, use a new id"))
}

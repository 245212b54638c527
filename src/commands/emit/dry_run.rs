//! `hookctl emit --dry-run`: who would get an event, and why not the others.

use anyhow::Result;
use serde::Serialize;

use super::options::Emit;
use crate::commands::verdict::Verdict;
use crate::context::Context;
use crate::delivery::{Case, Matching, Schemas, shape};
use crate::domain::event::NewEvent;
use crate::domain::event_draft::Field;
use crate::domain::webhook::Shape;
use crate::error::Failure;
use crate::output::{Cell, Look, Row};
use crate::store::{Store, Subscriber};

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
            let verdict = Verdict::new(&webhook, matching(&webhook), &shaped);
            Candidate { id: webhook.id, webhook: webhook.name, would_deliver: verdict.reason.is_none(), verdict }
        })
        .collect();
    context
        .out
        .list(candidates.into_iter().map(Ok), "there are no webhooks; the event would be stored and go to nobody")
}

//! `hookctl emit --dry-run`: who would get an event, and why not the others.

use anyhow::Result;
use serde::Serialize;

use super::options::Emit;
use crate::context::{Context, Exit};
use crate::delivery::{Case, Matching, Shaped, shape};
use crate::domain::attempt::ErrorType;
use crate::domain::event::NewEvent;
use crate::domain::webhook::Shape;
use crate::output::{Cell, Look, Row};
use crate::store::Subscriber;

#[derive(Debug, Serialize)]
struct Candidate {
    id: i64,
    webhook: String,
    would_deliver: bool,
    reason: Option<&'static str>,
    detail: String,
}

impl Row for Candidate {
    const COLUMNS: &'static [&'static str] = &["id", "webhook", "gets it", "why"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::id(&self.webhook),
            if self.would_deliver { Cell::good("yes") } else { Cell::dim("no") },
            Cell::plain(&self.detail),
        ]
    }
}

/// A delivery that would be stored as failed.
fn failed(shaped: Shaped) -> (Option<&'static str>, String) {
    let Shaped::Failed(error) = shaped else { return (None, String::new()) };
    let reason = if error.error_type == ErrorType::FilterError { "filter" } else { "transform" };
    (Some(reason), error.message)
}

/// Shows the candidates; stores and sends nothing.
pub(super) fn run(emit: &Emit, event: &NewEvent, context: &mut Context) -> Result<Exit> {
    let store = context.store_to_read()?;
    let named = context.webhook_ids(&store, &emit.webhooks)?;
    let subscribers = store.subscribers()?;
    let matching = |webhook: &Subscriber| Matching::of(webhook, &event.event_type, event.owner.as_deref(), &named);
    let plain = Shape::default();
    let cases = subscribers.iter().map(|webhook| Case {
        shape: if matching(webhook) == Matching::Wanted { &webhook.shape } else { &plain },
        event: &event.payload,
        is_filtered: true,
    });
    let shaped = shape(&cases.collect::<Vec<_>>())?;
    let candidates: Vec<Candidate> = subscribers
        .into_iter()
        .zip(shaped)
        .map(|(webhook, shaped)| {
            let matching = matching(&webhook);
            let events = webhook.events.join(", ");
            let (reason, detail) = match matching {
                Matching::Wanted if shaped == Shaped::Unwanted => (Some("filter"), "its filter says no".to_owned()),
                Matching::Wanted if matches!(shaped, Shaped::Failed(_)) => failed(shaped),
                Matching::Wanted => (None, format!("subscribes to {events}")),
                Matching::Disabled => (Some("disabled"), "disabled".to_owned()),
                Matching::Pattern => (Some("pattern"), format!("subscribes to {events} only")),
                Matching::Owner => {
                    (Some("owner"), format!("belongs to {}", webhook.owner.as_deref().unwrap_or("nobody")))
                }
                Matching::NotNamed => (Some("not-named"), "others were named with -w".to_owned()),
            };
            Candidate { id: webhook.id, webhook: webhook.name, would_deliver: reason.is_none(), reason, detail }
        })
        .collect();
    context
        .out
        .list(candidates.into_iter().map(Ok), "there are no webhooks; the event would be stored and go to nobody")?;
    Ok(Exit::DONE)
}

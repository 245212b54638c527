//! `hookctl emit --dry-run`: who would get an event, and why not the others.

use anyhow::Result;
use serde::Serialize;

use super::options::Emit;
use crate::context::{Context, Exit};
use crate::delivery::Matching;
use crate::domain::owner::Owner;
use crate::output::{Cell, Look, Row};

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

/// Shows the candidates; stores and sends nothing.
pub(super) fn run(emit: &Emit, event_type: &str, context: &mut Context) -> Result<Exit> {
    let store = context.store_to_read()?;
    let named = context.webhook_ids(&store, &emit.webhooks)?;
    let candidates: Vec<Candidate> = store
        .subscribers()?
        .into_iter()
        .map(|webhook| {
            let matching = Matching::of(&webhook, event_type, emit.owner.as_ref().and_then(Owner::name), &named);
            let events = webhook.events.join(", ");
            let (reason, detail) = match matching {
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

//! Who gets nothing of an event now, although it wants it: webhooks that are disabled or paused.

use std::collections::BTreeMap;

use crate::commands::wording::listed;
use crate::context::Context;
use crate::delivery::Matching;
use crate::domain::event::NewEvent;
use crate::store::Subscriber;

/// How many webhooks are named.
const MOST_NAMED: usize = 5;

/// Webhooks by name, with how many events are meant.
#[derive(Debug, Default)]
pub struct HeldBack {
    disabled: BTreeMap<String, u64>,
    paused: BTreeMap<String, u64>,
}

impl HeldBack {
    /// Notes the webhooks that an event does not go out to.
    pub fn note(&mut self, subscribers: &[Subscriber], event: &NewEvent, named: &[i64]) {
        for webhook in subscribers.iter().filter(|webhook| webhook.is_paused || !webhook.is_active) {
            let map = match Matching::of(webhook, &event.event_type, event.owner.as_deref(), named) {
                Matching::Disabled => &mut self.disabled,
                Matching::Wanted => &mut self.paused,
                Matching::Pattern | Matching::Owner | Matching::NotNamed => continue,
            };
            *map.entry(webhook.name.clone()).or_default() += 1;
        }
    }

    pub fn tell(&self, context: &mut Context) {
        if let Some(names) = told(&self.disabled) {
            context.out.notice(&format!(
                "disabled, and would have wanted it: {names}; `hookctl webhook enable WEBHOOK --backfill` delivers what was \
                 missed"
            ));
        }
        if let Some(names) = told(&self.paused) {
            context.out.notice(&format!("paused: {names}; deliveries wait until `hookctl webhook resume`"));
        }
    }
}

/// `crm, erp (12 events)`.
fn told(webhooks: &BTreeMap<String, u64>) -> Option<String> {
    let one = |(name, count): (&String, &u64)| match count {
        1 => name.clone(),
        count => format!("{name} ({count} events)"),
    };
    let names: Vec<String> = webhooks.iter().map(one).collect();
    (!names.is_empty()).then(|| listed(&names, MOST_NAMED))
}

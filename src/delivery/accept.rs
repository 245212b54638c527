//! Taking events in: which webhooks get a delivery of them.

use std::time::Duration;

use crate::domain::envelope::Content;
use crate::domain::event::NewEvent;
use crate::domain::event_draft::Draft;
use crate::domain::event_type;
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::{Intake, NewDelivery, Offer, Store, StoreError, Subscriber};

/// Whether a webhook gets an event, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    Wanted,
    Disabled,
    /// None of its patterns matches.
    Pattern,
    /// It belongs to somebody else.
    Owner,
    /// Others were named.
    NotNamed,
}

impl Matching {
    /// Decides for one webhook. `named` is empty when no webhook was named.
    pub fn of(webhook: &Subscriber, event_type: &str, owner: Option<&str>, named: &[i64]) -> Matching {
        if !named.is_empty() && !named.contains(&webhook.id) {
            return Matching::NotNamed;
        }
        if owner.is_some() && owner != webhook.owner.as_deref() {
            return Matching::Owner;
        }
        if !webhook.events.iter().any(|pattern| event_type::matches(pattern, event_type)) {
            return Matching::Pattern;
        }
        if webhook.is_active { Matching::Wanted } else { Matching::Disabled }
    }
}

/// Stores events, each with a delivery for each webhook that wants it, but for those that were accepted before within
/// `dedupe`. `named` is empty where all webhooks may get them. Runs in the caller's transaction.
pub fn accept<'e>(
    store: &Store,
    events: impl IntoIterator<Item = &'e NewEvent>,
    subscribers: &[Subscriber],
    named: &[i64],
    dedupe: Option<Duration>,
) -> Result<Vec<Intake>, StoreError> {
    let offer = |event: &'e NewEvent| {
        let is_wanted = |webhook: &&Subscriber| {
            Matching::of(webhook, &event.event_type, event.owner.as_deref(), named) == Matching::Wanted
        };
        let known_since = dedupe.map(|window| event.created_at.minus(window));
        Offer { event, deliveries: subscribers.iter().filter(is_wanted).map(new_delivery).collect(), known_since }
    };
    store.accept(&events.into_iter().map(offer).collect::<Vec<_>>())
}

/// The delivery that a webhook gets of an event.
pub fn new_delivery(webhook: &Subscriber) -> NewDelivery {
    NewDelivery { webhook_id: webhook.id, is_ordered: webhook.is_ordered, is_test: false }
}

/// Stores the events by which hookctl announces what it did: `webhook.disabled`, `delivery.failed`.
#[derive(Debug)]
pub struct Announcer<'a> {
    /// Where to.
    pub store: &'a Store,
    /// When.
    pub now: Timestamp,
}

impl Announcer<'_> {
    /// Announces something about a webhook to all others that subscribe to it: a webhook never hears of its own failures.
    pub fn announce(
        &self,
        random: &mut Random,
        event_type: &str,
        about_webhook: i64,
        data: &serde_json::Value,
    ) -> Result<(), StoreError> {
        let subscribers: Vec<Subscriber> =
            self.store.subscribers()?.into_iter().filter(|webhook| webhook.id != about_webhook).collect();
        let data = serde_json::value::to_raw_value(data).map_err(|error| StoreError::Other(error.to_string()))?;
        let draft = Draft { event_type: event_type.into(), content: Content::of_data(&data), ..Draft::default() };
        let event = draft.into_event(self.now, random.next_u128()).map_err(|error| StoreError::Other(error.reason))?;
        accept(self.store, [&event], &subscribers, &[], None).map(drop)
    }
}

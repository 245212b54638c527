//! Taking events in: the event and a delivery for each webhook that wants it, in the caller's transaction.

use crate::domain::envelope::Content;
use crate::domain::event::NewEvent;
use crate::domain::event_draft::Draft;
use crate::domain::event_type;
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::{Accepted, CounterChanges, NewDelivery, Store, StoreError, Subscriber};

/// Whether a webhook gets an event, or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching {
    /// It gets the event.
    Wanted,
    /// It is disabled.
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

/// What became of an event.
#[derive(Clone, Debug)]
pub struct Intake {
    /// Stored, known already, or in conflict.
    pub accepted: Accepted,
    /// The new deliveries: webhook and delivery.
    pub deliveries: Vec<(i64, i64)>,
}

/// Stores an event and one delivery for each webhook that wants it. Runs in the caller's transaction.
pub fn accept(
    store: &Store,
    event: &NewEvent,
    subscribers: &[Subscriber],
    named: &[i64],
) -> Result<Intake, StoreError> {
    let intake = accept_uncounted(store, event, subscribers, named)?;
    count_new(store, &intake.deliveries)?;
    Ok(intake)
}

/// The same for one of many events: the caller counts the deliveries of all of them with [`count_new`], in the same
/// transaction.
pub fn accept_uncounted(
    store: &Store,
    event: &NewEvent,
    subscribers: &[Subscriber],
    named: &[i64],
) -> Result<Intake, StoreError> {
    let accepted = store.insert_event(event)?;
    let Accepted::New(event_row) = accepted else {
        return Ok(Intake { accepted, deliveries: Vec::new() });
    };
    let mut deliveries = Vec::new();
    for webhook in subscribers {
        let matching = Matching::of(webhook, &event.event_type, event.owner.as_deref(), named);
        if matching == Matching::Wanted {
            let delivery = insert(store, event_row, &event.event_type, webhook, event.created_at)?;
            deliveries.extend(delivery.map(|delivery| (webhook.id, delivery)));
        }
    }
    Ok(Intake { accepted, deliveries })
}

/// Stores and counts a delivery of an event to a webhook. `None` when the webhook has one already.
pub fn deliver_to(
    store: &Store,
    event_row: i64,
    event_type: &str,
    webhook: &Subscriber,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    let id = insert(store, event_row, event_type, webhook, now)?;
    count_new(store, id.map(|id| (webhook.id, id)).as_slice())?;
    Ok(id)
}

/// Counts new deliveries, each given with its webhook: once for each webhook, however many there are.
pub fn count_new<'a>(store: &Store, deliveries: impl IntoIterator<Item = &'a (i64, i64)>) -> Result<(), StoreError> {
    let mut changes = CounterChanges::default();
    deliveries.into_iter().for_each(|(webhook_id, _)| changes.create(*webhook_id));
    store.count(&changes)
}

fn insert(
    store: &Store,
    event_row: i64,
    event_type: &str,
    webhook: &Subscriber,
    now: Timestamp,
) -> Result<Option<i64>, StoreError> {
    store.insert_delivery(&NewDelivery {
        webhook_id: webhook.id,
        event_row,
        event_type,
        is_ordered: webhook.is_ordered,
        is_test: false,
        now,
    })
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
        accept(self.store, &event, &subscribers, &[]).map(|_| ())
    }
}

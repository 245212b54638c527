//! To whom an event goes at once.

use crate::commands::owners::{OwnedEvent, check_owners};
use crate::delivery::Matching;
use crate::domain::event::NewEvent;
use crate::error::Failure;
use crate::store::Subscriber;

/// The webhooks that an event is sent to at once.
pub(super) fn receivers(subscribers: &[Subscriber], event: &NewEvent, named: &[i64]) -> Vec<i64> {
    let (event_type, owner) = (&event.event_type, event.owner.as_deref());
    let gets_it = |webhook: &&Subscriber| {
        !webhook.is_paused && Matching::of(webhook, event_type, owner, named) == Matching::Wanted
    };
    subscribers.iter().filter(gets_it).map(|webhook| webhook.id).collect()
}

/// Refuses an event whose owner is another than that of a webhook that --webhook names.
pub(super) fn check_named(subscribers: &[Subscriber], event: &NewEvent, named: &[i64]) -> Result<(), Failure> {
    let (event_type, owner) = (event.event_type.as_str(), event.owner.as_deref());
    let webhooks = subscribers.iter().filter(|webhook| named.contains(&webhook.id));
    check_owners(OwnedEvent { what: "the event", event_type, owner }, webhooks)
}

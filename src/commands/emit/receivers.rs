//! To whom an event goes at once.

use crate::delivery::Matching;
use crate::domain::event::NewEvent;
use crate::store::Subscriber;

/// The webhooks that an event is sent to at once.
pub(super) fn receivers(subscribers: &[Subscriber], event: &NewEvent, named: &[i64]) -> Vec<i64> {
    let (event_type, owner) = (&event.event_type, event.owner.as_deref());
    let gets_it = |webhook: &&Subscriber| {
        !webhook.is_paused && Matching::of(webhook, event_type, owner, named) == Matching::Wanted
    };
    subscribers.iter().filter(gets_it).map(|webhook| webhook.id).collect()
}

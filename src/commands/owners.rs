//! The boundary between owners, for commands that name webhooks.

use crate::domain::owner::may_reach;
use crate::error::Failure;
use crate::store::Subscriber;

/// An event, as far as its owner matters.
#[derive(Clone, Copy, Debug)]
pub struct OwnedEvent<'a> {
    /// How a message names it.
    pub what: &'a str,
    pub event_type: &'a str,
    pub owner: Option<&'a str>,
}

/// Checks that webhooks which were named may get an event, by their owners.
pub fn check_owners<'a>(
    event: OwnedEvent<'_>,
    mut webhooks: impl Iterator<Item = &'a Subscriber>,
) -> Result<(), Failure> {
    let OwnedEvent { what, event_type, owner } = event;
    let Some(webhook) = webhooks.find(|webhook| !may_reach(event_type, owner, webhook.owner.as_deref())) else {
        return Ok(());
    };
    let shown = |owner: Option<&str>| owner.map_or("no owner".to_owned(), |owner| format!("owner '{owner}'"));
    let (of_event, of_webhook) = (shown(owner), shown(webhook.owner.as_deref()));
    Err(Failure::option("--webhook", format!("{what} has {of_event}, '{}' has {of_webhook}", webhook.name))
        .hint("events do not cross from one owner to another"))
}

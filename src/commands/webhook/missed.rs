//! The events that a webhook missed while it was disabled: counts, reports or delivers them.

use anyhow::Result;

use crate::commands::backfill::{Backfill, Scope, part_size};
use crate::commands::wording::counted;
use crate::context::Context;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{State, Webhook};
use crate::store::{EventFilter, Store, Subscriber};

/// How many events a webhook missed since it was disabled.
#[derive(Debug)]
pub struct Missed {
    pub events: u64,
    since: Option<Timestamp>,
}

/// The delivery of a webhook's missed events.
#[derive(Debug)]
pub struct CatchUp {
    pub missed: Missed,
    subscriber: Option<Subscriber>,
    /// Rows from here on may be events that were emitted meanwhile.
    next: i64,
}

impl Missed {
    /// Counts the events since `webhook` was disabled that it wants now and has no delivery of.
    pub fn count(store: &Store, webhook: &Webhook) -> Result<Missed> {
        let since = disabled_since(webhook);
        let webhooks = subscriber(store, webhook, since)?.into_iter().collect();
        let backfill = Backfill::by_filter(store, webhooks, filter(since), Scope::Missing)?;
        Ok(Missed { events: backfill.preview(store, None)?.deliveries, since })
    }

    /// Reports how many there are, and unless they were delivered, the command that delivers them.
    pub fn report(&self, context: &mut Context, name: &str, is_backfilled: bool) {
        let name = shell_words::quote(name);
        if self.since.is_none() && is_backfilled {
            return context.out.notice(&format!(
                "{name} was not disabled, so what it may have missed before is not known; to deliver every event that it \
                 wants and has no delivery of: hookctl event resend --missing -w {name}"
            ));
        }
        let Missed { events: 1.., since: Some(since) } = self else { return };
        let since = since.rfc3339();
        let events = counted(self.events, "event", "events");
        context.out.notice(&match is_backfilled {
            true => format!("{events} that {name} missed while it was disabled will be delivered"),
            false => format!(
                "{name} missed {events} while it was disabled; to deliver them: \
                 hookctl event resend --missing -w {name} --since {since}"
            ),
        });
    }
}

impl CatchUp {
    /// Creates the deliveries while the webhook is still disabled, one transaction for each portion.
    pub fn run(context: &Context, store: &Store, webhook: &Webhook) -> Result<CatchUp> {
        let since = disabled_since(webhook);
        let subscriber = subscriber(store, webhook, since)?;
        let mut catch_up = CatchUp { missed: Missed { events: 0, since }, subscriber, next: i64::MIN };
        let webhooks: Vec<Subscriber> = catch_up.subscriber.clone().into_iter().collect();
        // New events arrive meanwhile: repeat until few are left.
        loop {
            let newest = store.newest_event()?;
            let backfill = Backfill::by_filter(store, webhooks.clone(), filter(since), Scope::Missing)?;
            let (mut found, now) = (0, context.now());
            for part in backfill.parts().iter().filter(|part| *part.end() >= catch_up.next) {
                let prepared = backfill.prepare(store, part)?;
                found += store.transaction(|| backfill.carry_out_part(store, part, &prepared, now))?;
            }
            catch_up.missed.events += found;
            // On a server an event may become visible after newer ones, when its transaction commits.
            let few = part_size(&webhooks);
            catch_up.next = newest.saturating_sub(few);
            if found < few as u64 {
                return Ok(catch_up);
            }
        }
    }

    /// Creates the deliveries of events that were emitted since, in the caller's transaction.
    pub fn finish(&mut self, store: &Store, now: Timestamp) -> Result<()> {
        let Some(subscriber) = &self.subscriber else { return Ok(()) };
        let filter = filter(self.missed.since);
        let rest = Backfill::from_row(store, vec![subscriber.clone()], filter, self.next)?;
        for part in rest.parts() {
            let prepared = rest.prepare_hastily(store, part)?;
            self.missed.events += rest.carry_out_part(store, part, &prepared, now)?;
        }
        Ok(())
    }
}

/// `None` if nothing can have been missed.
fn subscriber(store: &Store, webhook: &Webhook, since: Option<Timestamp>) -> Result<Option<Subscriber>> {
    let all = if since.is_some() { store.subscribers()? } else { Vec::new() };
    Ok(all.into_iter().find(|subscriber| subscriber.id == webhook.id))
}

fn filter(since: Option<Timestamp>) -> EventFilter {
    EventFilter { since, ..EventFilter::default() }
}

fn disabled_since(webhook: &Webhook) -> Option<Timestamp> {
    let is_disabled = webhook.health.state() == State::Disabled;
    is_disabled.then(|| webhook.health.disabled_at.unwrap_or(webhook.created_at))
}

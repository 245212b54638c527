//! What a webhook missed while it was disabled: counted, reported with the command that delivers it, or delivered.

use anyhow::Result;

use crate::commands::backfill::{Backfill, Scope, part_size};
use crate::commands::wording::counted;
use crate::context::Context;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{State, Webhook};
use crate::store::{EventFilter, Store, Subscriber};

/// What a webhook missed, and since when; `None` where it was not disabled.
#[derive(Debug)]
pub struct Missed {
    pub events: u64,
    since: Option<Timestamp>,
}

/// The missed events of a webhook that are being delivered.
#[derive(Debug)]
pub struct CatchUp {
    pub missed: Missed,
    subscriber: Option<Subscriber>,
    /// The rows from here on may hold events that came meanwhile.
    next: i64,
}

impl Missed {
    /// Counts the events since `webhook`, as it was, was disabled: those that it wants now and has no delivery of.
    pub fn count(store: &Store, webhook: &Webhook) -> Result<Missed> {
        let since = disabled_since(webhook);
        let webhooks = subscriber(store, webhook, since)?.into_iter().collect();
        let backfill = Backfill::by_filter(store, webhooks, filter(since), Scope::Missing)?;
        Ok(Missed { events: backfill.preview(store, None)?.deliveries, since })
    }

    /// Says how many there are, and the command that delivers them, if they are not delivered anyhow.
    pub fn report(&self, context: &mut Context, name: &str, is_backfilled: bool) {
        let Missed { events: 1.., since: Some(since) } = self else { return };
        let since = since.rfc3339();
        let events = counted(self.events, "event", "events");
        let name = shell_words::quote(name);
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
    /// Makes deliveries of what a webhook missed while it is still disabled, each portion in a transaction of its own.
    pub fn run(context: &Context, store: &Store, webhook: &Webhook) -> Result<CatchUp> {
        let since = disabled_since(webhook);
        let subscriber = subscriber(store, webhook, since)?;
        let mut catch_up = CatchUp { missed: Missed { events: 0, since }, subscriber, next: i64::MIN };
        let webhooks: Vec<Subscriber> = catch_up.subscriber.clone().into_iter().collect();
        // Events come in meanwhile: it ends when a look finds few.
        loop {
            let newest = store.newest_event()?;
            let backfill = Backfill::by_filter(store, webhooks.clone(), filter(since), Scope::Missing)?;
            let (mut found, now) = (0, context.now());
            for part in backfill.parts().iter().filter(|part| *part.end() >= catch_up.next) {
                let prepared = backfill.prepare(store, part)?;
                found += store.transaction(|| backfill.carry_out_part(store, part, &prepared, now))?;
            }
            catch_up.missed.events += found;
            // On a server an event can appear below newer ones: it is as late as its transaction was long.
            let few = part_size(&webhooks);
            catch_up.next = newest.saturating_sub(few);
            if found < few as u64 {
                return Ok(catch_up);
            }
        }
    }

    /// Makes deliveries of what was emitted since, in the caller's transaction.
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

/// `None` where nothing can have been missed.
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

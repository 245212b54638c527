//! `hookctl webhook enable`

use anyhow::Result;
use clap::Args;

use super::state::StateView;
use crate::commands::backfill::{Backfill, Scope};
use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::domain::time::Timestamp;
use crate::domain::webhook::{State, Webhook};
use crate::store::{EventFilter, Store};

/// Make webhooks active, with a closed breaker and no failures on record
///
/// What waited goes out with the next drain. Events that were emitted while a webhook was disabled are not owed to it: how
/// many it missed is said, with the command that catches them up. --backfill does that at once: the missed events become
/// deliveries, oldest first, before the webhook is active again, so that an ordered one keeps its order. Broken off and
/// repeated, it goes on where it was. A paused webhook is resumed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook enable crm && hookctl drain -w crm
  hookctl webhook enable crm --backfill")]
pub struct Enable {
    /// Their names or ids
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks, required = true)]
    webhooks: Vec<String>,
    /// Deliver what they missed while they were disabled
    #[arg(long)]
    backfill: bool,
}

/// What a webhook missed, and since when.
struct Missed {
    events: u64,
    since: Option<Timestamp>,
}

impl Enable {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_write()?;
        let webhooks = self.webhooks.iter().map(|name| context.webhook(&store, name)).collect::<Result<Vec<_>>>()?;
        let mut missed = Vec::new();
        for webhook in &webhooks {
            missed.push(match self.backfill {
                true => catch_up(context, &store, webhook)?,
                false => count_missed(&store, webhook)?,
            });
        }
        let now = context.now();
        let views = store.transaction(|| {
            let mut views = Vec::new();
            for (name, (webhook, missed)) in self.webhooks.iter().zip(webhooks.iter().zip(&mut missed)) {
                context.check_still_there(&store, webhook.id, name)?;
                if self.backfill {
                    // What was emitted since it was caught up.
                    missed.events += backfill(&store, webhook, missed.since)?.carry_out(&store, now)?;
                }
                store.enable_webhook(webhook.id, now)?;
                let waiting = store.count_open(webhook.id)?;
                views.extend(store.webhook(webhook.id)?.map(|webhook| StateView {
                    missed_events: Some(missed.events),
                    ..StateView::new(&webhook, waiting)
                }));
            }
            anyhow::Ok(views)
        })?;
        let waiting: u64 = views.iter().map(|view| view.waiting).sum();
        let names: Vec<String> = views.iter().map(|view| view.name.clone()).collect();
        context.out.list(views.into_iter().map(Ok), "")?;
        for (name, missed) in names.iter().zip(&missed) {
            self.tell_missed(context, name, missed);
        }
        if waiting > 0 {
            let goes = counted(waiting, "delivery goes out", "deliveries go out");
            context.out.notice(&format!("{goes} with the next `hookctl drain`"));
        }
        Ok(Exit::DONE)
    }

    fn tell_missed(&self, context: &mut Context, name: &str, missed: &Missed) {
        let Missed { events: 1.., since: Some(since) } = missed else { return };
        let since = since.rfc3339();
        let events = counted(missed.events, "event", "events");
        let name = shell_words::quote(name);
        context.out.notice(&match self.backfill {
            true => format!("{events} that {name} missed while it was disabled will be delivered"),
            false => format!(
                "{name} missed {events} while it was disabled; to deliver them: \
                 hookctl event resend --missing -w {name} --since {since}"
            ),
        });
    }
}

/// The events since a webhook was disabled, as far as it wants them and has no delivery of them.
fn backfill(store: &Store, webhook: &Webhook, since: Option<Timestamp>) -> Result<Backfill> {
    let filter = EventFilter { since, ..EventFilter::default() };
    // Without a time there is nothing that it missed.
    let webhooks = if since.is_some() { store.subscribers()? } else { Vec::new() };
    let webhooks = webhooks.into_iter().filter(|subscriber| subscriber.id == webhook.id).collect();
    Backfill::by_filter(store, webhooks, filter, Scope::Missing)
}

fn disabled_since(webhook: &Webhook) -> Option<Timestamp> {
    let is_disabled = webhook.health.state() == State::Disabled;
    is_disabled.then(|| webhook.health.disabled_at.unwrap_or(webhook.created_at))
}

fn count_missed(store: &Store, webhook: &Webhook) -> Result<Missed> {
    let since = disabled_since(webhook);
    let preview = backfill(store, webhook, since)?.preview(store, None)?;
    Ok(Missed { events: preview.deliveries, since })
}

/// Makes deliveries of what a webhook missed, part by part, while it is still disabled.
fn catch_up(context: &Context, store: &Store, webhook: &Webhook) -> Result<Missed> {
    let since = disabled_since(webhook);
    let backfill = backfill(store, webhook, since)?;
    let (mut events, now) = (0, context.now());
    for part in backfill.parts() {
        events += store.transaction(|| backfill.carry_out_part(store, part, now))?;
    }
    Ok(Missed { events, since })
}

//! `hookctl webhook enable`

use anyhow::Result;
use clap::Args;

use super::missed::{CatchUp, Missed};
use super::state::StateView;
use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::Context;

/// Make webhooks active, close the circuit breaker, and reset the count of failures
///
/// Waiting deliveries are sent by the next drain. A webhook gets no deliveries for events that were emitted while it
/// was disabled: the output says how many it missed, and the command that delivers them. --backfill does that at
/// once: the missed events become deliveries, oldest first, before the webhook is active again, so that an ordered
/// one keeps its order. If it is interrupted, run it again: it continues. What a webhook missed that is active already
/// is not known: `hookctl event resend --missing -w WEBHOOK` delivers it. A paused webhook is resumed.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook enable crm && hookctl drain -w crm
  hookctl webhook enable crm --backfill")]
pub struct Enable {
    /// Their names or ids
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks, required = true)]
    webhooks: Vec<String>,
    /// Queue the events that they missed while they were disabled
    #[arg(long)]
    backfill: bool,
}

impl Enable {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_write()?;
        let webhooks = self.webhooks.iter().map(|name| context.webhook(&store, name)).collect::<Result<Vec<_>>>()?;
        let mut all_missed = Vec::new();
        for webhook in &webhooks {
            all_missed.push(match self.backfill {
                true => Outcome::Delivered(CatchUp::run(context, &store, webhook)?),
                false => Outcome::Counted(Missed::count(&store, webhook)?),
            });
        }
        let now = context.now();
        let views = store.transaction(|| {
            let mut views = Vec::new();
            for (name, (webhook, outcome)) in self.webhooks.iter().zip(webhooks.iter().zip(&mut all_missed)) {
                context.check_still_there(&store, webhook.id, name)?;
                if let Outcome::Delivered(catch_up) = outcome {
                    catch_up.finish(&store, now)?;
                }
                store.enable_webhook(webhook.id, now)?;
                let waiting = store.count_open(webhook.id)?;
                views.extend(store.webhook(webhook.id)?.map(|webhook| StateView {
                    missed_events: Some(outcome.missed().events),
                    ..StateView::new(&webhook, waiting)
                }));
            }
            anyhow::Ok(views)
        })?;
        let waiting: u64 = views.iter().map(|view| view.waiting).sum();
        let names: Vec<String> = views.iter().map(|view| view.name.clone()).collect();
        context.out.list(views.into_iter().map(Ok), "")?;
        for (name, outcome) in names.iter().zip(&all_missed) {
            outcome.missed().report(context, name, self.backfill);
        }
        if waiting > 0 {
            let goes = counted(waiting, "delivery goes out", "deliveries go out");
            context.out.notice(&format!("{goes} with the next `hookctl drain`"));
        }
        Ok(())
    }
}

/// A webhook's missed events, counted or delivered.
enum Outcome {
    Counted(Missed),
    Delivered(CatchUp),
}

impl Outcome {
    fn missed(&self) -> &Missed {
        match self {
            Outcome::Counted(missed) => missed,
            Outcome::Delivered(catch_up) => &catch_up.missed,
        }
    }
}

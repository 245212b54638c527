//! `hookctl delivery retry`

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::backfill::part_size;
use crate::commands::selection::{GROUP, Selection};
use crate::commands::sending::{self, Sending, Tally, broken_off};
use crate::commands::wording::counted;
use crate::commands::{arguments, held_back, reshaping};
use crate::context::{Context, Exit};
use crate::domain::delivery::Status;
use crate::output::{Page, Text};
use crate::store::{DeliveryRow, DueQuery, Store};

/// Make deliveries due again by hand, and attempt them
///
/// A retried delivery keeps its event id and its attempts, and has all its retries again. With filters, only failed
/// and retrying deliveries are retried unless --status is given. The webhook's current filter and transform are
/// evaluated again. A delivery that is in flight is not retried; one that was cancelled in flight is sent when that
/// request has ended. The first request is sent even if the circuit breaker is open, or the receiver asked to wait
/// (Retry-After). Exits with 5 when a delivery was not delivered.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery retry 42 43
  hookctl delivery retry --status failed -w crm --since 1d --dry-run
  hookctl delivery retry --status failed --error-type timeout --enqueue

Exit status:
  5  not every delivery ended in success")]
pub struct Retry {
    #[command(flatten)]
    selection: Selection,
    /// Only make them due; the next drain sends them
    #[arg(long)]
    enqueue: bool,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = arguments::concurrency)]
    concurrency: usize,
}

#[derive(Debug, Serialize)]
struct RetryView {
    retried: u64,
    busy: u64,
    left_out: u64,
    #[serde(flatten)]
    tally: Tally,
    deliveries: Vec<DeliveryRow>,
}

/// The most deliveries that the report lists.
const MOST_LISTED: usize = 100;

impl Page for RetryView {
    fn describe(&self, text: &mut Text) {
        let mut line = match self.retried {
            0 => "nothing to retry".to_owned(),
            retried => format!("{retried} made due"),
        };
        if self.tally.claimed > 0 {
            line += &format!("; {} attempted: {}", self.tally.claimed, self.tally.told());
        }
        text.line(line);
        if !self.deliveries.is_empty() {
            text.blank();
            text.rows(&self.deliveries);
        }
    }
}

impl Retry {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        self.selection.check("hookctl delivery retry ID..., or --status failed for all that failed")?;
        let is_dry_run = self.selection.dry_run;
        let store = if is_dry_run { context.store_to_read()? } else { context.store_to_write()? };
        let selected = self.selection.select(context, &store, &[Status::Failed, Status::Retrying])?;
        if is_dry_run {
            selected.preview(context, &store)?;
            return Ok(Exit::DONE);
        }
        let now = context.now();
        // Groups are smaller if expressions are evaluated: payloads and bodies are in memory.
        let group = GROUP.min(usize::try_from(part_size(&store.subscribers()?)).unwrap_or(GROUP));
        let retried = selected.change(
            &store,
            group,
            |ids| reshaping::evaluate(&store, ids, true),
            |ids, reshaping| reshaping.retry(&store, ids, now),
        )?;
        let under_way: u64 = retried.iter().map(|(part, _)| part.under_way).sum();
        let refused: u64 = retried.iter().map(|(_, refused)| refused).sum();
        let due: Vec<(i64, i64)> = retried.into_iter().flat_map(|(part, _)| part.due).collect();
        let busy = (selected.ids.len() - due.len()) as u64 - refused;
        selected.tell_left_out(context);
        if busy > under_way {
            context.out.notice(&format!("{} are in flight and were not changed", busy - under_way));
        }
        if under_way > 0 {
            let cancelled = counted(under_way, "was cancelled", "were cancelled");
            context.out.notice(&format!(
                "{cancelled} during an attempt that may still be under way: due again when it has failed, or its lease ends"
            ));
        }
        if refused > 0 {
            let are = counted(refused, "is not sent: its", "are not sent: their");
            context.out.notice(&format!("{are} webhook's filter or transform says so, see `hookctl delivery show ID`"));
        }
        let webhooks: BTreeSet<i64> = due.iter().map(|(webhook, _)| *webhook).collect();
        store.transaction(|| webhooks.iter().try_for_each(|id| store.lift_pause(*id, now)))?;
        let mut view = RetryView {
            retried: due.len() as u64,
            busy,
            left_out: selected.left_out,
            tally: Tally::default(),
            deliveries: Vec::new(),
        };
        if self.enqueue || due.is_empty() {
            list(&mut view, &store, &due)?;
            context.out.outcome(&view)?;
            return Ok(if refused > 0 && !self.enqueue { Exit::NOT_DELIVERED } else { Exit::DONE });
        }
        let options = sending::options(context, self.concurrency.min(due.len()))?;
        let mut sending = Sending::new(context, &store, options)?;
        let sent = sending.deliver(context, "Retrying", due.clone());
        view.tally = sending.tally();
        let waiting = view.retried - view.tally.claimed;
        if sent.is_ok() && waiting > 0 {
            let meant: Vec<i64> = webhooks.into_iter().collect();
            let query = DueQuery { now: context.now(), webhooks: &meant, with_retries: false, with_idle: true };
            held_back::tell(context, &sending.engine.held_back(&meant)?, &store.due_by_webhook(&query)?);
        }
        let is_listed = list(&mut view, &store, &due);
        context.out.outcome(&view)?;
        let made_due = counted(view.retried, "delivery was", "deliveries were");
        sent.and(is_listed).map_err(|error| broken_off(error, &format!("{made_due} made due")))?;
        Ok(sending.exit(refused == 0 && view.tally.succeeded == view.retried))
    }
}

/// Adds the first deliveries to the view, in their present state.
fn list(view: &mut RetryView, store: &Store, due: &[(i64, i64)]) -> Result<()> {
    for (_, id) in due.iter().take(MOST_LISTED) {
        view.deliveries.extend(store.delivery(*id)?);
    }
    Ok(())
}

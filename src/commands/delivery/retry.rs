//! `hookctl delivery retry`

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::view::DeliveryView;
use crate::commands::arguments;
use crate::commands::selection::Selection;
use crate::context::{Context, Exit};
use crate::delivery::{Engine, Turn};
use crate::domain::delivery::Status;
use crate::output::{Page, Text};

/// Make deliveries due again by hand, and attempt them
///
/// A retried delivery keeps its event id and its attempts, and gets a fresh retry budget. By filters only failed and
/// retrying deliveries are meant, unless --status says otherwise. A pause of the webhook (breaker, Retry-After) is lifted
/// for the first request. Exits with 5 when a delivery was not delivered.
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
    /// Make them due only; the next drain sends
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
    claimed: u64,
    succeeded: u64,
    retrying: u64,
    failed: u64,
    deliveries: Vec<DeliveryView>,
}

/// So many deliveries are listed one by one in the report.
const MOST_LISTED: usize = 100;

impl Page for RetryView {
    fn describe(&self, text: &mut Text) {
        let mut line = match self.retried {
            0 => "nothing to retry".to_owned(),
            retried => format!("{retried} made due"),
        };
        if self.claimed > 0 {
            line += &format!(
                "; {} attempted: {} delivered, {} to be retried, {} failed",
                self.claimed, self.succeeded, self.retrying, self.failed
            );
        }
        text.line(line);
        if !self.deliveries.is_empty() {
            text.blank();
            text.rows(&self.deliveries);
        }
    }
}

impl Retry {
    /// Runs the command.
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
        let due = selected.change(&store, |ids| store.retry_deliveries(ids, now))?.concat();
        let busy = (selected.ids.len() - due.len()) as u64;
        selected.tell_left_out(context);
        if busy > 0 {
            context.out.notice(&format!("{busy} are being attempted just now and were left alone"));
        }
        let webhooks: BTreeSet<i64> = due.iter().map(|(webhook, _)| *webhook).collect();
        store.transaction(|| webhooks.iter().try_for_each(|id| store.lift_pause(*id, now)))?;
        let mut view = RetryView {
            retried: due.len() as u64,
            busy,
            left_out: selected.left_out,
            claimed: 0,
            succeeded: 0,
            retrying: 0,
            failed: 0,
            deliveries: Vec::new(),
        };
        let mut stopped = None;
        if !self.enqueue && !due.is_empty() {
            let stop = context.stop_on_signals()?;
            let setup = context.engine_setup(self.concurrency.min(due.len()), &stop);
            let progress = context.out.progress("Retrying", Some(due.len() as u64));
            let mut engine = Engine::new(&store, setup, context.random()?);
            engine.add_deliveries(due.iter().copied());
            while engine.turn()? == Turn::Busy {
                progress.set(engine.summary().finished());
                progress.note(engine.summary().not_delivered());
            }
            progress.finish();
            let summary = engine.summary();
            (view.claimed, view.succeeded) = (summary.claimed, summary.succeeded);
            (view.retrying, view.failed) = (summary.retrying, summary.failed);
            stopped = stop.exit();
            if summary.claimed < view.retried {
                context.out.notice(&format!(
                    "{} wait: their webhook is disabled, paused, rate-limited or ordered",
                    view.retried - summary.claimed
                ));
            }
        }
        for (_, id) in due.iter().take(MOST_LISTED) {
            view.deliveries.extend(store.delivery(*id)?.map(DeliveryView::from));
        }
        let is_delivered = self.enqueue || view.succeeded == view.retried;
        context.out.outcome(&view)?;
        Ok(match stopped {
            Some(exit) => exit,
            None if is_delivered => Exit::DONE,
            None => Exit::NOT_DELIVERED,
        })
    }
}

//! `hookctl delivery retry`

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::filter::Filters;
use super::view::DeliveryView;
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::context::{Context, Exit};
use crate::delivery::{Engine, Turn};
use crate::domain::delivery::Status;
use crate::error::{Failure, Kind};
use crate::output::{Cell, Look, Page, Row, Text};
use crate::store::{DeliveryFilter, Store};

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
    /// Their ids
    #[arg(value_name = "ID", add = Candidates::Deliveries, conflicts_with_all = ["statuses", "webhooks", "event_type", "event_id", "error_types", "status_codes", "since", "until"], value_parser = arguments::id)]
    ids: Vec<i64>,
    #[command(flatten)]
    filters: Filters,
    /// At most so many, newest first; says how many were left out
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    limit: Option<u64>,
    /// Make them due only; the next drain sends
    #[arg(long)]
    enqueue: bool,
    /// Show how many are meant, by webhook; change and send nothing
    #[arg(long)]
    dry_run: bool,
    /// Requests at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = arguments::concurrency)]
    concurrency: usize,
}

/// Deliveries meant, of one webhook.
#[derive(Debug, Serialize)]
pub struct Meant {
    /// The webhook's name.
    pub webhook: String,
    /// How many of its deliveries.
    pub deliveries: u64,
}

impl Row for Meant {
    const COLUMNS: &'static [&'static str] = &["webhook", "deliveries"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![Cell::id(&self.webhook), Cell::number(self.deliveries)]
    }
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
/// So many are made due in one transaction, so that nobody waits long for the lock.
const GROUP: usize = 1_000;

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
        if self.ids.is_empty() && self.filters.is_empty() {
            return Err(Failure::invalid("neither an ID nor a filter is given")
                .hint("hookctl delivery retry ID..., or --status failed for all that failed")
                .into());
        }
        if self.dry_run {
            let store = context.store_to_read()?;
            return self.preview(context, &store);
        }
        let store = context.store_to_write()?;
        let (ids, left_out) = self.meant(context, &store)?;
        let now = context.now();
        let mut due = Vec::new();
        for group in ids.chunks(GROUP) {
            due.extend(store.transaction(|| store.retry_deliveries(group, now))?);
        }
        let busy = (ids.len() - due.len()) as u64;
        tell_left_out(context, left_out);
        if busy > 0 {
            context.out.notice(&format!("{busy} are being attempted just now and were left alone"));
        }
        let webhooks: BTreeSet<i64> = due.iter().map(|(webhook, _)| *webhook).collect();
        store.transaction(|| webhooks.iter().try_for_each(|id| store.lift_pause(*id, now)))?;
        let mut view = RetryView {
            retried: due.len() as u64,
            busy,
            left_out,
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
            stopped = stop.exit_code();
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
            Some(code) => Exit(code),
            None if is_delivered => Exit::DONE,
            None => Exit::NOT_DELIVERED,
        })
    }

    /// The ids that are meant, oldest first, and how many more there are.
    fn meant(&self, context: &Context, store: &Store) -> Result<(Vec<i64>, u64)> {
        if !self.ids.is_empty() {
            check_ids(store, &self.ids)?;
            let ids: BTreeSet<i64> = self.ids.iter().copied().collect();
            return Ok((ids.into_iter().collect(), 0));
        }
        let filter = self.filter(context, store)?;
        let all: u64 = store.count_deliveries_by_webhook(&filter)?.iter().map(|(_, count)| count).sum();
        let mut ids = store.delivery_ids(&DeliveryFilter { limit: self.limit, ..filter })?;
        ids.reverse();
        let left_out = all.saturating_sub(ids.len() as u64);
        Ok((ids, left_out))
    }

    fn filter(&self, context: &Context, store: &Store) -> Result<DeliveryFilter> {
        let mut filter = self.filters.resolve(context, store)?;
        if filter.statuses.is_empty() {
            filter.statuses = vec![Status::Failed, Status::Retrying];
        }
        Ok(filter)
    }

    fn preview(&self, context: &mut Context, store: &Store) -> Result<Exit> {
        let (ids, left_out) = self.meant(context, store)?;
        let counts = store.count_ids_by_webhook(&ids)?;
        let rows = counts.into_iter().map(|(webhook, deliveries)| Ok(Meant { webhook, deliveries }));
        context.out.list(rows, "no deliveries match")?;
        tell_left_out(context, left_out);
        Ok(Exit::DONE)
    }
}

/// Says how many deliveries `--limit` keeps out.
pub fn tell_left_out(context: &mut Context, left_out: u64) {
    if left_out > 0 {
        context.out.notice(&format!("{left_out} more match and were left out by --limit"));
    }
}

/// Checks that every id names a delivery.
pub fn check_ids(store: &Store, ids: &[i64]) -> Result<()> {
    for id in ids {
        if store.delivery(*id)?.is_none() {
            return Err(Failure::new(Kind::NotFound, format!("no delivery {id}"))
                .hint("see `hookctl delivery list`")
                .into());
        }
    }
    Ok(())
}

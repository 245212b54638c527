//! `hookctl delivery prune`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::filter;
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::pruning::Pruning;
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::domain::delivery::Status;
use crate::error::Failure;
use crate::output::{Cell, Look, Row};
use crate::store::{PruneFilter, Store};

/// Delete old finished deliveries from the log, with their attempts
///
/// Their age counts from the last attempt. Deliveries that are not finished are never deleted. An event is deleted with its
/// last delivery; without --status, so are events of that age that never had one. Event ids are remembered: the same event
/// emitted again is a duplicate. The counters of webhooks stay. Asks first, or needs --yes. `hookctl db policy` makes
/// drain prune.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery prune --older-than 30d --dry-run
  hookctl delivery prune --older-than 30d --yes
  hookctl delivery prune --older-than 7d --status success,cancelled --yes")]
pub struct Prune {
    /// Only those finished longer ago than this
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    older_than: Duration,
    /// Only with this status: success, failed, cancelled [repeatable, or with commas]
    #[arg(long = "status", value_name = "STATUS", add = Candidates::Words(Status::NAMES), value_delimiter = ',', value_parser = filter::status)]
    statuses: Vec<Status>,
    /// Show how many would be deleted, by webhook and status; delete nothing
    #[arg(long)]
    dry_run: bool,
}

/// How many deliveries of one webhook and status would be deleted.
#[derive(Debug, Serialize)]
struct Prunable {
    webhook: String,
    status: Status,
    deliveries: u64,
}

impl Row for Prunable {
    const COLUMNS: &'static [&'static str] = &["webhook", "status", "deliveries"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![Cell::id(&self.webhook), super::view::status_cell(self.status), Cell::number(self.deliveries)]
    }
}

impl Prune {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if self.statuses.iter().any(|status| status.is_open()) {
            return Err(Failure::option("--status", "only success, failed and cancelled deliveries can be deleted")
                .hint("cancel those that wait with `hookctl delivery cancel`")
                .into());
        }
        let filter = PruneFilter { before: context.now().minus(self.older_than), statuses: self.statuses };
        if self.dry_run {
            return preview(context, &filter);
        }
        let store = context.store_to_write()?;
        let deliveries: u64 = store.count_prunable(&filter)?.iter().map(|(_, _, count)| count).sum();
        let events = bare_events(&store, &filter)?;
        if deliveries + events > 0 {
            context.confirm(&format!(
                "Delete {} with their attempts, and {}?",
                counted(deliveries, "delivery", "deliveries"),
                events_too(&filter, events)
            ))?;
        }
        store.write_back_early()?;
        let stop = context.stop_on_signals()?;
        let progress = context.out.progress("Pruning", Some(deliveries));
        let mut pruning = Pruning::new(&store, &stop, None);
        pruning.deliveries(&filter, |done| progress.set(done))?;
        if filter.statuses.is_empty() {
            pruning.events(filter.before)?;
        }
        let removed = pruning.removed;
        progress.finish();
        context.erase_deleted(&store);
        let report = json!({ "deleted_deliveries": removed.deliveries, "deleted_events": removed.events });
        let line = format!(
            "{} and {} deleted",
            counted(removed.deliveries, "delivery", "deliveries"),
            counted(removed.events, "event", "events")
        );
        context.out.report(&report, &line)?;
        Ok(stop.exit().unwrap_or(Exit::DONE))
    }
}

fn preview(context: &mut Context, filter: &PruneFilter) -> Result<Exit> {
    let store = context.store_to_read()?;
    let counts = store.count_prunable(filter)?;
    let deliveries: u64 = counts.iter().map(|(_, _, count)| count).sum();
    let rows = counts.into_iter().map(|(webhook, status, deliveries)| Ok(Prunable { webhook, status, deliveries }));
    context.out.list(rows, "no finished deliveries of that age")?;
    let events = bare_events(&store, filter)?;
    if deliveries + events > 0 {
        context.out.notice(&format!("deleted too: {}", events_too(filter, events)));
    }
    Ok(Exit::DONE)
}

/// The events that go with the deliveries; `bare` have none already.
fn events_too(filter: &PruneFilter, bare: u64) -> String {
    let left = "events that have no delivery left".to_owned();
    if filter.statuses.is_empty() && bare > 0 { format!("{left} ({bare} have none now)") } else { left }
}

/// How many events that never had a delivery are deleted; none with --status.
fn bare_events(store: &Store, filter: &PruneFilter) -> Result<u64> {
    if filter.statuses.is_empty() { Ok(store.count_bare_events(filter.before)?) } else { Ok(0) }
}

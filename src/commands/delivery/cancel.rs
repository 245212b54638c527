//! `hookctl delivery cancel`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::filter::Filters;
use super::retry::{Meant, check_ids, tell_left_out};
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::domain::delivery::Status;
use crate::error::Failure;
use crate::output::{Page, Text};
use crate::store::DeliveryFilter;

/// Take back deliveries that wait
///
/// Finished deliveries stay as they are; `hookctl delivery retry` undoes it. By filters it asks first, or needs --yes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery cancel 42
  hookctl delivery cancel -w crm --status retrying --yes  # asks without --yes")]
pub struct Cancel {
    /// Their ids
    #[arg(value_name = "ID", add = Candidates::Deliveries, conflicts_with_all = ["statuses", "webhooks", "event_type", "event_id", "error_types", "status_codes", "since", "until"], value_parser = arguments::id)]
    ids: Vec<i64>,
    #[command(flatten)]
    filters: Filters,
    /// At most so many, newest first
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    limit: Option<u64>,
    /// Show how many are meant, by webhook; change nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Serialize)]
struct CancelView {
    cancelled: u64,
    finished: u64,
    left_out: u64,
}

impl Page for CancelView {
    fn describe(&self, text: &mut Text) {
        let mut line = format!("{} cancelled", self.cancelled);
        if self.finished > 0 {
            line += &format!("; {} were finished already", self.finished);
        }
        if self.left_out > 0 {
            line += &format!("; {} more match and were left out by --limit", self.left_out);
        }
        text.line(line);
    }
}

/// So many are cancelled in one transaction, so that nobody waits long for the lock.
const GROUP: usize = 1_000;

impl Cancel {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        if self.ids.is_empty() && self.filters.is_empty() {
            return Err(Failure::invalid("neither an ID nor a filter is given")
                .hint("hookctl delivery cancel ID..., or -w WEBHOOK for all that wait for it")
                .into());
        }
        let store = if self.dry_run { context.store_to_read()? } else { context.store_to_write()? };
        let mut filter = self.filters.resolve(context, &store)?;
        filter.statuses.retain(|status| status.is_open());
        if !self.filters.statuses.is_empty() && filter.statuses.is_empty() {
            return Err(Failure::option("--status", "only pending and retrying deliveries can be cancelled").into());
        }
        if filter.statuses.is_empty() {
            filter.statuses = vec![Status::Pending, Status::Retrying];
        }
        let (ids, left_out) = if self.ids.is_empty() {
            let all: u64 = store.count_deliveries_by_webhook(&filter)?.iter().map(|(_, count)| count).sum();
            let ids = store.delivery_ids(&DeliveryFilter { limit: self.limit, ..filter })?;
            let left_out = all.saturating_sub(ids.len() as u64);
            (ids, left_out)
        } else {
            check_ids(&store, &self.ids)?;
            (self.ids.clone(), 0)
        };
        if self.dry_run {
            let counts = store.count_ids_by_webhook(&ids)?;
            let rows = counts.into_iter().map(|(webhook, deliveries)| Ok(Meant { webhook, deliveries }));
            context.out.list(rows, "no deliveries match")?;
            tell_left_out(context, left_out);
            return Ok(Exit::DONE);
        }
        if self.ids.is_empty() && !ids.is_empty() {
            context.confirm(&format!("Cancel {}?", counted(ids.len() as u64, "delivery", "deliveries")))?;
        }
        let mut cancelled = 0;
        for group in ids.chunks(GROUP) {
            cancelled += store.transaction(|| store.cancel_deliveries(group))? as u64;
        }
        let view = CancelView { cancelled, finished: ids.len() as u64 - cancelled, left_out };
        context.out.outcome(&view)?;
        Ok(Exit::DONE)
    }
}

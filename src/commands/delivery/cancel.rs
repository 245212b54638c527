//! `hookctl delivery cancel`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::selection::{GROUP, Selection};
use crate::commands::wording::counted;
use crate::context::Context;
use crate::domain::delivery::Status;
use crate::error::Failure;
use crate::output::{Page, Text};

/// Cancel deliveries that are not finished
///
/// Finished deliveries are not changed. `hookctl delivery retry` undoes it. With filters it asks first, or needs --yes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery cancel 42
  hookctl delivery cancel -w crm --status retrying --yes  # asks without --yes")]
pub struct Cancel {
    #[command(flatten)]
    selection: Selection,
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
            line += &format!("; {} already finished", self.finished);
        }
        if self.left_out > 0 {
            line += &format!("; {} more match and were left out by --limit", self.left_out);
        }
        text.line(line);
    }
}

impl Cancel {
    pub fn run(mut self, context: &mut Context) -> Result<()> {
        self.selection.check("hookctl delivery cancel ID..., or -w WEBHOOK for all that wait for it")?;
        let statuses = &mut self.selection.filters.statuses;
        let is_given = !statuses.is_empty();
        statuses.retain(|status| status.is_open());
        if is_given && statuses.is_empty() {
            return Err(Failure::option("--status", "only pending and retrying deliveries can be cancelled").into());
        }
        let is_dry_run = self.selection.dry_run;
        let store = if is_dry_run { context.store_to_read()? } else { context.store_to_write()? };
        let selected = self.selection.select(context, &store, &[Status::Pending, Status::Retrying])?;
        if is_dry_run {
            selected.preview(context, &store)?;
            return Ok(());
        }
        let count = selected.ids.len() as u64;
        if self.selection.is_by_filters() && count > 0 {
            context.confirm(&format!("Cancel {}?", counted(count, "delivery", "deliveries")))?;
        }
        let cancelled = selected.change(&store, GROUP, |_| Ok(()), |ids, ()| store.cancel_deliveries(ids))?;
        let cancelled = cancelled.into_iter().sum::<usize>() as u64;
        let view = CancelView { cancelled, finished: count - cancelled, left_out: selected.left_out };
        context.out.outcome(&view)
    }
}

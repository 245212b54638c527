//! `hookctl outbox discard`

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::source::RejectedRows;
use crate::commands::wording::counted;
use crate::context::Context;

/// Delete rejected rows: their events are discarded
///
/// It never deletes rows that wait to be taken in.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl outbox discard app.db --yes
  hookctl outbox discard app.db --row 17 --yes")]
pub struct Discard {
    #[command(flatten)]
    rejected: RejectedRows,
}

impl Discard {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        context.confirm(match self.rejected.rows.len() {
            0 => "Delete every rejected row?",
            1 => "Delete this rejected row?",
            _ => "Delete these rejected rows?",
        })?;
        let discarded = self.rejected.change(context, |outbox| outbox.discard(&self.rejected.rows))?;
        let rows = counted(discarded, "rejected row is", "rejected rows are");
        context.out.report(&json!({ "discarded": discarded }), &format!("{rows} deleted"))
    }
}

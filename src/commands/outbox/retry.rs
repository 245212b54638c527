//! `hookctl outbox retry`

use anyhow::Result;
use clap::Args;
use serde_json::json;

use super::source::RejectedRows;
use crate::commands::wording::counted;
use crate::context::Context;

/// Let the next drain try rejected rows again
///
/// For rows that were fixed, or whose reason is gone: `hookctl outbox status` shows them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl outbox retry app.db
  hookctl outbox retry app.db --row 17 --row 18")]
pub struct Retry {
    #[command(flatten)]
    rejected: RejectedRows,
}

impl Retry {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        let retried = self.rejected.change(context, |outbox| outbox.retry(&self.rejected.rows))?;
        let rows = counted(retried, "row waits", "rows wait");
        context.out.report(&json!({ "retried": retried }), &format!("{rows} for the next drain"))
    }
}

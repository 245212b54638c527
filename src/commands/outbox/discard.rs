//! `hookctl outbox discard`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::source::RejectedRows;
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::output::{Page, Text};

/// Delete rejected rows: their events are given up
///
/// Rows that wait to be taken in are never deleted by it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl outbox discard app.db --yes
  hookctl outbox discard app.db --row 17 --yes")]
pub struct Discard {
    #[command(flatten)]
    rejected: RejectedRows,
}

#[derive(Debug, Serialize)]
struct DiscardView {
    discarded: u64,
}

impl DiscardView {
    fn line(&self) -> String {
        format!("{} deleted", counted(self.discarded, "rejected row is", "rejected rows are"))
    }
}

impl Page for DiscardView {
    fn describe(&self, text: &mut Text) {
        text.line(self.line());
    }
}

impl Discard {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        context.refuse_if_read_only()?;
        context.confirm(match self.rejected.rows.len() {
            0 => "Delete every rejected row?",
            1 => "Delete this rejected row?",
            _ => "Delete these rejected rows?",
        })?;
        let discarded = self.rejected.change(context, |outbox| outbox.discard(&self.rejected.rows))?;
        let view = DiscardView { discarded };
        context.out.report(&view, &view.line())?;
        Ok(Exit::DONE)
    }
}

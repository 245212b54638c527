//! `hookctl outbox retry`

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::source;
use crate::commands::wording::counted;
use crate::context::{Context, Exit};
use crate::output::{Page, Text};

/// Take the mark from rejected rows, so that the next drain tries them again
///
/// For rows that were mended, or whose reason has gone: `hookctl outbox status` shows them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl outbox retry app.db
  hookctl outbox retry app.db --row 17 --row 18")]
pub struct Retry {
    /// Only this row, by its id [repeatable]
    #[arg(long = "row", value_name = "ID")]
    rows: Vec<i64>,
    /// The application's database [default: what hookctl.emit left on the server of --db]
    #[arg(value_name = "SOURCE")]
    source: Option<OsString>,
}

#[derive(Debug, Serialize)]
struct RetryView {
    retried: u64,
}

impl RetryView {
    fn line(&self) -> String {
        let rows = counted(self.retried, "row waits", "rows wait");
        format!("{rows} for the next drain")
    }
}

impl Page for RetryView {
    fn describe(&self, text: &mut Text) {
        text.line(self.line());
    }
}

impl Retry {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        context.refuse_if_read_only()?;
        let retried = source::with(context, self.source.as_ref(), |outbox| outbox.retry(&self.rows))?;
        let view = RetryView { retried: retried as u64 };
        context.out.report(&view, &view.line())?;
        Ok(Exit::DONE)
    }
}

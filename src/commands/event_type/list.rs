//! `hookctl event-type list`

use anyhow::Result;
use clap::Args;

use super::view::EventTypeView;
use crate::commands::paging;
use crate::context::Context;

/// List the catalogue
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event-type list
  hookctl event-type list -o csv")]
pub struct List {
    /// At most this many, or all [default: all]
    #[arg(long, value_name = "N|all", value_parser = paging::limit)]
    limit: Option<u64>,
}

impl List {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let rows = store.event_types()?;
        let (all, limit) = (rows.len() as u64, self.limit.unwrap_or(u64::MAX));
        let shown = usize::try_from(limit).unwrap_or(usize::MAX);
        let rows = rows.into_iter().take(shown).map(|row| Ok(EventTypeView::from(row)));
        context.out.list(rows, "the catalogue is empty")?;
        if limit < all && context.out.is_for_people() {
            context.out.notice(&format!("{limit} of {all} shown; `--limit all` shows all"));
        }
        Ok(())
    }
}

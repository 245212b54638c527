//! `hookctl delivery list`

use anyhow::Result;
use clap::Args;

use super::filter::Filters;
use crate::commands::arguments;
use crate::commands::paging::{self, Limit};
use crate::context::Context;
use crate::store::{DeliveryFilter, DeliveryRow};

/// List deliveries, newest first
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl delivery list --status failed -w crm
  hookctl delivery list --type 'invoice.*' --since 2h
  hookctl delivery list --entity invoice:42
  hookctl delivery list --status-code 5xx --longer-than 5s
  hookctl delivery list --status-code 5xx -o jsonl")]
pub struct List {
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    limit: Limit,
    /// Only those older than this delivery: the next page
    #[arg(long, value_name = "ID", value_parser = arguments::id)]
    before: Option<i64>,
}

impl List {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let filter = self.filters.resolve(context, &store)?;
        let limit = self.limit.rows(&context.out);
        let rows = paging::rows(
            self.before,
            limit,
            |row: &DeliveryRow| row.id,
            |before, limit| Ok(store.deliveries(&DeliveryFilter { before, limit: Some(limit), ..filter.clone() })?),
        );
        let count = |most| {
            let limit = Some(most);
            Ok(store.count_deliveries(&DeliveryFilter { before: self.before, limit, ..filter.clone() })?)
        };
        let empty = match self.filters.is_empty() && self.before.is_none() {
            true => "no deliveries yet; `hookctl emit TYPE --data JSON` makes some",
            false => "no deliveries match; see the newest with `hookctl delivery list`",
        };
        paging::show(context, limit, rows, empty, count)
    }
}

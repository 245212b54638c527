//! Selection of deliveries by ids or filters, with a limit and a preview.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::arguments;
use super::candidates::Candidates;
use super::delivery::filter::Filters;
use crate::context::Context;
use crate::domain::delivery::Status;
use crate::error::{Failure, Kind};
use crate::output::{Cell, Look, Row};
use crate::store::{DeliveryFilter, Store, StoreError};

#[derive(Args, Debug)]
pub struct Selection {
    /// Their ids
    #[arg(value_name = "ID", add = Candidates::Deliveries, conflicts_with_all = ["Filters", "limit"], value_parser = arguments::id)]
    ids: Vec<i64>,
    #[command(flatten)]
    pub filters: Filters,
    /// At most this many, newest first; reports how many were left out
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    limit: Option<u64>,
    /// Show how many match, by webhook, and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug)]
pub struct Selected {
    /// Oldest first.
    pub ids: Vec<i64>,
    /// How many more match and were left out by `--limit`.
    pub left_out: u64,
    is_by_ids: bool,
}

/// How many deliveries of one webhook are selected.
#[derive(Debug, Serialize)]
struct Meant {
    webhook: String,
    deliveries: u64,
}

impl Row for Meant {
    const COLUMNS: &'static [&'static str] = &["webhook", "deliveries"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![Cell::id(&self.webhook), Cell::number(self.deliveries)]
    }
}

/// How many are changed in one transaction, so that the lock is held for a short time.
pub const GROUP: usize = 1_000;

impl Selection {
    /// Refuses a command line without ids and filters, so that nobody selects all deliveries by accident.
    pub fn check(&self, hint: &str) -> Result<()> {
        if self.is_by_filters() && self.filters.is_empty() {
            return Err(Failure::invalid("neither an ID nor a filter is given").hint(hint).into());
        }
        Ok(())
    }

    pub fn is_by_filters(&self) -> bool {
        self.ids.is_empty()
    }

    /// The selected deliveries; without --status, those with one of `statuses`.
    pub fn select(&self, context: &Context, store: &Store, statuses: &[Status]) -> Result<Selected> {
        if !self.is_by_filters() {
            let ids: BTreeSet<i64> = self.ids.iter().copied().collect();
            let ids: Vec<i64> = ids.into_iter().collect();
            check_ids(store, &ids)?;
            return Ok(Selected { ids, left_out: 0, is_by_ids: true });
        }
        let mut filter = self.filters.resolve(context, store)?;
        if filter.statuses.is_empty() {
            filter.statuses = statuses.to_vec();
        }
        let all: u64 = store.count_deliveries_by_webhook(&filter)?.iter().map(|(_, count)| count).sum();
        let mut ids = store.delivery_ids(&DeliveryFilter { limit: self.limit, ..filter })?;
        ids.reverse();
        let left_out = all.saturating_sub(ids.len() as u64);
        Ok(Selected { ids, left_out, is_by_ids: false })
    }
}

impl Selected {
    pub fn preview(&self, context: &mut Context, store: &Store) -> Result<()> {
        let counts = store.count_ids_by_webhook(&self.ids)?;
        let rows = counts.into_iter().map(|(webhook, deliveries)| Ok(Meant { webhook, deliveries }));
        context.out.list(rows, "no deliveries match")?;
        self.tell_left_out(context);
        Ok(())
    }

    pub fn tell_left_out(&self, context: &mut Context) {
        if self.left_out > 0 {
            context.out.notice(&format!("{} more match and were left out by --limit", self.left_out));
        }
    }

    /// Changes the deliveries in groups, each in one transaction. `prepare` runs before it; returns the results of `change`.
    pub fn change<P, T>(
        &self,
        store: &Store,
        group: usize,
        prepare: impl Fn(&[i64]) -> Result<P>,
        change: impl Fn(&[i64], P) -> Result<T, StoreError>,
    ) -> Result<Vec<T>> {
        let change = |group: &[i64]| {
            let prepared = prepare(group)?;
            store.transaction(|| {
                store.lock_states_of(group)?;
                // They may have been deleted since they were looked up.
                if self.is_by_ids {
                    check_ids(store, group)?;
                }
                Ok(change(group, prepared)?)
            })
        };
        self.ids.chunks(group).map(change).collect()
    }
}

fn check_ids(store: &Store, ids: &[i64]) -> Result<()> {
    for id in ids {
        if store.delivery(*id)?.is_none() {
            return Err(Failure::new(Kind::NotFound, format!("no delivery {id}"))
                .hint("see `hookctl delivery list`")
                .into());
        }
    }
    Ok(())
}

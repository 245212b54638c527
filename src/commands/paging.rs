//! Lists of any length in constant memory: rows are read page by page, newest first.

use std::collections::VecDeque;

use anyhow::Result;
use clap::Args;

use super::arguments;

/// The options of every list.
#[derive(Args, Clone, Copy, Debug)]
pub struct Limit {
    /// Show at most so many, newest first
    #[arg(long, value_name = "N", default_value = "50", value_parser = arguments::at_least_one)]
    pub limit: u64,
}

/// Rows read at once.
pub const PAGE: u64 = 500;

/// Every row up to `limit`, fetched by `fetch(before, limit)`, which returns rows newest first; `id` tells a row's id.
pub fn rows<R>(
    mut before: Option<i64>,
    limit: u64,
    id: impl Fn(&R) -> i64,
    mut fetch: impl FnMut(Option<i64>, u64) -> Result<Vec<R>>,
) -> impl Iterator<Item = Result<R>> {
    let (mut left, mut page, mut is_last) = (limit, VecDeque::new(), false);
    std::iter::from_fn(move || {
        if page.is_empty() && !is_last && left > 0 {
            let wanted = left.min(PAGE);
            match fetch(before, wanted) {
                Ok(rows) => {
                    is_last = (rows.len() as u64) < wanted;
                    left -= rows.len() as u64;
                    before = rows.last().map(&id);
                    page = rows.into();
                }
                Err(error) => {
                    is_last = true;
                    return Some(Err(error));
                }
            }
        }
        page.pop_front().map(Ok)
    })
}

//! Lists of any length in constant memory: rows are read in pages, newest first.

use std::collections::VecDeque;

use anyhow::Result;
use clap::Args;

use super::arguments;
use crate::context::Context;
use crate::output::{Output, Row};

/// The options of every list.
#[derive(Args, Clone, Copy, Debug)]
pub struct Limit {
    /// At most this many, newest first, or all [default: 50 in a table, all in JSON, JSON lines and CSV]
    #[arg(long, value_name = "N|all", value_parser = limit)]
    limit: Option<u64>,
}

/// Rows read at once.
pub const PAGE: u64 = 500;

/// The default limit of a table.
const TABLE: u64 = 50;

/// Rows left out of a table are counted up to this, so that it does not take long.
const MOST_COUNTED: u64 = 10_000;

impl Limit {
    /// The most rows to show; for programs, all.
    pub fn rows(self, out: &Output) -> u64 {
        self.limit.unwrap_or(if out.is_for_people() { TABLE } else { u64::MAX })
    }
}

/// `N`, or `all`, for clap.
pub fn limit(text: &str) -> Result<u64, String> {
    match text {
        "all" => Ok(u64::MAX),
        number => arguments::at_least_one(number).map_err(|error| format!("{error}, nor all")),
    }
}

/// Shows at most `limit` rows, and says how many there are if a table was cut. `count` counts them up to the number it is given.
pub fn show<R: Row>(
    context: &mut Context,
    limit: u64,
    rows: impl IntoIterator<Item = Result<R>>,
    empty: &str,
    count: impl FnOnce(u64) -> Result<u64>,
) -> Result<()> {
    let mut shown = 0;
    context.out.list(rows.into_iter().inspect(|_| shown += 1), empty)?;
    if shown < limit || !context.out.is_for_people() {
        return Ok(());
    }
    let all = count(MOST_COUNTED.max(shown) + 1)?;
    if all > shown {
        let more = if all > MOST_COUNTED { format!("more than {}", all - 1) } else { all.to_string() };
        context.out.notice(&format!("{shown} of {more} shown; `--limit all` shows all, `--before ID` the next page"));
    }
    Ok(())
}

/// All rows up to `limit`, read by `fetch(before, limit)`, newest first; `id` returns the id of a row.
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

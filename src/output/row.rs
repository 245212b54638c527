//! One row of a list.

use serde::Serialize;

use super::cell::Cell;
use super::look::Look;

pub trait Row: Serialize {
    /// The table's column names, shown in upper case.
    const COLUMNS: &'static [&'static str];
    /// The columns that are left out one by one, in this order, if the terminal is too narrow.
    const SPARE: &'static [&'static str] = &[];

    /// The widths of the columns of an endless list, so that they stay aligned, and whether a column shares the remaining width.
    const HELD: &'static [(u16, bool)] = &[];

    /// The table's cells, one for each column.
    fn cells(&self, look: &Look) -> Vec<Cell>;
}

//! One row of a list.

use serde::Serialize;

use super::cell::Cell;
use super::look::Look;

/// One row of a list.
pub trait Row: Serialize {
    /// The table's column names, shown in upper case.
    const COLUMNS: &'static [&'static str];
    /// The columns that are left out, the first one first, where the terminal is too narrow for all.
    const SPARE: &'static [&'static str] = &[];

    /// How wide the columns of rows that keep coming are from the first one on, so that they stay in their places, and whether
    /// a column takes a share of what is left of the line.
    const HELD: &'static [(u16, bool)] = &[];

    /// The table's cells, one for each column.
    fn cells(&self, look: &Look) -> Vec<Cell>;
}

//! What can be shown: rows of a list, an object, a failure.

use serde::Serialize;

use super::cell::Cell;
use super::look::Look;
use super::text::Text;

/// One row of a list.
pub trait Row: Serialize {
    /// The table's column names, shown in upper case.
    const COLUMNS: &'static [&'static str];
    /// The columns that a terminal too narrow for all does without, the first one first.
    const SPARE: &'static [&'static str] = &[];

    /// The table's cells, one for each column.
    fn cells(&self, look: &Look) -> Vec<Cell>;
}

/// One object on a page of its own.
pub trait Page: Serialize {
    /// How the object reads.
    fn describe(&self, text: &mut Text);
}

/// A failure as it is told.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ErrorView<'a> {
    /// A stable name for programs.
    pub code: &'a str,
    /// One line for people.
    pub message: &'a str,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<&'a str>,
    /// The code that the program exits with.
    pub exit_code: u8,
}

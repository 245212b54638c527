//! What views know about the output.

use super::cell::Cell;
use super::relative_time::relative_time;
use crate::domain::time::Timestamp;

/// The time, the colours and the width of the output.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub(super) now: Timestamp,
    pub(super) color: bool,
    /// The terminal's width; `None` if stdout is no terminal and lines may have any length.
    pub(super) terminal_width: Option<usize>,
}

impl Look {
    /// Whether stdout is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal_width.is_some()
    }

    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A relative time: `3m ago`, `in 59s`.
    pub fn relative(&self, time: Timestamp) -> String {
        relative_time(time, self.now)
    }

    /// A relative time; a dash for none.
    pub fn ago(&self, time: Option<Timestamp>) -> Cell {
        Cell::from(time.map(|time| self.relative(time)))
    }
}

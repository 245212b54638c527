//! What a view may know of the place it is shown in.

use super::cell::Cell;
use super::relative_time::relative_time;
use crate::domain::time::Timestamp;

/// The moment, the colours and the width that a view is shown with.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    pub(super) now: Timestamp,
    pub(super) color: bool,
    /// The terminal's width; `None` when stdout is not one, and lines may be of any length.
    pub(super) terminal_width: Option<usize>,
}

impl Look {
    /// Whether somebody reads it at a terminal.
    pub fn is_terminal(&self) -> bool {
        self.terminal_width.is_some()
    }

    /// The moment that relative times count from.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How far a time is from now: `3m ago`, `in 59s`.
    pub fn relative(&self, time: Timestamp) -> String {
        relative_time(time, self.now)
    }

    /// How far a time is from now, as a cell; a dash for none.
    pub fn ago(&self, time: Option<Timestamp>) -> Cell {
        Cell::from(time.map(|time| self.relative(time)))
    }

    /// An exact time and how far it is from now: `2026-01-31T12:00:00.000Z (3m ago)`; a dash for none.
    pub fn exact(&self, time: Option<Timestamp>) -> Cell {
        Cell::from(time.map(|time| format!("{} ({})", time.rfc3339(), self.relative(time))))
    }
}

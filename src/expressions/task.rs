//! What the parent asks and the child answers, and its bounds.

use std::time::Duration;

use crate::domain::event::PAYLOAD_LIMIT;

/// The argument by which the program becomes the child. It is no command for people.
pub const COMMAND: &str = "evaluate-expressions";

/// How long one evaluation may take.
pub const LONGEST: Duration = Duration::from_secs(1);
/// How much memory it may use, in bytes.
pub const MEMORY: u64 = 128 * 1024 * 1024;
/// The longest body that a transform may make, in bytes.
pub const LONGEST_BODY: usize = PAYLOAD_LIMIT;

/// What an expression is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Whether the event is wanted.
    Filter,
    /// What is sent.
    Transform,
}

/// An expression to be run on an event.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    pub question: Question,
    pub expression: &'a str,
    /// The event's payload.
    pub event: &'a [u8],
}

impl Task<'_> {
    pub fn bytes(&self) -> usize {
        self.expression.len() + self.event.len()
    }
}

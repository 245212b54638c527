//! The delivery engine: claim, send on worker threads, record in group commits. Prints nothing.

mod accept;
mod claim;
mod engine;
mod prepared;
mod queue;
mod record;
mod stop;
#[cfg(test)]
mod tests;

pub use accept::{Intake, Matching, accept, accept_uncounted, count_new, deliver_to};
pub use engine::{Engine, Gates, Setup, Summary, Turn};
pub use prepared::{Clients, Prepared, Request};

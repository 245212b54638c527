//! The delivery engine: claim, send on worker threads, record in group commits. Prints nothing.
//! `docs/design/engine.md` describes a turn.

mod accept;
mod announcement;
mod claim_lanes;
mod claimer;
mod engine;
mod fairness;
mod in_flight;
mod job;
mod known_states;
mod log_lines;
mod outage;
mod passage;
mod prepared;
mod recorder;
mod room;
mod run;
mod schemas;
mod send_queue;
mod settled;
mod shaping;
mod step;
#[cfg(test)]
mod tests;
mod webhook_cache;
mod webhook_states;
mod workers;

pub use accept::{
    AcceptOptions, Acceptance, Matching, SentAtOnce, accept, accept_durably, accept_shaped, sends, stored,
};
pub use claimer::{HeldBack, Hold};
pub use engine::Engine;
pub use outage::wait_out;
pub use prepared::{Clients, Prepared, Request, USER_AGENT};
pub use run::{Gates, RunOptions, Summary, Turn};
pub use schemas::Schemas;
pub use settled::Settled;
pub use shaping::{Case, Shaped, Shapings, shape, shape_hastily};

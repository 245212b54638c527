//! The claim protocol of hookctl as a model, checked state by state: processes take in events, claim deliveries, send and
//! record, while they are stopped, killed and resumed, the clock jumps, and people retry, cancel and disable.
//!
//! Time is in ticks. What the model says of the database is what the statements of `src/store/claims.rs`,
//! `src/store/deliveries.rs` and `src/store/mend.rs` say; what it says of a process is what `src/delivery/` does.

mod database;
mod process;
mod protocol;

pub use database::{Database, Delivery, Health, Status};
pub use process::{Claim, Phase, Process};
pub use protocol::{Action, Guards, Protocol, Scenario, State};

//! What only PostgreSQL has: connecting, how statements run and errors read, round trips, migrations.

mod accept;
mod address;
mod bell;
mod cells;
mod check;
mod copy;
mod engine;
mod error;
mod group;
mod info;
mod link;
mod migrate;
mod open;
mod owner;
mod passfile;
mod query;
mod queue;
mod settings;
mod tls;
mod trip;
mod wake;

pub use address::{AddressError, Server, VARIABLES, Variables};
pub use engine::Postgres;
pub use trip::round_trips;

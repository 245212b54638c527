//! What only PostgreSQL has: connecting, how statements run and errors read, round trips, migrations.

mod accept;
mod address;
mod bell;
mod cells;
mod check;
mod copy;
mod cursor;
mod engine;
mod error;
mod expect;
mod found;
mod group;
mod info;
mod link;
mod migrate;
mod open;
mod outbox;
mod outgoing;
mod owner;
mod passfile;
mod query;
mod queue;
mod record;
mod settings;
mod tls;
mod trip;
mod wake;

pub use address::{AddressError, Server, VARIABLES, Variables};
pub use bell::Bell;
pub use engine::Postgres;
pub use outbox::{
    OUTBOX_LOCK, RANDOM_EVENT_ID, create_outbox, init_outbox, open_outbox, outbox_column, own_outbox_columns,
    ring_for_outbox,
};
pub use trip::round_trips;

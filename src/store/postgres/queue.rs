//! What waits for the next round trip.

use super::link::Request;

#[derive(Clone, Debug)]
pub enum Queued {
    Begin(Request),
    Run(Request),
    /// Asks for the schema and the time; see [`super::migrate`].
    Greet(Request),
    /// A statement that is used often is to be kept prepared.
    Prepare(String),
}

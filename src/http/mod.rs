//! The only place that speaks HTTP: one request to one receiver, guarded, bounded in time and memory.

mod client;
mod connector;
mod errors;
mod resolver;
#[cfg(test)]
mod tests;
mod tls;
mod trust;
mod wire;

pub use client::{Client, ClientError, OutgoingRequest, Target, refusal};

//! The HTTP client: the only place that sends requests. It checks addresses and limits time and memory.

mod client;
mod connector;
mod direct;
mod egress;
mod errors;
mod gateway;
mod identity;
mod idle;
mod local;
mod look_up;
mod raw_answer;
mod refusal;
mod resolver;
mod socks;
mod target;
#[cfg(test)]
mod tests;
mod tls;
mod wire;

pub use client::{Client, Shared, check_ca_cert};
pub use direct::{Direct, DirectError, Reach};
pub use egress::{Egress, Surroundings};
pub use identity::{check_client, client_cert_expiry};
pub use look_up::LookUps;
pub use raw_answer::RawAnswer;
pub use resolver::refusal;
pub use target::{ClientError, OutgoingRequest, Target};

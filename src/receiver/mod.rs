//! A small HTTP/1.1 receiver, on loopback as a rule: what `listen` and `demo` deliver to. It answers as its script says, or
//! what came back where the request was passed on to, and hands over each request as it came, byte for byte.

mod answer;
mod connections;
mod request;
mod script;
mod server;
#[cfg(test)]
mod tests;
mod wire;

pub use script::{Script, parse_status};
pub use server::{PassOn, PassedOn, ReceivedRequest, Receiver};

//! A small HTTP/1.1 server for `listen` and `demo`. It answers by a script, or forwards each request and passes the answer
//! back, and hands over each request byte for byte.

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

//! Webhook signatures: a scheme is a row of a table, and one engine signs and verifies them all.

mod diagnose;
mod encoding;
mod key;
mod overrides;
mod received;
mod scheme;
pub mod schemes;
mod sign;
mod url_escapes;
mod verify;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use diagnose::diagnose;
pub use encoding::Encoding;
pub use key::public_key;
pub use overrides::{Overrides, is_prefix};
pub use received::{Header, parse_header, parse_headers};
pub use scheme::{Algorithm, Form, Hash, KeyForm, Part, Scheme, TimePlace, TimeRule, TimeUnit};
pub use sign::{Message, Signer};
pub use verify::{Question, Reason, Received, Verdict, verify};

//! The rules, pure: no SQL, no sockets, no clock, no environment, and no randomness that is not passed in.

/// The names of an enum's variants, in the database and in output, in the order of the documentation.
macro_rules! names {
    ($kind:ident: $($variant:ident = $name:literal,)+) => {
        impl $kind {
            pub const NAMES: &[&str] = &[$($name),+];

            pub fn as_str(self) -> &'static str {
                match self {
                    $($kind::$variant => $name,)+
                }
            }

            pub fn from_name(name: &str) -> Option<$kind> {
                match name {
                    $($name => Some($kind::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

pub mod attempt;
pub mod breaker;
pub mod credential;
pub mod custom_headers;
pub mod delivery;
pub mod duration;
pub mod envelope;
pub mod event;
pub mod event_draft;
pub mod event_type;
pub mod example;
pub mod histogram;
pub mod json;
pub mod members;
pub mod message;
pub mod network;
pub mod outbox_row;
pub mod outbox_sources;
pub mod owner;
pub mod policy;
pub mod presets;
pub mod proxy;
pub mod rate_limit;
pub mod recording;
pub mod retry;
pub mod seconds;
pub mod secret;
pub mod signature;
pub mod statistics;
pub mod target_url;
pub mod text;
pub mod time;
pub mod webhook;

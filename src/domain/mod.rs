//! The rules, pure: no SQL, no sockets, no clock, no environment, and no randomness that is not passed in.

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
pub mod histogram;
pub mod json;
pub mod members;
pub mod network;
pub mod owner;
pub mod proxy;
pub mod rate_limit;
pub mod retry;
pub mod seconds;
pub mod secret;
pub mod signature;
pub mod statistics;
pub mod target_url;
pub mod text;
pub mod time;
pub mod webhook;

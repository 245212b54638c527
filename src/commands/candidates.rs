//! The completion of argument values: `#[arg(add = Candidates::Webhooks)]`.

use clap::builder::ArgExt;

/// `hookctl complete` looks the values up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates {
    Webhooks,
    EventTypes,
    /// Event types, also after a `!`.
    Patterns,
    Events,
    Deliveries,
    Schemes,
    /// Sections of `config.toml`.
    Profiles,
    /// Exactly these.
    Words(&'static [&'static str]),
}

impl ArgExt for Candidates {}

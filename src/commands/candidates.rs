//! What completion offers as the value of an argument: `#[arg(add = Candidates::Webhooks)]`.

use clap::builder::ArgExt;

/// `complete` looks the values up when somebody presses Tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates {
    Webhooks,
    EventTypes,
    /// Event types, also behind the `!` that takes them out.
    Patterns,
    Events,
    Deliveries,
    Statuses,
    ErrorTypes,
    Schemes,
    /// Sections of `config.toml`.
    Profiles,
    /// These and no others.
    Words(&'static [&'static str]),
}

impl ArgExt for Candidates {}

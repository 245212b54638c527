//! What completion offers as the value of an argument: `#[arg(add = Candidates::Webhooks)]`.

use clap::builder::ArgExt;

/// `complete` looks the values up when somebody presses Tab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidates {
    Webhooks,
    EventTypes,
    Events,
    Deliveries,
    Statuses,
    ErrorTypes,
    Schemes,
    /// Sections of `config.toml`.
    Profiles,
}

impl ArgExt for Candidates {}

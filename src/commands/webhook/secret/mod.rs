//! `hookctl webhook secret`: the secrets that sign a webhook's requests.

pub mod expire;
pub mod public_key;
pub mod reveal;
pub mod rotate;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};

/// The commands about a webhook's secrets.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl webhook secret rotate crm   # both secrets sign for a day
  hookctl webhook secret expire crm   # the old one no longer does")]
pub enum Command {
    Rotate(rotate::Rotate),
    Reveal(reveal::Reveal),
    Expire(expire::Expire),
    PublicKey(public_key::PublicKey),
}

impl Command {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::Rotate(command) => command.run(context),
            Command::Reveal(command) => command.run(context),
            Command::Expire(command) => command.run(context),
            Command::PublicKey(command) => command.run(context),
        }
    }
}

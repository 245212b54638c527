//! `hookctl webhook secret`: the secrets that sign a webhook's requests.

pub mod expire;
pub mod public_key;
pub mod reveal;
pub mod rotate;

use clap::Subcommand;

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

run_chosen!(Rotate, Reveal, Expire, PublicKey);

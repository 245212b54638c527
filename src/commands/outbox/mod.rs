//! `hookctl outbox`: tables in which applications leave events, in their own transactions.

pub mod discard;
pub mod init;
pub mod intake;
pub mod retry;
pub mod source;
pub mod standing;
pub mod status;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};

/// The commands about outboxes.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl outbox init app.db
  hookctl outbox status app.db
  hookctl drain --outbox app.db

`hookctl help outbox` shows how applications use it.")]
pub enum Command {
    Init(init::Init),
    Status(status::Status),
    Retry(retry::Retry),
    #[command(visible_alias = "rm")]
    Discard(discard::Discard),
}

impl Command {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::Init(command) => command.run(context),
            Command::Status(command) => command.run(context),
            Command::Retry(command) => command.run(context),
            Command::Discard(command) => command.run(context),
        }
    }
}

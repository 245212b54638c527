//! `hookctl outbox`: tables in which applications leave events, in their own transactions.

pub mod discard;
pub mod init;
pub mod intake;
pub mod retry;
pub mod source;
pub mod standing;
pub mod status;

use clap::Subcommand;

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

run_chosen!(Init, Status, Retry, Discard);

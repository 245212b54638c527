//! `hookctl db`: the database file as a whole.

pub mod backup;
pub mod check;
pub mod files;
pub mod info;
pub mod restore;
pub mod vacuum;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};

/// The commands about the database file.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl db info
  hookctl db backup hookctl-$(date +%F).db")]
pub enum Command {
    /// Show where the file is, its size and mode, what is in it, and what waits
    Info(info::Info),
    /// Look for damage, and mend what can be mended
    Check(check::Check),
    /// Copy the database into a new file, while others go on writing
    Backup(backup::Backup),
    /// Put a backup in the place of the database; the old file is kept beside it
    Restore(restore::Restore),
    /// Give unused space back to the file system
    Vacuum(vacuum::Vacuum),
}

impl Command {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::Info(command) => command.run(context),
            Command::Check(command) => command.run(context),
            Command::Backup(command) => command.run(context),
            Command::Restore(command) => command.run(context),
            Command::Vacuum(command) => command.run(context),
        }
    }
}

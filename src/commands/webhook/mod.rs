//! `hookctl webhook`: the webhooks themselves.

pub mod create;
pub mod delete;
mod dialog;
pub mod disable;
pub mod enable;
pub mod list;
pub mod options;
pub mod secret;
pub mod show;
pub mod test;
pub mod update;
pub mod view;

use anyhow::Result;
use clap::Subcommand;

use crate::context::{Context, Exit};

/// The commands about webhooks.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl webhook list
  hookctl webhook disable crm && hookctl webhook enable crm")]
pub enum Command {
    /// Register a webhook: a receiver and the event types it wants
    Create(create::Create),
    /// List webhooks, newest first
    #[command(visible_alias = "ls")]
    List(list::List),
    /// Show one webhook with its settings, state and counters
    Show(show::Show),
    /// Change a webhook's settings
    Update(Box<update::Update>),
    /// Resume deliveries to webhooks, and reset their breaker
    Enable(enable::Enable),
    /// Stop deliveries to webhooks; what is due waits
    Disable(disable::Disable),
    /// Delete webhooks with their deliveries and attempts
    #[command(visible_alias = "rm")]
    Delete(delete::Delete),
    /// Send one webhook.test event now and tell what came back
    Test(test::Test),
    /// Change or reveal the secret that signs a webhook's requests
    #[command(subcommand)]
    Secret(secret::Command),
}

impl Command {
    /// Runs the command.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        match self {
            Command::Create(command) => command.run(context),
            Command::List(command) => command.run(context),
            Command::Show(command) => command.run(context),
            Command::Update(command) => command.run(context),
            Command::Enable(command) => command.run(context),
            Command::Disable(command) => command.run(context),
            Command::Delete(command) => command.run(context),
            Command::Test(command) => command.run(context),
            Command::Secret(command) => command.run(context),
        }
    }
}

//! `hookctl webhook`

pub mod addresses;
pub mod change;
pub mod create;
pub mod delete;
mod dialog;
pub mod disable;
pub mod egress;
pub mod enable;
mod hmac;
pub mod list;
pub mod missed;
pub mod pause;
pub mod pem;
mod preview;
pub mod resume;
mod sample;
pub mod secret;
pub mod show;
pub mod signing;
mod state;
pub mod test;
pub mod update;
pub mod view;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl webhook list
  hookctl webhook disable crm && hookctl webhook enable crm")]
pub enum Command {
    Create(create::Create),
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Update(Box<update::Update>),
    Enable(enable::Enable),
    Disable(disable::Disable),
    Pause(pause::Pause),
    Resume(resume::Resume),
    #[command(visible_alias = "rm")]
    Delete(delete::Delete),
    Test(test::Test),
    Preview(preview::Preview),
    /// Change or reveal the secret that signs a webhook's requests
    #[command(subcommand)]
    Secret(secret::Command),
}

run_chosen!(Create, List, Show, Update, Enable, Disable, Pause, Resume, Delete, Test, Preview, Secret);

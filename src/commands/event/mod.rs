//! `hookctl event`: emitted events.

pub mod list;
pub mod resend;
pub mod show;
pub mod view;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl event list --since 1d")]
pub enum Command {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Resend(resend::Resend),
}

run_chosen!(List, Show, Resend);

//! `hookctl delivery`: the log of deliveries.

pub mod cancel;
pub mod filter;
pub mod list;
pub mod prune;
pub mod request;
pub mod retry;
pub mod show;
pub mod tail;
pub mod view;
pub mod waiting;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl delivery list --status retrying,failed  # what is not delivered
  hookctl delivery show 42                        # and why")]
pub enum Command {
    #[command(visible_alias = "ls")]
    List(list::List),
    Show(show::Show),
    Retry(retry::Retry),
    Tail(tail::Tail),
    Cancel(cancel::Cancel),
    Prune(prune::Prune),
}

run_chosen!(List, Show, Retry, Tail, Cancel, Prune);

//! One file per command: its options with their help, and what it does. The folders are the command tree.

/// Makes the enum `Command` of a folder run the command that was chosen. A command that has one exit code, 0, returns `()`.
macro_rules! run_chosen {
    ($($variant:ident),+) => {
        impl Command {
            pub fn run(self, context: &mut $crate::context::Context) -> anyhow::Result<$crate::context::Exit> {
                match self {
                    $(Command::$variant(command) => command.run(context).map(Into::into)),+
                }
            }
        }
    };
}

pub mod apply;
pub mod arguments;
pub mod backfill;
pub mod candidates;
pub mod catalogue;
pub mod check;
pub mod complete;
pub mod completions;
pub mod configuration;
pub mod db;
pub mod delivery;
pub mod demo;
pub mod drain;
pub mod emit;
pub mod event;
pub mod event_type;
pub mod export;
pub mod failures;
pub mod given_credential;
pub mod held_back;
pub mod help;
pub mod listen;
pub mod man;
pub mod metrics;
pub mod outbox;
pub mod owners;
pub mod paging;
pub mod probe;
pub mod pruning;
pub mod reach;
pub mod replace_file;
pub mod replay;
pub mod reshaping;
pub mod schemes;
pub mod scope;
pub mod secret_source;
pub mod selection;
pub mod sending;
pub mod sign;
pub mod signature_options;
pub mod stats;
pub mod status;
pub mod verdict;
pub mod verify;
pub mod webhook;
pub mod wording;

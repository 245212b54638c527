//! `hookctl`: administer outgoing webhooks from the command line.

mod cli;
mod clock;
mod commands;
mod context;
mod delivery;
mod domain;
mod error;
mod expressions;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod http;
mod jq;
mod log;
mod new_file;
mod output;
mod process;
mod profile;
mod random;
mod receiver;
mod schema;
mod settings;
mod signals;
mod store;
mod trust;

fn main() -> std::process::ExitCode {
    cli::run(std::env::args_os().collect()).into()
}

//! `hookctl db`: the database file as a whole.

pub mod backup;
pub mod check;
mod content;
pub mod copy;
pub mod decrypt;
pub mod encrypt;
pub mod files;
pub mod info;
pub mod init;
mod key_file;
pub mod policy;
pub mod restore;
pub mod rotate_key;
mod server;
pub mod vacuum;

use clap::Subcommand;

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  hookctl db info
  hookctl db backup hookctl-$(date +%F).db")]
pub enum Command {
    Init(init::Init),
    Info(info::Info),
    Check(check::Check),
    Policy(policy::Policy),
    Copy(copy::Copy),
    Backup(backup::Backup),
    Restore(restore::Restore),
    Vacuum(vacuum::Vacuum),
    Encrypt(encrypt::Encrypt),
    RotateKey(rotate_key::RotateKey),
    Decrypt(decrypt::Decrypt),
}

run_chosen!(Init, Info, Check, Policy, Copy, Backup, Restore, Vacuum, Encrypt, RotateKey, Decrypt);

//! `hookctl db rotate-key`

use anyhow::Result;
use clap::Args;

use super::key_file::{KeyFile, rekey};
use crate::context::Context;
use crate::error::Failure;
use crate::store::data_key;

/// Encrypt secrets and credentials with another key
///
/// HOOKCTL_KEY_FILE names the current key. The new key file is made if it does not exist. All happens in one
/// transaction: if it is killed, run it again. Older backups keep the old key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db encrypt --key-file old.key && HOOKCTL_KEY_FILE=old.key \\
      hookctl db rotate-key --new-key-file new.key")]
pub struct RotateKey {
    /// The new key file: 32 bytes, made if it does not exist
    #[arg(long, value_name = "FILE")]
    new_key_file: String,
}

impl RotateKey {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        let store = context.store_to_write()?;
        let from = data_key()?;
        store.check_key()?;
        if !store.is_encrypted()? {
            return Err(Failure::invalid("the database is not encrypted, so it has no key to rotate")
                .hint("`hookctl db encrypt --key-file FILE` encrypts it")
                .into());
        }
        let to = KeyFile { option: "--new-key-file", name: &self.new_key_file };
        let view = rekey(context, &store, from, Some(to))?;
        context.out.page(&view)
    }
}

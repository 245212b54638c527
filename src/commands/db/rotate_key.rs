//! `hookctl db rotate-key`

use anyhow::Result;
use clap::Args;

use super::key_file::{read_or_make, rekey};
use crate::context::{Context, Exit};
use crate::error::Failure;
use crate::store::{Rekeying, data_key};

/// Encrypt secrets and credentials with another key
///
/// HOOKCTL_KEY_FILE names the key of now. The file of the new key is made where it is not there. All happens in one transaction:
/// a run that was cut off is run again. Backups from before keep the old key.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db encrypt --key-file old.key && HOOKCTL_KEY_FILE=old.key \\
      hookctl db rotate-key --new-key-file new.key")]
pub struct RotateKey {
    /// The file of the new key: 32 bytes, made when it is not there
    #[arg(long, value_name = "FILE")]
    new_key_file: String,
}

impl RotateKey {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        context.refuse_if_read_only()?;
        let store = context.store_to_write()?;
        let from = data_key()?;
        store.check_key()?;
        if !store.is_encrypted()? {
            return Err(Failure::invalid("the database is not encrypted, so it has no key to rotate")
                .hint("`hookctl db encrypt --key-file FILE` encrypts it")
                .into());
        }
        let to = read_or_make(context, "--new-key-file", &self.new_key_file)?;
        let view = rekey(context, &store, Rekeying { from, to: Some(&to) })?;
        context.out.page(&view)?;
        Ok(Exit::DONE)
    }
}

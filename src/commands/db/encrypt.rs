//! `hookctl db encrypt`

use std::path::Path;

use anyhow::Result;
use clap::Args;

use super::key_file::{KeyFile, rekey};
use crate::context::Context;
use crate::error::Failure;
use crate::store::{StoreError, data_key};

/// Encrypt secrets and credentials with a key
///
/// Signing secrets, and headers, URLs, client keys and passwords that are credentials; payloads, responses and names
/// are not encrypted. The key file is made if it does not exist. From then on what reads or writes a credential needs
/// the key, a drain from cron too: HOOKCTL_KEY_FILE names the file, HOOKCTL_KEY holds the key itself, or systemd
/// hands over a credential hookctl.key. Everything else works without it. Backups are as encrypted as the database;
/// older ones are not. All happens in one transaction.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db encrypt --key-file hookctl.key
  hookctl db info")]
pub struct Encrypt {
    /// The key file: 32 bytes, made if it does not exist
    #[arg(long, value_name = "FILE")]
    key_file: String,
}

impl Encrypt {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        let store = context.store_to_write()?;
        let is_encrypted = store.is_encrypted()?;
        if is_encrypted && !Path::new(&self.key_file).exists() {
            return Err(already_encrypted().into());
        }
        // What this key encrypted is left as it is; what another did needs rotate-key.
        match rekey(context, &store, None, Some(KeyFile { option: "--key-file", name: &self.key_file })) {
            Err(error) if is_encrypted && error.downcast_ref().is_some_and(StoreError::is_of_key) => {
                Err(already_encrypted().into())
            }
            view => {
                let view = view?;
                if view.is_empty && data_key().ok().flatten() != view.key.as_ref() {
                    let name = &self.key_file;
                    context.out.warning(&format!(
                        "the database is not encrypted yet: what is stored without the key is stored in clear; set \
                         HOOKCTL_KEY_FILE={name} before the first webhook is created"
                    ));
                }
                context.out.page(&view)
            }
        }
    }
}

fn already_encrypted() -> Failure {
    Failure::option("--key-file", "the database is encrypted with another key already; nothing was changed")
        .hint("`hookctl db rotate-key --new-key-file FILE` gives it a new key; HOOKCTL_KEY_FILE names the one of now")
}

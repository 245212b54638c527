//! `hookctl db decrypt`

use anyhow::Result;
use clap::Args;

use super::key_file::rekey;
use crate::context::Context;
use crate::store::data_key;

/// Write secrets and credentials in plain text again
///
/// HOOKCTL_KEY_FILE names the key. All happens in one transaction. Unset it afterwards: with a key, new secrets are encrypted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl db decrypt && unset HOOKCTL_KEY_FILE")]
pub struct Decrypt {}

impl Decrypt {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        let store = context.store_to_write()?;
        let from = data_key()?;
        let view = rekey(context, &store, from, None)?;
        context.out.page(&view)
    }
}

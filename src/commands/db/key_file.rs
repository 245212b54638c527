//! Key files: created with mode 0600, and durable before anything is encrypted with the key.

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::commands::replace_file::replace;
use crate::commands::wording::counted;
use crate::context::Context;
use crate::error::{Failure, Kind};
use crate::new_file::Readers;
use crate::output::{Page, Text};
use crate::random::Random;
use crate::settings;
use crate::store::{DataKey, Rekeying, Store};

/// Reads the key from a file, or creates the file with a new key.
pub fn read_or_make(context: &mut Context, option: &str, name: &str) -> Result<DataKey> {
    let path = Path::new(name);
    if !path.exists() {
        replace(context, option, name, Readers::Owner, &Random::secret_bytes()?)?;
        context.out.notice(&format!("made {name}: keep a copy elsewhere; without it no secret can be read"));
    }
    let bytes = settings::read_key(option, path).map_err(|reason| Failure::new(Kind::Invalid, reason))?;
    context.report_exposed_key(path)?;
    Ok(DataKey::new(bytes))
}

/// Re-encrypts all secrets and credentials in one transaction, and removes the old values from the write-ahead log.
pub fn rekey(context: &mut Context, store: &Store, keys: Rekeying<'_>) -> Result<RekeyView> {
    let changed = store.transaction(|| store.rekey(keys))?;
    context.erase_deleted(store);
    let is_encrypted = store.is_encrypted()?;
    Ok(RekeyView { changed, is_encrypted, is_empty: keys.to.is_some() && !is_encrypted })
}

#[derive(Debug, Serialize)]
pub struct RekeyView {
    changed: usize,
    /// Whether anything is encrypted.
    is_encrypted: bool,
    /// Whether there was nothing to encrypt.
    #[serde(skip)]
    pub is_empty: bool,
}

impl Page for RekeyView {
    fn describe(&self, text: &mut Text) {
        let form = if self.is_encrypted { "encrypted with the key" } else { "in clear" };
        let what = counted(self.changed as u64, "secret or credential", "secrets and credentials");
        text.line(match self.changed {
            0 if self.is_empty => "nothing to encrypt: no secret or credential is stored yet".to_owned(),
            0 => format!("nothing to do: all are {form}"),
            _ => format!("{what} written {form}"),
        });
    }
}

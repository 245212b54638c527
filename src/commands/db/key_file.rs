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

/// The file of the key that is to be used, and the option that names it.
#[derive(Clone, Copy, Debug)]
pub struct KeyFile<'a> {
    pub option: &'a str,
    pub name: &'a str,
}

impl KeyFile<'_> {
    fn path(&self) -> &Path {
        Path::new(self.name)
    }

    fn make(&self, context: &Context) -> Result<()> {
        Ok(replace(context, self.option, self.name, Readers::Owner, &Random::secret_bytes()?)?)
    }

    fn read(&self, context: &mut Context) -> Result<DataKey> {
        let bytes =
            settings::read_key(self.option, self.path()).map_err(|reason| Failure::new(Kind::Invalid, reason))?;
        context.report_exposed_key(self.path())?;
        Ok(DataKey::new(bytes))
    }
}

/// Re-encrypts all secrets and credentials in one transaction, with the key of `to`, whose file is made where it is not there,
/// or decrypts them; then removes the old values from the write-ahead log.
pub fn rekey(
    context: &mut Context,
    store: &Store,
    from: Option<&DataKey>,
    to: Option<KeyFile<'_>>,
) -> Result<RekeyView> {
    let mut made = None;
    let done = store.transaction(|| {
        // Made under the lock, so that no other process has read a file that is removed again.
        if let Some(file) = to.filter(|file| !file.path().exists()) {
            file.make(context)?;
            made = Some(file);
        }
        let key = to.map(|file| file.read(context)).transpose()?;
        let changed = store.rekey(Rekeying { from, to: key.as_ref() });
        if let Some(unused) = made.take_if(|_| changed.is_err()) {
            // What went wrong with the database is the error to report.
            let _ = std::fs::remove_file(unused.path());
        }
        anyhow::Ok((changed?, key))
    });
    if let Some(KeyFile { name, .. }) = made {
        context.out.notice(&format!("made {name}: keep a copy elsewhere; without it no secret can be read"));
    }
    let (changed, key) = done?;
    context.erase_deleted(store);
    let is_encrypted = store.is_encrypted()?;
    Ok(RekeyView { changed, is_encrypted, is_empty: key.is_some() && !is_encrypted, key })
}

#[derive(Debug, Serialize)]
pub struct RekeyView {
    changed: usize,
    /// Whether anything is encrypted.
    is_encrypted: bool,
    /// Whether there was nothing to encrypt.
    #[serde(skip)]
    pub is_empty: bool,
    /// The key that was used, unless all is in clear now.
    #[serde(skip)]
    pub key: Option<DataKey>,
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

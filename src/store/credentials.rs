//! The credentials among the settings of webhooks, each in a row of its own, so that settings are read without them.

use std::borrow::Cow;

use super::cipher;
use super::encryption::credential_place;
use super::row::one;
use super::value::params;
use super::{Result, Store};
use crate::domain::secret::Secret;
use crate::domain::webhook::Settings;

impl Store {
    /// Fills in the values of a webhook's credentials.
    pub fn load_credentials(&self, webhook_id: i64, settings: &mut Settings) -> Result<()> {
        if settings.credentials_mut().is_empty() {
            return Ok(());
        }
        let sql = "SELECT name, value FROM credentials WHERE webhook_id = $1";
        self.each(sql, params![webhook_id], |row| fill_in(webhook_id, settings, row.next()?, row.next()?))
    }

    /// Writes a webhook's credentials that have a value, and deletes those that it no longer has.
    pub(super) fn save_credentials(&self, webhook_id: i64, settings: &Settings) -> Result<()> {
        let mut settings = settings.clone();
        let credentials = settings.credentials_mut();
        if credentials.iter().any(|(_, credential)| credential.value.is_some()) {
            self.check_key()?;
        }
        let stored =
            self.rows("SELECT name FROM credentials WHERE webhook_id = $1", params![webhook_id], one::<String>)?;
        for name in stored.iter().filter(|name| !credentials.iter().any(|(kept, _)| kept == *name)) {
            let sql = "DELETE FROM credentials WHERE webhook_id = $1 AND name = $2";
            let gone = self.execute(sql, params![webhook_id, name])?;
            self.note_deletion(gone);
        }
        for (name, credential) in credentials {
            let Some(value) = &credential.value else { continue };
            let value = match cipher::key()? {
                Some(key) => Cow::Owned(key.seal(&credential_place(webhook_id, &name), &value.expose())?),
                None => value.expose(),
            };
            let sql = "INSERT INTO credentials (webhook_id, name, value) VALUES ($1, $2, $3)
                 ON CONFLICT (webhook_id, name) DO UPDATE SET value = excluded.value";
            self.execute(sql, params![webhook_id, &name, value])?;
            self.note_deletion(stored.iter().filter(|known| **known == name).count());
        }
        Ok(())
    }
}

/// Fills in the value of one credential, unless it is there or no setting names it.
pub(super) fn fill_in(webhook_id: i64, settings: &mut Settings, name: String, value: String) -> Result<()> {
    let known = settings.credentials_mut().into_iter().find(|(known, _)| *known == name);
    if let Some((_, credential)) = known.filter(|(_, credential)| credential.value.is_none()) {
        let value = cipher::opened(&credential_place(webhook_id, &name), value)?;
        credential.value = Some(Secret::of_text(value));
    }
    Ok(())
}

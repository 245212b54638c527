//! Secrets of webhooks. They leave this file only as [`Secret`], which shows itself to nobody. `secure_delete` overwrites
//! deleted ones in the file, [`Store::erase_deleted`] removes them from the write-ahead log.

use std::borrow::Cow;

use super::cipher;
use super::encryption::secret_place;
use super::row::one;
use super::value::{Json, params};
use super::{Result, Store, StoreError};
use crate::domain::credential::{Credential, Source};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// A secret as it is stored.
#[derive(Debug)]
pub struct StoredSecret {
    /// What signs and verifies.
    pub secret: Secret,
    /// When it was set.
    pub created_at: Timestamp,
    /// The end of its overlap, when a newer one took its place.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// A webhook's secrets that still count at `now`, the signing one first.
    pub fn secrets(&self, webhook_id: i64, now: Timestamp) -> Result<Vec<StoredSecret>> {
        let sql = "SELECT id, secret, created_at, expires_at FROM secrets
             WHERE webhook_id = $1 AND (expires_at IS NULL OR expires_at > $2)
             ORDER BY expires_at IS NOT NULL, id DESC";
        self.rows(sql, params![webhook_id, now], |row| {
            let secret = checked(row.next()?, row.next()?)?;
            Ok(StoredSecret { secret, created_at: row.next()?, expires_at: row.next()? })
        })
    }

    /// The secret that signs without its value, which is not decrypted: where it came from.
    pub fn secret_reference(&self, webhook_id: i64, now: Timestamp) -> Result<Option<Credential>> {
        let sql = "SELECT source FROM secrets WHERE webhook_id = $1 AND (expires_at IS NULL OR expires_at > $2)
             ORDER BY expires_at IS NOT NULL, id DESC LIMIT 1";
        let stored = self.first(sql, params![webhook_id, now], one::<Option<String>>)?;
        let source = |text: String| serde_json::from_str(&text).ok();
        Ok(stored.map(|stored| Credential { value: None, source: stored.and_then(source) }))
    }

    /// A webhook's secrets whose overlap is over at `now` and that no write has deleted yet, the newest first.
    pub fn retired_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<Vec<Secret>> {
        let sql = "SELECT id, secret FROM secrets WHERE webhook_id = $1 AND expires_at <= $2 ORDER BY id DESC";
        self.rows(sql, params![webhook_id, now], |row| checked(row.next()?, row.next()?))
    }

    /// Sets a webhook's secret; those before it count until `overlap_until`, or end at once.
    pub fn set_secret(
        &self,
        webhook_id: i64,
        secret: &Secret,
        source: Option<&Source>,
        now: Timestamp,
        overlap_until: Option<Timestamp>,
    ) -> Result<()> {
        match overlap_until {
            Some(until) => {
                let sql = "UPDATE secrets SET expires_at = $1 WHERE webhook_id = $2 AND expires_at IS NULL";
                self.execute(sql, params![until, webhook_id])?;
            }
            None => self.delete_secrets_of(webhook_id)?,
        }
        let sql = "INSERT INTO secrets (webhook_id, secret, created_at, source) VALUES ($1, $2, $3, $4)";
        let key = cipher::key()?;
        if key.is_none() {
            self.check_key()?;
        }
        // What is encrypted is bound to its row, which has its id once it is there.
        let first = if key.is_some() { Cow::Borrowed("") } else { secret.expose() };
        let id = self.insert(sql, params![webhook_id, first, now, source.map(Json)])?;
        if let (Some(key), Some(id)) = (key, id) {
            let sealed = key.seal(&secret_place(id), &secret.expose())?;
            self.execute("UPDATE secrets SET secret = $1 WHERE id = $2", params![&sealed, id])?;
        }
        self.touch(webhook_id, now)
    }

    /// Deletes all secrets of a webhook.
    pub fn delete_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<()> {
        self.delete_secrets_of(webhook_id)?;
        self.touch(webhook_id, now)
    }

    fn delete_secrets_of(&self, webhook_id: i64) -> Result<()> {
        let gone = self.execute("DELETE FROM secrets WHERE webhook_id = $1", params![webhook_id])?;
        self.note_deletion(gone);
        Ok(())
    }

    /// Ends the overlap: deletes every secret of a webhook but the signing one. How many went.
    pub fn expire_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<usize> {
        let sql = "DELETE FROM secrets WHERE webhook_id = $1 AND expires_at IS NOT NULL";
        let gone = self.execute(sql, params![webhook_id])?;
        self.note_deletion(gone);
        self.touch(webhook_id, now)?;
        Ok(gone)
    }

    /// Whether the overlap of some secret is over.
    pub fn has_expired_secrets(&self, now: Timestamp) -> Result<bool> {
        self.only("SELECT EXISTS (SELECT 1 FROM secrets WHERE expires_at <= $1)", params![now], one)
    }

    /// Deletes every secret whose overlap is over.
    pub fn delete_expired_secrets(&self, now: Timestamp) -> Result<usize> {
        let gone = self.execute("DELETE FROM secrets WHERE expires_at <= $1", params![now])?;
        self.note_deletion(gone);
        Ok(gone)
    }
}

/// A secret read back; what [`Secret::parse`] refuses was not written by hookctl.
fn checked(id: i64, stored: String) -> Result<Secret> {
    Secret::parse(cipher::opened(&secret_place(id), stored)?)
        .map_err(|error| StoreError::Value { column: "secrets.secret".to_owned(), value: error.to_string() })
}

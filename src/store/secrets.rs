//! Secrets of webhooks. They leave this file only as [`Secret`], which shows itself to nobody.

use rusqlite::named_params;

use super::{Result, Store, StoreError};
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
        let mut statement = self.connection.prepare_cached(
            "SELECT secret, created_at, expires_at FROM secrets
             WHERE webhook_id = :webhook AND (expires_at IS NULL OR expires_at > :now)
             ORDER BY expires_at IS NOT NULL, id DESC",
        )?;
        let mut rows = statement.query(named_params! { ":webhook": webhook_id, ":now": now })?;
        let mut secrets = Vec::new();
        while let Some(row) = rows.next()? {
            secrets.push(StoredSecret {
                secret: checked(row.get(0)?)?,
                created_at: row.get(1)?,
                expires_at: row.get(2)?,
            });
        }
        Ok(secrets)
    }

    /// A webhook's secrets whose overlap is over at `now` and that no write has deleted yet, the newest first.
    pub fn retired_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<Vec<Secret>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT secret FROM secrets WHERE webhook_id = :webhook AND expires_at <= :now ORDER BY id DESC",
        )?;
        let mut rows = statement.query(named_params! { ":webhook": webhook_id, ":now": now })?;
        let mut secrets = Vec::new();
        while let Some(row) = rows.next()? {
            secrets.push(checked(row.get(0)?)?);
        }
        Ok(secrets)
    }

    /// Sets a webhook's secret; those before it count until `overlap_until`, or end at once.
    pub fn set_secret(
        &self,
        webhook_id: i64,
        secret: &Secret,
        now: Timestamp,
        overlap_until: Option<Timestamp>,
    ) -> Result<()> {
        match overlap_until {
            Some(until) => {
                self.connection
                    .prepare_cached(
                        "UPDATE secrets SET expires_at = :until WHERE webhook_id = :webhook AND expires_at IS NULL",
                    )?
                    .execute(named_params! { ":webhook": webhook_id, ":until": until })?;
            }
            None => {
                self.connection
                    .prepare_cached("DELETE FROM secrets WHERE webhook_id = :webhook")?
                    .execute(named_params! { ":webhook": webhook_id })?;
            }
        }
        self.connection
            .prepare_cached("INSERT INTO secrets (webhook_id, secret, created_at) VALUES (:webhook, :secret, :now)")?
            .execute(named_params! { ":webhook": webhook_id, ":secret": secret.expose(), ":now": now })?;
        self.touch(webhook_id, now)
    }

    /// Deletes all secrets of a webhook.
    pub fn delete_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached("DELETE FROM secrets WHERE webhook_id = :webhook")?
            .execute(named_params! { ":webhook": webhook_id })?;
        self.touch(webhook_id, now)
    }

    /// Ends the overlap: deletes every secret of a webhook but the signing one. How many went.
    pub fn expire_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<usize> {
        let gone = self
            .connection
            .prepare_cached("DELETE FROM secrets WHERE webhook_id = :webhook AND expires_at IS NOT NULL")?
            .execute(named_params! { ":webhook": webhook_id })?;
        self.touch(webhook_id, now)?;
        Ok(gone)
    }

    /// Whether the overlap of some secret is over.
    pub fn has_expired_secrets(&self, now: Timestamp) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM secrets WHERE expires_at <= :now")?;
        Ok(statement.exists(named_params! { ":now": now })?)
    }

    /// Deletes every secret whose overlap is over; `secure_delete` overwrites them in the file.
    pub fn delete_expired_secrets(&self, now: Timestamp) -> Result<usize> {
        Ok(self
            .connection
            .prepare_cached("DELETE FROM secrets WHERE expires_at <= :now")?
            .execute(named_params! { ":now": now })?)
    }
}

/// A secret read back; what [`Secret::parse`] refuses was not written by hookctl.
fn checked(text: String) -> Result<Secret> {
    Secret::parse(text)
        .map_err(|error| StoreError::Value { column: "secrets.secret".to_owned(), value: error.to_string() })
}

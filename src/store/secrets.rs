//! Secrets of webhooks, returned as [`Secret`] only, which masks itself. `secure_delete` overwrites deleted ones in the
//! file; [`Store::erase_deleted`] removes them from the write-ahead log.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::cipher;
use super::encryption::secret_place;
use super::row::{Row, one, pair};
use super::value::{Json, params};
use super::{Result, Store, StoreError};
use crate::domain::credential::{Credential, Source};
use crate::domain::secret::{KeyKind, Secret};
use crate::domain::time::Timestamp;

#[derive(Debug)]
pub struct StoredSecret {
    pub secret: Secret,
    pub created_at: Timestamp,
    /// The end of the overlap, if a newer one has replaced it.
    pub expires_at: Option<Timestamp>,
}

impl Store {
    /// A webhook's secrets that are valid at `now`, those that sign first.
    pub fn secrets(&self, webhook_id: i64, now: Timestamp) -> Result<Vec<StoredSecret>> {
        let sql = "SELECT id, secret, created_at, expires_at FROM secrets
             WHERE webhook_id = $1 AND (expires_at IS NULL OR expires_at > $2)
             ORDER BY expires_at IS NOT NULL, is_ed25519, id DESC";
        self.rows(sql, params![webhook_id, now], from_row)
    }

    /// When the last of a webhook's old secrets expires; `None` where it has none at `now`.
    pub fn overlap_end(&self, webhook_id: i64, now: Timestamp) -> Result<Option<Timestamp>> {
        let sql = "SELECT max(expires_at) FROM secrets WHERE webhook_id = $1 AND expires_at > $2";
        self.only(sql, params![webhook_id, now], one)
    }

    /// The sources of the secrets that sign, one of each kind. The values are not decrypted.
    pub fn secret_references(&self, webhook_id: i64) -> Result<Vec<(KeyKind, Credential)>> {
        let sql = "SELECT is_ed25519, source FROM secrets WHERE webhook_id = $1 AND expires_at IS NULL
             ORDER BY is_ed25519, id DESC";
        let mut references = self.rows(sql, params![webhook_id], |row| {
            let (kind, source): (KeyKind, Option<String>) = pair(row)?;
            let source = source.and_then(|source| serde_json::from_str(&source).ok());
            Ok((kind, Credential { value: None, source }))
        })?;
        references.dedup_by_key(|(kind, _)| *kind);
        Ok(references)
    }

    /// A webhook's secrets whose overlap ended before `now` and that are not deleted yet, newest first.
    pub fn retired_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<Vec<Secret>> {
        let sql = "SELECT id, secret FROM secrets WHERE webhook_id = $1 AND expires_at <= $2 ORDER BY id DESC";
        self.rows(sql, params![webhook_id, now], |row| checked(row.next()?, row.next()?))
    }

    /// Sets a webhook's secret. Older ones of its kind stay valid until `overlap_until`, or are deleted at once.
    pub fn set_secret(
        &self,
        webhook_id: i64,
        secret: &Secret,
        source: Option<&Source>,
        now: Timestamp,
        overlap_until: Option<Timestamp>,
    ) -> Result<()> {
        self.check_key()?;
        match overlap_until {
            Some(until) => {
                let sql = "UPDATE secrets SET expires_at = $1 WHERE webhook_id = $2 AND expires_at IS NULL AND is_ed25519 = $3";
                self.execute(sql, params![until, webhook_id, secret.kind()])?;
            }
            None => self.delete_secrets_of_kind(webhook_id, secret.kind())?,
        }
        let sql =
            "INSERT INTO secrets (webhook_id, secret, is_ed25519, created_at, source) VALUES ($1, $2, $3, $4, $5)";
        let key = cipher::key()?;
        // Encryption is bound to the row, whose id is known once it is inserted.
        let first = if key.is_some() { Cow::Borrowed("") } else { secret.expose() };
        let id = self.insert(sql, params![webhook_id, first, secret.kind(), now, source.map(Json)])?;
        if let (Some(key), Some(id)) = (key, id) {
            let sealed = key.seal(&secret_place(id), &secret.expose())?;
            self.execute("UPDATE secrets SET secret = $1 WHERE id = $2", params![&sealed, id])?;
        }
        self.touch(webhook_id, now)
    }

    /// Deletes the secrets of a webhook of all other kinds.
    pub fn keep_secrets(&self, webhook_id: i64, kinds: &BTreeSet<KeyKind>, now: Timestamp) -> Result<()> {
        for kind in [KeyKind::Symmetric, KeyKind::Ed25519].into_iter().filter(|kind| !kinds.contains(kind)) {
            self.delete_secrets_of_kind(webhook_id, kind)?;
        }
        self.touch(webhook_id, now)
    }

    fn delete_secrets_of_kind(&self, webhook_id: i64, kind: KeyKind) -> Result<()> {
        let sql = "DELETE FROM secrets WHERE webhook_id = $1 AND is_ed25519 = $2";
        let gone = self.execute(sql, params![webhook_id, kind])?;
        self.note_deletion(gone);
        Ok(())
    }

    /// Ends the overlap: deletes all secrets of a webhook that no longer sign, and returns how many.
    pub fn expire_secrets(&self, webhook_id: i64, now: Timestamp) -> Result<usize> {
        let sql = "DELETE FROM secrets WHERE webhook_id = $1 AND expires_at IS NOT NULL";
        let gone = self.execute(sql, params![webhook_id])?;
        self.note_deletion(gone);
        self.touch(webhook_id, now)?;
        Ok(gone)
    }

    /// Whether the overlap of some secret has ended.
    pub fn has_expired_secrets(&self, now: Timestamp) -> Result<bool> {
        self.only("SELECT EXISTS (SELECT 1 FROM secrets WHERE expires_at <= $1)", params![now], one)
    }

    /// Deletes all secrets whose overlap has ended.
    pub fn delete_expired_secrets(&self, now: Timestamp) -> Result<usize> {
        let gone = self.execute("DELETE FROM secrets WHERE expires_at <= $1", params![now])?;
        self.note_deletion(gone);
        Ok(gone)
    }
}

pub(super) fn from_row(row: &mut Row<'_>) -> Result<StoredSecret> {
    let secret = checked(row.next()?, row.next()?)?;
    Ok(StoredSecret { secret, created_at: row.next()?, expires_at: row.next()? })
}

/// Decrypts and checks a stored secret. One that [`Secret::parse`] refuses was not written by hookctl.
fn checked(id: i64, stored: String) -> Result<Secret> {
    Secret::parse(cipher::opened(&secret_place(id), stored)?)
        .map_err(|error| StoreError::Value { column: "secrets.secret".to_owned(), value: error.to_string() })
}

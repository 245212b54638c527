//! Encrypts, decrypts and re-encrypts all secrets and credentials, each in one transaction.

use super::cipher::{self, DataKey, PREFIX, is_sealed};
use super::row::{one, pair};
use super::value::{in_json, params};
use super::{Result, Store, StoreError};

const NO_PREFIX: &str = "?";

/// How the secrets and credentials of a database are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sealing {
    pub encrypted: u64,
    pub in_clear: u64,
}

/// The keys before and after; `None` is no encryption.
#[derive(Clone, Copy, Debug)]
pub struct Rekeying<'a> {
    pub from: Option<&'a DataKey>,
    pub to: Option<&'a DataKey>,
}

/// The webhooks whose credentials are encrypted with another key, given what encrypted ones begin with, and with this key.
pub(super) const LOCKED_OUT: &str =
    "SELECT webhook_id FROM secrets WHERE substr(secret, 1, 4) = $1 AND substr(secret, 1, 17) <> $2
     UNION SELECT webhook_id FROM credentials WHERE substr(value, 1, 4) = $1 AND substr(value, 1, 17) <> $2";

/// What values begin with that this process can read, and why it can read no others.
pub(super) fn own_prefix() -> (String, StoreError) {
    match cipher::key() {
        Ok(None) => (NO_PREFIX.to_owned(), StoreError::NoKey),
        Ok(Some(key)) => (key.prefix(), StoreError::WrongKey),
        Err(error) => (NO_PREFIX.to_owned(), error),
    }
}

impl Store {
    /// How many secrets and credentials are encrypted.
    pub fn sealing(&self) -> Result<Sealing> {
        let stored = [self.stored_secrets()?, self.stored_credentials()?].concat();
        let encrypted = stored.iter().filter(|(_, value)| is_sealed(value)).count() as u64;
        Ok(Sealing { encrypted, in_clear: stored.len() as u64 - encrypted })
    }

    /// Whether anything is encrypted, with whatever key.
    pub fn is_encrypted(&self) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM secrets WHERE substr(secret, 1, 4) = $1)
                OR EXISTS (SELECT 1 FROM credentials WHERE substr(value, 1, 4) = $2)
                OR EXISTS (SELECT 1 FROM events WHERE headers IS NOT NULL AND replace(headers, $3, '') <> headers)";
        self.only(sql, params![PREFIX, PREFIX, &in_json(PREFIX)], one)
    }

    /// An error if anything is encrypted with another key than this process has, or it has none. Whatever stores a credential
    /// asks, in its transaction, so that one key opens everything.
    pub fn check_key(&self) -> Result<()> {
        let key = cipher::key()?;
        let prefixes = "SELECT substr(secret, 1, 17) FROM secrets WHERE substr(secret, 1, 4) = $1
             UNION SELECT substr(value, 1, 17) FROM credentials WHERE substr(value, 1, 4) = $1";
        let prefixes: Vec<String> = self.rows(prefixes, params![PREFIX], one)?;
        match key {
            None if prefixes.is_empty() => Ok(()),
            None => Err(StoreError::NoKey),
            Some(key) if prefixes.is_empty() => self.check_key_of_headers(key),
            Some(key) if prefixes.iter().all(|prefix| *prefix == key.prefix()) => Ok(()),
            Some(_) => Err(StoreError::WrongKey),
        }
    }

    /// An error if requests of these webhooks need a key that this process does not have.
    pub fn check_key_of(&self, webhooks: &[i64]) -> Result<()> {
        let (own, error) = own_prefix();
        let is_one = self.dialect().one_of("webhook_id", "$1");
        let is_locked = format!(
            "SELECT EXISTS (SELECT 1 FROM secrets WHERE {is_one} AND substr(secret, 1, 4) = $2 AND substr(secret, 1, 17) <> $3)
                OR EXISTS (SELECT 1 FROM credentials WHERE {is_one} AND substr(value, 1, 4) = $2 AND substr(value, 1, 17) <> $3)"
        );
        match self.only(&is_locked, params![webhooks, PREFIX, &own], one)? {
            true => Err(error),
            false => Ok(()),
        }
    }

    /// Writes all secrets and credentials, those in headers of events too, encrypted with the new key, unless they already
    /// are, and returns how many. Runs in a transaction: if the process is killed, nothing has changed.
    pub fn rekey(&self, keys: Rekeying<'_>) -> Result<usize> {
        let mut written = 0;
        for (id, stored) in self.stored_secrets()? {
            if let Some(value) = keys.restored(&secret_place(id), stored)? {
                written += self.execute("UPDATE secrets SET secret = $1 WHERE id = $2", params![&value, id])?;
            }
        }
        for ((webhook_id, name), stored) in self.credential_rows()? {
            if let Some(value) = keys.restored(&credential_place(webhook_id, &name), stored)? {
                let sql = "UPDATE credentials SET value = $1 WHERE webhook_id = $2 AND name = $3";
                written += self.execute(sql, params![&value, webhook_id, &name])?;
            }
        }
        written += self.rekey_event_headers(keys)?;
        self.note_deletion(written);
        Ok(written)
    }

    fn stored_secrets(&self) -> Result<Vec<(i64, String)>> {
        self.rows("SELECT id, secret FROM secrets ORDER BY id", &[], pair)
    }

    fn stored_credentials(&self) -> Result<Vec<(i64, String)>> {
        self.rows("SELECT webhook_id, value FROM credentials ORDER BY webhook_id, name", &[], pair)
    }

    fn credential_rows(&self) -> Result<Vec<((i64, String), String)>> {
        let sql = "SELECT webhook_id, name, value FROM credentials ORDER BY webhook_id, name";
        self.rows(sql, &[], |row| Ok(((row.next()?, row.next()?), row.next()?)))
    }
}

impl Rekeying<'_> {
    /// The value to store; `None` if it is stored so already.
    pub(super) fn restored(&self, place: &str, stored: String) -> Result<Option<String>> {
        let is_done = self.to.map_or(!is_sealed(&stored), |to| to.is_of(&stored));
        if is_done {
            return Ok(None);
        }
        let value = match (is_sealed(&stored), self.from) {
            (false, _) => stored,
            (true, Some(from)) => from.open(place, stored)?,
            (true, None) => return Err(StoreError::NoKey),
        };
        self.to.map_or(Ok(Some(value.clone())), |to| to.seal(place, &value).map(Some))
    }
}

/// The place of a secret, to which its encryption is bound.
pub fn secret_place(id: i64) -> String {
    format!("secrets.secret:{id}")
}

/// The place of a credential, to which its encryption is bound.
pub fn credential_place(webhook_id: i64, name: &str) -> String {
    format!("credentials.value:{webhook_id}:{name}")
}

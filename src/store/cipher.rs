//! Encryption of secrets and credentials with the database's key: XChaCha20-Poly1305, each value bound to its row and
//! column, so that it cannot be moved to another.

use std::fmt;
use std::sync::OnceLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};

use super::{Result, StoreError};
use crate::random::Random;

/// The length of a key, in bytes.
pub const KEY_BYTES: usize = 32;
/// What an encrypted value begins with. Its first character is a control character, which no credential begins with.
pub const PREFIX: &str = "\u{1}x1:";
const NONCE_BYTES: usize = 24;

#[derive(Clone, PartialEq, Eq)]
pub struct DataKey([u8; KEY_BYTES]);

impl DataKey {
    pub fn new(bytes: [u8; KEY_BYTES]) -> DataKey {
        DataKey(bytes)
    }

    /// Identifies the key without revealing it: a part of a hash.
    fn id(&self) -> String {
        hex::encode(&Sha256::new().chain_update(b"hookctl key id").chain_update(self.0).finalize()[..6])
    }

    /// Encrypts a value as it is stored: prefix, id of the key, base64 of nonce and ciphertext. `place` is its row and column.
    pub fn seal(&self, place: &str, value: &str) -> Result<String> {
        let random = Random::secret_bytes()
            .map_err(|error| StoreError::Other(format!("the system gives no random numbers: {error}")))?;
        let mut sealed = random[..NONCE_BYTES].to_vec();
        let payload = Payload { msg: value.as_bytes(), aad: place.as_bytes() };
        let nonce = XNonce::try_from(&sealed[..]).map_err(|_| damaged(place))?;
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        sealed.extend(cipher.encrypt(&nonce, payload).map_err(|_| damaged(place))?);
        Ok(self.prefix() + &STANDARD.encode(sealed))
    }

    /// Decrypts what [`DataKey::seal`] made for this place; returns other values unchanged.
    pub fn open(&self, place: &str, stored: String) -> Result<String> {
        let Some((id, sealed)) = parts(&stored) else { return Ok(stored) };
        if id != self.id() {
            return Err(StoreError::WrongKey);
        }
        let sealed = STANDARD.decode(sealed).map_err(|_| damaged(place))?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or_else(|| damaged(place))?;
        let nonce = XNonce::try_from(nonce).map_err(|_| damaged(place))?;
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        let value =
            cipher.decrypt(&nonce, Payload { msg: sealed, aad: place.as_bytes() }).map_err(|_| damaged(place))?;
        String::from_utf8(value).map_err(|_| damaged(place))
    }

    /// What a value that is encrypted with this key begins with.
    pub fn prefix(&self) -> String {
        format!("{PREFIX}{}:", self.id())
    }

    /// Whether a stored value is encrypted with this key.
    pub fn is_of(&self, stored: &str) -> bool {
        parts(stored).is_some_and(|(id, _)| id == self.id())
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Whether a stored value is encrypted.
pub fn is_sealed(stored: &str) -> bool {
    stored.starts_with(PREFIX)
}

fn parts(stored: &str) -> Option<(&str, &str)> {
    stored.strip_prefix(PREFIX)?.split_once(':')
}

/// The error of a value that was changed or moved to another row.
fn damaged(place: &str) -> StoreError {
    StoreError::Value { column: place.to_owned(), value: "it cannot be decrypted: it was changed or moved".to_owned() }
}

/// The key of this process, or why the one that was named cannot be read.
static KEY: OnceLock<std::result::Result<Option<DataKey>, String>> = OnceLock::new();

/// Sets the key of this process: once, before the first database is opened.
pub fn use_key(key: std::result::Result<Option<DataKey>, String>) {
    let _ = KEY.set(key);
}

/// The key of this process, if it has one.
pub fn key() -> Result<Option<&'static DataKey>> {
    match KEY.get() {
        None | Some(Ok(None)) => Ok(None),
        Some(Ok(Some(key))) => Ok(Some(key)),
        Some(Err(reason)) => Err(StoreError::Key(reason.clone())),
    }
}

/// Decrypts a stored secret or credential, if it is encrypted.
pub fn opened(place: &str, stored: String) -> Result<String> {
    match key()? {
        _ if !is_sealed(&stored) => Ok(stored),
        Some(key) => key.open(place, stored),
        None => Err(StoreError::NoKey),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_opens_in_its_place_with_its_key_alone() {
        let key = DataKey::new([7; KEY_BYTES]);
        let sealed = key.seal("secrets.secret:1", "hunter2").unwrap();
        assert_eq!(key.prefix().len(), 17, "statements compare so many characters");
        assert!(is_sealed(&sealed) && key.is_of(&sealed) && !sealed.contains("hunter2"));
        assert_ne!(sealed, key.seal("secrets.secret:1", "hunter2").unwrap(), "no nonce is used twice");
        assert_eq!(key.open("secrets.secret:1", sealed.clone()).unwrap(), "hunter2");
        assert!(matches!(key.open("secrets.secret:2", sealed.clone()), Err(StoreError::Value { .. })));
        let other = DataKey::new([8; KEY_BYTES]);
        assert!(matches!(other.open("secrets.secret:1", sealed.clone()), Err(StoreError::WrongKey)));
        for cut in PREFIX.len()..sealed.len() - 1 {
            assert!(key.open("secrets.secret:1", sealed[..cut].to_owned()).map_or(true, |value| value != "hunter2"));
        }
        assert_eq!(key.open("x", "in clear".to_owned()).unwrap(), "in clear");
        assert!(!format!("{key:?}").contains('7'));
    }
}

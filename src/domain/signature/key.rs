//! Secrets made ready to sign and to verify.

use base64::{Engine, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use super::{Algorithm, Hash, KeyForm, Scheme};
use crate::domain::secret::{KeyKind, PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX, Secret, SecretError};

impl KeyKind {
    /// A secret of this kind, made of 32 random bytes.
    pub fn new_secret(self, random: [u8; 32]) -> Secret {
        match self {
            KeyKind::Symmetric => Secret::generate(random),
            KeyKind::Ed25519 => {
                let pair = ed25519_dalek::SigningKey::from_bytes(&random).to_keypair_bytes();
                let text = format!("{PRIVATE_KEY_PREFIX}{}", STANDARD.encode(pair));
                Secret::parse(text).expect("base64 of 64 bytes is a line of text")
            }
        }
    }
}

/// The `whpk_` key of an ed25519 key pair: its receiver verifies with it.
pub fn public_key(secret: &Secret) -> Result<String, SecretError> {
    let key = ed25519_public(secret)?;
    Ok(format!("{PUBLIC_KEY_PREFIX}{}", STANDARD.encode(key.to_bytes())))
}

#[derive(Clone)]
pub enum SigningKey {
    Hmac(HmacKey),
    Ed25519(ed25519_dalek::SigningKey),
}

pub enum VerifyingKey {
    Hmac(HmacKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

/// A keyed HMAC: the key is hashed once, each message starts from a copy.
#[derive(Clone)]
pub enum HmacKey {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha512(Hmac<Sha512>),
}

impl SigningKey {
    /// The key that `scheme` makes of `secret`.
    pub fn new(scheme: &Scheme, secret: &Secret) -> Result<SigningKey, SecretError> {
        match scheme.algorithm {
            Algorithm::Hmac(hash, form) => HmacKey::from_secret(hash, form, secret).map(SigningKey::Hmac),
            Algorithm::Ed25519 if secret.expose().starts_with(PUBLIC_KEY_PREFIX) => Err(SecretError::VerifyOnly),
            Algorithm::Ed25519 => ed25519_pair(secret).map(SigningKey::Ed25519),
        }
    }

    /// Signs the pieces of `content`, one after the other, and hands the signature's bytes to `write`.
    pub fn sign<'a>(&self, content: impl Iterator<Item = &'a [u8]>, write: impl FnOnce(&[u8])) {
        match self {
            SigningKey::Hmac(HmacKey::Sha1(key)) => write(&fed(key, content).finalize().into_bytes()),
            SigningKey::Hmac(HmacKey::Sha256(key)) => write(&fed(key, content).finalize().into_bytes()),
            SigningKey::Hmac(HmacKey::Sha512(key)) => write(&fed(key, content).finalize().into_bytes()),
            SigningKey::Ed25519(key) => write(&key.sign(&joined(content)).to_bytes()),
        }
    }
}

impl VerifyingKey {
    pub fn new(scheme: &Scheme, secret: &Secret) -> Result<VerifyingKey, SecretError> {
        match scheme.algorithm {
            Algorithm::Hmac(hash, form) => HmacKey::from_secret(hash, form, secret).map(VerifyingKey::Hmac),
            Algorithm::Ed25519 => ed25519_public(secret).map(VerifyingKey::Ed25519),
        }
    }

    /// Whether any of `candidates` signs the content. All are evaluated, each in constant time.
    pub fn matches_any<'a>(&self, content: impl Iterator<Item = &'a [u8]>, candidates: &[Vec<u8>]) -> bool {
        match self {
            VerifyingKey::Hmac(HmacKey::Sha1(key)) => mac_matches(&fed(key, content), candidates),
            VerifyingKey::Hmac(HmacKey::Sha256(key)) => mac_matches(&fed(key, content), candidates),
            VerifyingKey::Hmac(HmacKey::Sha512(key)) => mac_matches(&fed(key, content), candidates),
            VerifyingKey::Ed25519(key) => {
                let content = joined(content);
                any_of_all(candidates, |candidate| {
                    Signature::from_slice(candidate).is_ok_and(|sig| key.verify_strict(&content, &sig).is_ok())
                })
            }
        }
    }
}

impl HmacKey {
    /// Keys the HMAC with these bytes, of any length (RFC 2104).
    pub fn from_bytes(hash: Hash, key: &[u8]) -> HmacKey {
        match hash {
            Hash::Sha1 => HmacKey::Sha1(keyed(key)),
            Hash::Sha256 => HmacKey::Sha256(keyed(key)),
            Hash::Sha512 => HmacKey::Sha512(keyed(key)),
        }
    }

    fn from_secret(hash: Hash, form: KeyForm, secret: &Secret) -> Result<HmacKey, SecretError> {
        match form {
            KeyForm::Text => Ok(HmacKey::from_bytes(hash, secret.bytes())),
            KeyForm::Base64 => Ok(HmacKey::from_bytes(hash, &secret.standard_key()?)),
        }
    }
}

fn keyed<M: KeyInit>(key: &[u8]) -> M {
    M::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn fed<'a, M: Mac + Clone>(key: &M, content: impl Iterator<Item = &'a [u8]>) -> M {
    let mut mac = key.clone();
    content.for_each(|piece| mac.update(piece));
    mac
}

fn joined<'a>(content: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    content.flatten().copied().collect()
}

fn mac_matches<M: Mac + Clone>(mac: &M, candidates: &[Vec<u8>]) -> bool {
    any_of_all(candidates, |candidate| mac.clone().verify_slice(candidate).is_ok())
}

/// Like `any`, but never stops early.
fn any_of_all(candidates: &[Vec<u8>], matches: impl Fn(&[u8]) -> bool) -> bool {
    candidates.iter().fold(false, |found, candidate| found | matches(candidate))
}

/// `whsk_` and the base64 of 64 bytes: the private key (seed), then the public key.
fn ed25519_pair(secret: &Secret) -> Result<ed25519_dalek::SigningKey, SecretError> {
    let bytes = ed25519_bytes(secret, PRIVATE_KEY_PREFIX, "whsk_ goes before the base64 of 64 bytes")?;
    ed25519_dalek::SigningKey::from_keypair_bytes(&bytes).map_err(|_| SecretError::BrokenKey)
}

fn ed25519_public(secret: &Secret) -> Result<ed25519_dalek::VerifyingKey, SecretError> {
    if secret.expose().starts_with(PRIVATE_KEY_PREFIX) {
        return Ok(ed25519_pair(secret)?.verifying_key());
    }
    let bytes = ed25519_bytes(secret, PUBLIC_KEY_PREFIX, "whpk_ goes before the base64 of 32 bytes")?;
    match ed25519_dalek::VerifyingKey::from_bytes(&bytes) {
        Ok(key) if !key.is_weak() => Ok(key),
        _ => Err(SecretError::BrokenKey),
    }
}

fn ed25519_bytes<const N: usize>(secret: &Secret, prefix: &str, wanted: &'static str) -> Result<[u8; N], SecretError> {
    let encoded = secret.bytes().strip_prefix(prefix.as_bytes()).ok_or(SecretError::NotEd25519)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| SecretError::NotBase64 { wanted })?;
    <[u8; N]>::try_from(bytes.as_slice()).map_err(|_| SecretError::WrongLength { bytes: bytes.len(), wanted })
}

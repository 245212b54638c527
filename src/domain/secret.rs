//! Secrets: held so that nothing shows them by accident.

use std::borrow::Cow;
use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Serialize, Serializer};

/// What is shown in place of a secret.
pub const MASKED: &str = "***";

/// What a secret for the `standard` scheme begins with (Standard Webhooks).
pub const STANDARD_PREFIX: &str = "whsec_";
/// What an ed25519 key pair for `standard-v1a` begins with: it signs and verifies.
pub const PRIVATE_KEY_PREFIX: &str = "whsk_";
/// What an ed25519 public key for `standard-v1a` begins with: it verifies only.
pub const PUBLIC_KEY_PREFIX: &str = "whpk_";

/// What a secret is a key for. A scheme takes secrets of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// Both sides have it: HMAC.
    Symmetric,
    /// A private key, or a public one that verifies.
    Ed25519,
}

const MAX_BYTES: usize = 1_024;
/// Key lengths that Standard Webhooks allows for symmetric secrets, in bytes.
const STANDARD_KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The value of a signing secret or of another credential. `Display`, `Debug` and `Serialize` mask it; only
/// [`Secret::expose`] and [`Secret::bytes`] give it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Vec<u8>);

/// Why a text is no secret, or not one for the scheme at hand. The text itself is never part of it.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SecretError {
    #[error("the secret is empty")]
    Empty,
    #[error("the secret is longer than 1024 bytes")]
    TooLong,
    /// A line break, NUL, escape and the like.
    #[error("the secret contains a control character; it is one line of text")]
    ControlCharacter,
    /// The part after the prefix is not what the key needs.
    #[error("the secret is not strict base64 (RFC 4648 section 4, with its padding); {wanted}")]
    NotBase64 { wanted: &'static str },
    #[error("the secret is a key of {bytes} bytes; {wanted}")]
    WrongLength { bytes: usize, wanted: &'static str },
    /// A symmetric secret where an ed25519 key is needed.
    #[error("the secret is not an ed25519 key; standard-v1a signs with whsk_ and verifies with whpk_ or whsk_")]
    NotEd25519,
    /// An ed25519 key where a symmetric secret is needed.
    #[error("the secret is an ed25519 key; its scheme is standard-v1a")]
    Ed25519,
    /// A public key where a private one is needed.
    #[error("a whpk_ key is public and can only verify; sign with the whsk_ key")]
    VerifyOnly,
    /// Bytes that are no point of the curve, or a private key beside another's public key.
    #[error("the secret is not a valid ed25519 key")]
    BrokenKey,
    #[error("there is no secret to sign or verify with")]
    None,
}

/// What the `standard` scheme needs, for error messages.
pub const STANDARD_WANTED: &str = "standard needs whsec_ and the base64 of 24 to 64 bytes";

impl Secret {
    /// A new secret from 32 bytes of the system's generator: `whsec_` and their base64, usable by every HMAC scheme.
    pub fn generate(random: [u8; 32]) -> Secret {
        Secret(format!("{STANDARD_PREFIX}{}", STANDARD.encode(random)).into_bytes())
    }

    /// Takes a credential that is no signing secret, as its own rules found it to be right.
    pub fn of_text(text: impl Into<String>) -> Secret {
        Secret(text.into().into_bytes())
    }

    /// Takes any text of 1 to 1,024 bytes without control characters.
    ///
    /// A broken `whsec_` secret is taken too: other senders (Stripe) use that prefix before text that is not base64.
    /// Whether the secret fits a scheme is said when it is keyed.
    pub fn parse(text: String) -> Result<Secret, SecretError> {
        match text.len() {
            0 => Err(SecretError::Empty),
            1..=MAX_BYTES if text.chars().any(char::is_control) => Err(SecretError::ControlCharacter),
            1..=MAX_BYTES => Ok(Secret(text.into_bytes())),
            _ => Err(SecretError::TooLong),
        }
    }

    /// Takes text as [`Secret::parse`] does, and bytes that are no text as they are: a key of another sender's, to sign or
    /// to verify with. No webhook has one.
    ///
    /// Text of several lines stays refused: it is a file of something else.
    pub fn parse_key(bytes: Vec<u8>) -> Result<Secret, SecretError> {
        let is_binary = |text: &str| text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r'));
        match String::from_utf8(bytes) {
            Ok(text) if !is_binary(&text) => Secret::parse(text),
            Ok(text) => Secret::of_bytes(text.into_bytes()),
            Err(error) => Secret::of_bytes(error.into_bytes()),
        }
    }

    fn of_bytes(bytes: Vec<u8>) -> Result<Secret, SecretError> {
        if bytes.len() > MAX_BYTES { Err(SecretError::TooLong) } else { Ok(Secret(bytes)) }
    }

    /// The secret itself: to store it, to show it when asked to reveal it, and to read the key that its text stands for.
    ///
    /// A key that is no text ([`Secret::parse_key`]) is none here either, with a stand-in for what cannot be shown.
    pub fn expose(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }

    /// The secret's bytes, to key a signature.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn kind(&self) -> KeyKind {
        let is_ed25519 = |prefix: &&str| self.0.starts_with(prefix.as_bytes());
        match [PRIVATE_KEY_PREFIX, PUBLIC_KEY_PREFIX].iter().any(is_ed25519) {
            true => KeyKind::Ed25519,
            false => KeyKind::Symmetric,
        }
    }

    /// Whether a webhook with this secret can be signed with `standard`: `whsec_` and strict base64 of 24 to 64 bytes.
    pub fn can_key_standard(&self) -> bool {
        self.0.starts_with(STANDARD_PREFIX.as_bytes()) && self.standard_key().is_ok()
    }

    /// The key bytes for `standard`: strict base64 of 24 to 64 bytes, after an optional `whsec_` (as its libraries do).
    pub fn standard_key(&self) -> Result<Vec<u8>, SecretError> {
        if self.kind() == KeyKind::Ed25519 {
            return Err(SecretError::Ed25519);
        }
        let wanted = STANDARD_WANTED;
        let encoded = self.0.strip_prefix(STANDARD_PREFIX.as_bytes()).unwrap_or(&self.0);
        let key = STANDARD.decode(encoded).map_err(|_| SecretError::NotBase64 { wanted })?;
        match key.len() {
            bytes if STANDARD_KEY_BYTES.contains(&bytes) => Ok(key),
            bytes => Err(SecretError::WrongLength { bytes, wanted }),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASKED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASKED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::parse(text.to_owned()).unwrap()
    }

    #[test]
    fn a_generated_secret_keys_standard_with_its_32_bytes() {
        let generated = Secret::generate([7; 32]);
        assert!(generated.expose().starts_with("whsec_"));
        assert!(generated.can_key_standard());
        assert_eq!(generated.standard_key(), Ok(vec![7; 32]));
    }

    #[test]
    fn no_form_of_it_shows_it() {
        let secret = secret("hush-hush");
        assert_eq!(format!("{secret:?} {secret}"), "Secret(..) ***");
        assert_eq!(serde_json::to_string(&secret).unwrap(), r#""***""#);
    }

    #[test]
    fn empty_long_and_many_line_texts_are_refused() {
        let refused = |text: &str| Secret::parse(text.to_owned()).unwrap_err();
        assert_eq!(refused(""), SecretError::Empty);
        assert_eq!(refused(&"x".repeat(1_025)), SecretError::TooLong);
        for text in ["a\n", "a\0b", "\u{1b}[0m", "a\u{85}"] {
            assert_eq!(refused(text), SecretError::ControlCharacter, "{text:?}");
        }
        secret(&"x".repeat(1_024));
        secret("It's a Sécret to Everybody");
    }

    #[test]
    fn a_key_may_be_bytes_that_are_no_text() {
        for key in [vec![0x0b; 20], vec![0xaa; 131], (1..=25).collect(), vec![0]] {
            assert_eq!(Secret::parse_key(key.clone()).unwrap().bytes(), key);
        }
        assert_eq!(Secret::parse_key(b"It's a secret".to_vec()).unwrap().expose(), "It's a secret");
        let refused = |bytes: &[u8]| Secret::parse_key(bytes.to_vec()).unwrap_err();
        assert_eq!(refused(b""), SecretError::Empty);
        assert_eq!(refused(&[0xff; 1_025]), SecretError::TooLong);
        assert_eq!(refused(b"one\r\ntwo\n"), SecretError::ControlCharacter);
    }

    #[test]
    fn standard_takes_strict_base64_of_24_to_64_bytes() {
        let of_length = |bytes: usize| secret(&format!("whsec_{}", STANDARD.encode(vec![1; bytes])));
        assert!(!of_length(23).can_key_standard());
        assert!(of_length(24).can_key_standard());
        assert!(of_length(64).can_key_standard());
        assert!(!of_length(65).can_key_standard());
        let unpadded = secret("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8");
        assert!(matches!(unpadded.standard_key(), Err(SecretError::NotBase64 { .. })));
        assert!(!secret("whsec_").can_key_standard());
    }

    #[test]
    fn a_webhook_needs_the_prefix_for_standard_but_a_verifier_may_leave_it_out() {
        let bare = secret("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        assert!(!bare.can_key_standard());
        assert_eq!(bare.standard_key().unwrap().len(), 24);
    }

    #[test]
    fn an_asymmetric_key_is_told_from_broken_base64() {
        for text in ["whsk_AAAA", "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="] {
            assert_eq!(secret(text).standard_key(), Err(SecretError::Ed25519), "{text}");
        }
    }

    #[test]
    fn errors_do_not_repeat_the_secret() {
        let error = secret("whsec_hush!hush").standard_key().unwrap_err();
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}

//! Signing: the headers that a request needs.

use super::key::SigningKey;
use super::scheme::Values;
use super::{Form, Scheme, TimePlace, TimeUnit};
use crate::domain::secret::{MASKED, Secret, SecretError};
use crate::domain::time::Timestamp;

/// A request about to be signed.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The event id, the same for every attempt; without a full stop, which delimits the signed content.
    pub id: &'a str,
    pub timestamp: Timestamp,
    /// The URL as it is sent; it counts where [`Scheme::needs_url`].
    pub url: &'a str,
    /// The method in upper case; it counts where [`Scheme::needs_method`].
    pub method: &'a str,
    /// The body, byte for byte.
    pub body: &'a [u8],
}

/// One scheme keyed with a webhook's live secrets, made once and used for every message.
#[derive(Clone)]
pub struct Signer {
    scheme: Scheme,
    keys: Vec<SigningKey>,
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer").field("scheme", &self.scheme.name).finish_non_exhaustive()
    }
}

impl Signer {
    /// Keys `scheme` with those of `secrets` that are of its kind, the newest first.
    ///
    /// The newest must fit the scheme. An older one that does not is left out: it never signed with this scheme.
    pub fn new(scheme: &Scheme, secrets: &[&Secret]) -> Result<Signer, SecretError> {
        let of_kind: Vec<&Secret> =
            secrets.iter().copied().filter(|secret| secret.kind() == scheme.key_kind()).collect();
        // Where there is none, the error says what is wrong with another.
        let secrets = if of_kind.is_empty() { secrets } else { &of_kind };
        let (newest, older) = secrets.split_first().ok_or(SecretError::None)?;
        let mut keys = vec![SigningKey::new(scheme, newest)?];
        if let Form::List { .. } = scheme.form {
            keys.extend(older.iter().filter_map(|secret| SigningKey::new(scheme, secret).ok()));
        }
        Ok(Signer { scheme: scheme.clone(), keys })
    }

    /// A signer without a key: its signature is masked, to show what a request looks like.
    pub fn masked(scheme: &Scheme) -> Signer {
        Signer { scheme: scheme.clone(), keys: Vec::new() }
    }

    /// Every header that the scheme adds to the request: id and timestamp where it has them, then the signature.
    ///
    /// A header that holds a list carries a signature for each secret, the newest first; any other the newest's.
    pub fn headers(&self, message: &Message<'_>) -> Vec<(&str, String)> {
        let timestamp = match self.scheme.time.map(|rule| rule.unit) {
            Some(TimeUnit::Seconds) => message.timestamp.seconds().to_string(),
            Some(TimeUnit::Millis) => message.timestamp.millis().to_string(),
            None => String::new(),
        };
        let signature = self.value(message, &timestamp);
        let mut headers = Vec::with_capacity(3);
        if let Some(name) = self.scheme.id_headers.first() {
            headers.push((*name, message.id.to_owned()));
        }
        if let Some(TimePlace::Headers([name, ..])) = self.scheme.time.map(|rule| rule.place) {
            headers.push((*name, timestamp));
        }
        headers.push((self.scheme.header.as_ref(), signature));
        headers
    }

    fn value(&self, message: &Message<'_>, timestamp: &str) -> String {
        if self.keys.is_empty() {
            return MASKED.to_owned();
        }
        let values = Values {
            id: message.id.as_bytes(),
            timestamp: timestamp.as_bytes(),
            method: message.method.as_bytes(),
            url: message.url.as_bytes(),
            body: message.body,
        };
        // 96 bytes hold every single signature of the table with its prefix and timestamp, bar SHA-512 in hex.
        let mut value = String::with_capacity(96 * self.keys.len());
        if let (Form::List { separator, assign, .. }, Some(TimePlace::Item(key))) =
            (&self.scheme.form, self.scheme.time.map(|rule| rule.place))
        {
            value.push_str(key);
            value.push(char::from(*assign));
            value.push_str(timestamp);
            value.push(char::from(*separator));
        }
        for (index, key) in self.keys.iter().enumerate() {
            match &self.scheme.form {
                Form::Prefixed(prefix) => value.push_str(prefix),
                Form::MaybePrefixed(prefix) => value.push_str(prefix),
                Form::List { separator, assign, key } => {
                    if index > 0 {
                        value.push(char::from(*separator));
                    }
                    value.push_str(key);
                    value.push(char::from(*assign));
                }
            }
            key.sign(values.fill(self.scheme.content), |bytes| self.scheme.encoding.push(bytes, &mut value));
        }
        value
    }
}

//! What describes a signature scheme: data, read by the one engine that signs and verifies.

use std::borrow::Cow;
use std::str::FromStr;

use super::Encoding;
use crate::domain::secret::KeyKind;

/// One way of signing a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scheme {
    /// The name that commands and the database use.
    pub name: &'static str,
    /// Other names it is found by.
    pub aliases: &'static [&'static str],
    /// Who signs this way, for people.
    pub title: &'static str,
    /// How the signature is computed, and what the secret is.
    pub algorithm: Algorithm,
    /// The signed bytes, in order.
    pub content: &'static [Part],
    pub encoding: Encoding,
    pub header: Cow<'static, str>,
    /// Headers that carry it when `header` is absent; the first that is present counts.
    pub other_headers: &'static [&'static str],
    pub form: Form,
    /// Where the time of signing is, and how old it may be; `None` when nothing is signed with a time.
    pub time: Option<TimeRule>,
    /// The headers that may carry the message id, the first for signing; empty when there is none.
    pub id_headers: &'static [&'static str],
    /// Whether the sender may sign the URL with escapes decoded; verifying takes it in either spelling.
    pub url_escapes_decoded: bool,
    /// Whether the options of [`Overrides`] apply to it.
    pub adjustable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC (RFC 2104) with this hash, keyed with the secret in this form.
    Hmac(Hash, KeyForm),
    /// Ed25519 (RFC 8032), keyed with `whsk_` and `whpk_` keys.
    Ed25519,
}

/// The hash inside an HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1: only for senders that still use it.
    Sha1,
    Sha256,
    Sha512,
}

/// What of the secret keys the HMAC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyForm {
    /// The secret's bytes as they are, a `whsec_` included.
    Text,
    /// The bytes that the text after `whsec_` is the base64 of (Standard Webhooks).
    Base64,
}

/// A piece of the signed content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Literal(&'static str),
    Id,
    /// The digits of the timestamp, as the header has them.
    Timestamp,
    Method,
    /// The whole URL that the request went to.
    Url,
    Body,
}

/// How the value of the signature header is made up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// This text, then the signature.
    Prefixed(Cow<'static, str>),
    /// The same, and a signature without the text is taken too.
    MaybePrefixed(&'static str),
    /// Items of key and value; those with this key are signatures. Signing writes one for each live secret.
    List {
        /// Between items.
        separator: u8,
        /// Between key and value.
        assign: u8,
        /// The key of a signature; other keys are other versions, and ignored.
        key: &'static str,
    },
}

/// Where the time of signing is and what is made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeRule {
    pub place: TimePlace,
    pub unit: TimeUnit,
    /// How old it may be unless the user says otherwise; a time exactly that old is accepted.
    pub tolerance_seconds: u32,
    /// Whether a time this far in the future is refused as well.
    pub future: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimePlace {
    /// In the first of these headers that is present; the first is the one that signing writes.
    Headers(&'static [&'static str]),
    /// Under this key of the signature header's list.
    Item(&'static str),
    /// In this field of the JSON body.
    BodyField(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    Seconds,
    Millis,
}

impl Scheme {
    pub fn key_kind(&self) -> KeyKind {
        match self.algorithm {
            Algorithm::Hmac(..) => KeyKind::Symmetric,
            Algorithm::Ed25519 => KeyKind::Ed25519,
        }
    }

    /// Whether the URL is part of what is signed.
    pub fn needs_url(&self) -> bool {
        self.content.contains(&Part::Url)
    }

    /// Whether the method is part of what is signed.
    pub fn needs_method(&self) -> bool {
        self.content.contains(&Part::Method)
    }

    /// The headers that may carry the signature, in the order they are looked for.
    pub fn signature_headers(&self) -> impl Iterator<Item = &str> + Clone {
        std::iter::once(self.header.as_ref()).chain(self.other_headers.iter().copied())
    }

    /// Every header that signing writes.
    pub fn written_headers(&self) -> impl Iterator<Item = &str> {
        let time = match self.time.map(|rule| rule.place) {
            Some(TimePlace::Headers(names)) => names.first().copied(),
            _ => None,
        };
        self.id_headers.first().copied().into_iter().chain(time).chain(std::iter::once(self.header.as_ref()))
    }

    /// The signed content for people: `{id}.{timestamp}.{body}`.
    pub fn content_template(&self) -> String {
        self.content.iter().map(|part| part.template()).collect()
    }

    /// The signature header's value for people: `t={timestamp},v1={hex}`.
    pub fn value_template(&self) -> String {
        let signature = format!("{{{}}}", self.encoding.name());
        match &self.form {
            Form::Prefixed(prefix) => format!("{prefix}{signature}"),
            Form::MaybePrefixed(prefix) => format!("{prefix}{signature}"),
            Form::List { separator, assign, key } => {
                let (separator, assign) = (char::from(*separator), char::from(*assign));
                match self.time.map(|rule| rule.place) {
                    Some(TimePlace::Item(time)) => {
                        format!("{time}{assign}{{timestamp}}{separator}{key}{assign}{signature}")
                    }
                    _ => format!("{key}{assign}{signature}"),
                }
            }
        }
    }
}

impl Algorithm {
    /// `hmac-sha1`, `hmac-sha256`, `hmac-sha512` or `ed25519`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Hmac(Hash::Sha1, _) => "hmac-sha1",
            Algorithm::Hmac(Hash::Sha256, _) => "hmac-sha256",
            Algorithm::Hmac(Hash::Sha512, _) => "hmac-sha512",
            Algorithm::Ed25519 => "ed25519",
        }
    }

    /// How many bytes a signature has.
    pub fn signature_bytes(self) -> usize {
        match self {
            Algorithm::Hmac(Hash::Sha1, _) => 20,
            Algorithm::Hmac(Hash::Sha256, _) => 32,
            Algorithm::Hmac(Hash::Sha512, _) | Algorithm::Ed25519 => 64,
        }
    }
}

impl Hash {
    /// All of them, the usual one first.
    pub const ALL: [Hash; 3] = [Hash::Sha256, Hash::Sha1, Hash::Sha512];

    /// As `--algorithm` spells it.
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "sha1",
            Hash::Sha256 => "sha256",
            Hash::Sha512 => "sha512",
        }
    }
}

impl FromStr for Hash {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Hash, Self::Err> {
        Hash::ALL
            .into_iter()
            .find(|hash| hash.name().eq_ignore_ascii_case(name))
            .ok_or("unknown algorithm; use sha1, sha256 or sha512")
    }
}

impl Part {
    fn template(self) -> &'static str {
        match self {
            Part::Literal(text) => text,
            Part::Id => "{id}",
            Part::Timestamp => "{timestamp}",
            Part::Method => "{method}",
            Part::Url => "{url}",
            Part::Body => "{body}",
        }
    }
}

/// The bytes that the parts of a content stand for, of one message.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub id: &'a [u8],
    pub timestamp: &'a [u8],
    pub method: &'a [u8],
    pub url: &'a [u8],
    pub body: &'a [u8],
}

impl<'a> Values<'a> {
    /// The signed bytes, piece by piece.
    pub fn fill(self, content: &'a [Part]) -> impl Iterator<Item = &'a [u8]> + Clone {
        content.iter().map(move |part| match part {
            Part::Literal(text) => text.as_bytes(),
            Part::Id => self.id,
            Part::Timestamp => self.timestamp,
            Part::Method => self.method,
            Part::Url => self.url,
            Part::Body => self.body,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::schemes;
    use super::*;

    fn scheme(name: &str) -> &'static Scheme {
        Scheme::find(name).unwrap()
    }

    #[test]
    fn schemes_are_found_by_name_and_alias() {
        assert_eq!(scheme("standard-webhooks").name, "standard");
        assert_eq!(scheme("forgejo").name, "gitea");
        assert_eq!(scheme("gogs").name, "gitea");
        assert_eq!(scheme("raw-hmac-sha256").name, "hmac");
        assert_eq!(Scheme::find("Stripe"), None);
    }

    #[test]
    fn names_and_aliases_are_unique() {
        let mut names: Vec<_> =
            schemes::ALL.iter().flat_map(|s| std::iter::once(&s.name).chain(s.aliases)).copied().collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn templates_read_as_documentation() {
        assert_eq!(scheme("standard").content_template(), "{id}.{timestamp}.{body}");
        assert_eq!(scheme("standard").value_template(), "v1,{base64}");
        assert_eq!(scheme("slack").content_template(), "v0:{timestamp}:{body}");
        assert_eq!(scheme("stripe").value_template(), "t={timestamp},v1={hex}");
        assert_eq!(scheme("timetracker").value_template(), "sha256={hex}");
    }

    #[test]
    fn the_written_headers_are_those_of_the_sender() {
        let written = |name| scheme(name).written_headers().collect::<Vec<_>>();
        assert_eq!(written("standard"), ["webhook-id", "webhook-timestamp", "webhook-signature"]);
        assert_eq!(written("slack"), ["X-Slack-Request-Timestamp", "X-Slack-Signature"]);
        assert_eq!(written("linear"), ["linear-signature"]);
    }
}

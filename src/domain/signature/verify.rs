//! Verifying: is the header present, does it parse, does it match, is it of now; in this order.

use std::time::Duration;

use serde::Serialize;
use serde_json::value::RawValue;

use super::key::VerifyingKey;
use super::received::Header;
use super::scheme::Values;
use super::{Form, Scheme, TimePlace, TimeRule, TimeUnit, url_escapes};
use crate::domain::duration;
use crate::domain::members::Members;
use crate::domain::secret::{Secret, SecretError};
use crate::domain::time::Timestamp;

/// A header longer than this is malformed; servers stop far earlier.
const MAX_HEADER_BYTES: usize = 65_536;

/// A request as it came in.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// Its headers; names in any case, values as bytes.
    pub headers: &'a [Header],
    /// Its body, byte for byte.
    pub body: &'a [u8],
    /// The whole URL it was sent to, where known.
    pub url: Option<&'a str>,
    pub method: Option<&'a str>,
    /// When it is judged.
    pub now: Timestamp,
    /// How old it may be, to the last moment; `None` for any age. See [`TimeRule::tolerance_seconds`].
    pub tolerance: Option<Duration>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Valid {
        /// Which of the secrets matched, counted from 0; the first of several.
        matched: usize,
        /// When it was signed, if the scheme says so.
        signed_at: Option<Timestamp>,
    },
    Invalid {
        reason: Reason,
        /// What exactly was wrong, for people; it never holds an expected signature or a secret.
        detail: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A header that the scheme needs is not there.
    MissingHeader,
    /// A header is there, but not in the form of the scheme, or more than once.
    Malformed,
    /// Well-formed, but no signature matches any secret.
    NoMatch,
    /// The signature is right and too old.
    TimestampTooOld,
    /// The signature is right and from too far in the future.
    TimestampInFuture,
}

/// Why the question itself cannot be answered.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Question {
    /// No secret fits the scheme.
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("scheme {0} signs the URL; give it with --url")]
    NeedsUrl(&'static str),
    #[error("scheme {0} signs the method; give it with --method")]
    NeedsMethod(&'static str),
}

impl Reason {
    /// As the JSON output spells it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::MissingHeader => "missing-header",
            Reason::Malformed => "malformed",
            Reason::NoMatch => "no-match",
            Reason::TimestampTooOld => "timestamp-too-old",
            Reason::TimestampInFuture => "timestamp-in-future",
        }
    }
}

impl TimeRule {
    /// The tolerance that applies unless the user gives one.
    pub fn default_tolerance(self) -> Duration {
        Duration::from_secs(self.tolerance_seconds.into())
    }
}

/// Judges a request by `scheme` and any of `secrets`; every signature is tried with every secret.
///
/// Secrets that do not fit the scheme are passed over, unless none fits.
pub fn verify(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> Result<Verdict, Question> {
    if scheme.needs_url() && received.url.is_none() {
        return Err(Question::NeedsUrl(scheme.name));
    }
    if scheme.needs_method() && received.method.is_none() {
        return Err(Question::NeedsMethod(scheme.name));
    }
    let keys = fitting_keys(scheme, secrets)?;
    let mut verdict = judge(scheme, &keys, received);
    // HubSpot's documentation decodes escapes of the URL before it signs; its own libraries sign what they are given.
    let decoded = received.url.filter(|_| scheme.url_escapes_decoded).and_then(url_escapes::decode);
    if let (Err((Reason::NoMatch, _)), Some(url)) = (&verdict, &decoded) {
        verdict = judge(scheme, &keys, &Received { url: Some(url), ..*received });
    }
    Ok(verdict.unwrap_or_else(|(reason, detail)| Verdict::Invalid { reason, detail }))
}

type Refusal = (Reason, String);

fn fitting_keys(scheme: &Scheme, secrets: &[&Secret]) -> Result<Vec<(usize, VerifyingKey)>, SecretError> {
    let mut keys = Vec::with_capacity(secrets.len());
    let mut unfit = SecretError::None;
    let is_of_kind = |secret: &&Secret| secret.kind() == scheme.key_kind();
    let any_kind = !secrets.iter().any(is_of_kind);
    for (index, secret) in secrets.iter().enumerate().filter(|(_, secret)| any_kind || is_of_kind(secret)) {
        match VerifyingKey::new(scheme, secret) {
            Ok(key) => keys.push((index, key)),
            Err(error) => unfit = error,
        }
    }
    if keys.is_empty() { Err(unfit) } else { Ok(keys) }
}

fn judge(scheme: &Scheme, keys: &[(usize, VerifyingKey)], received: &Received<'_>) -> Result<Verdict, Refusal> {
    let signature = header(received, scheme.signature_headers())?;
    let id = match scheme.id_headers {
        [] => b"",
        names => match header(received, names.iter().copied())? {
            b"" => return Err((Reason::Malformed, format!("header {} is empty", names[0]))),
            id => id,
        },
    };
    let timestamp = match scheme.time.map(|rule| rule.place) {
        Some(TimePlace::Headers(names)) => Some(header(received, names.iter().copied())?),
        Some(TimePlace::Item(key)) => Some(timestamp_item(scheme, key, signature)?),
        Some(TimePlace::BodyField(_)) | None => None,
    };
    let signed_at = timestamp.map(digits).transpose()?;
    let candidates = candidates(scheme, signature)?;

    let values = Values {
        id,
        timestamp: timestamp.unwrap_or_default(),
        method: received.method.unwrap_or_default().as_bytes(),
        url: received.url.unwrap_or_default().as_bytes(),
        body: received.body,
    };
    // Every key is tried even after a match, so that the time taken does not tell which one matched.
    let matched = keys.iter().rev().fold(None, |matched, (index, key)| {
        if key.matches_any(values.fill(scheme.content), &candidates) { Some(*index) } else { matched }
    });
    let Some(matched) = matched else {
        return Err((Reason::NoMatch, "the signature does not match the body and the secret".to_owned()));
    };
    let Some(rule) = scheme.time else {
        return Ok(Verdict::Valid { matched, signed_at: None });
    };
    let signed_at = match (rule.place, received.tolerance) {
        (TimePlace::BodyField(field), Some(_)) => {
            let right_but = |(reason, detail)| (reason, format!("the signature is right, but {detail}"));
            Some(body_timestamp(received.body, field).map_err(right_but)?)
        }
        (TimePlace::BodyField(field), None) => body_timestamp(received.body, field).ok(),
        _ => signed_at,
    };
    if let (Some(signed_at), Some(tolerance)) = (signed_at, received.tolerance) {
        check_age(rule, signed_at, received.now, tolerance)?;
    }
    Ok(Verdict::Valid { matched, signed_at: signed_at.map(|count| point_in_time(rule, count)) })
}

/// The value of the first of `names` that is present.
///
/// A header given twice is malformed, even with equal values: servers differ in which of the two they believe.
fn header<'a, 'n>(
    received: &Received<'a>,
    mut names: impl Iterator<Item = &'n str> + Clone,
) -> Result<&'a [u8], Refusal> {
    let wanted = names.clone().next().unwrap_or_default();
    let values = |name: &'n str| received.headers.iter().filter(move |(given, _)| given.eq_ignore_ascii_case(name));
    let Some(name) = names.find(|name| values(name).next().is_some()) else {
        return Err((Reason::MissingHeader, format!("header {wanted} is missing")));
    };
    let mut values = values(name);
    let malformed = |what: String| Err((Reason::Malformed, format!("header {name} {what}")));
    match (values.next(), values.next()) {
        (Some((_, value)), None) if value.len() > MAX_HEADER_BYTES => {
            malformed(format!("is longer than {MAX_HEADER_BYTES} bytes"))
        }
        // RFC 9110 section 5.5: no request carries these in a value.
        (Some((_, value)), None) if value.iter().any(|byte| b"\r\n\0".contains(byte)) => {
            malformed("holds a line break or NUL".to_owned())
        }
        (Some((_, value)), None) => Ok(value),
        _ => malformed("is given twice".to_owned()),
    }
}

/// The signatures in the header's value that have the length of one; at least one, or the reason why there is none.
fn candidates(scheme: &Scheme, value: &[u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let encoded: Vec<&[u8]> =
        match &scheme.form {
            Form::Prefixed(prefix) => vec![value.strip_prefix(prefix.as_bytes()).ok_or_else(|| {
                (Reason::Malformed, format!("header {} does not begin with {prefix}", scheme.header))
            })?],
            Form::MaybePrefixed(prefix) => vec![value.strip_prefix(prefix.as_bytes()).unwrap_or(value)],
            Form::List { separator, assign, key } => {
                let signatures: Vec<&[u8]> = items(value, *separator, *assign, key).collect();
                if signatures.is_empty() {
                    // With items of other versions only, the header is well-formed but has no signature to check.
                    let others = list(value, *separator, *assign).any(|(other, _)| !is_time_key(scheme, other));
                    let reason = if others { Reason::NoMatch } else { Reason::Malformed };
                    return Err((reason, format!("header {} holds no {key} signature", scheme.header)));
                }
                signatures
            }
        };
    let length = scheme.algorithm.signature_bytes();
    let decoded: Vec<Vec<u8>> = encoded
        .into_iter()
        .filter_map(|text| scheme.encoding.decode(text))
        .filter(|signature| signature.len() == length)
        .collect();
    if decoded.is_empty() {
        let encoding = scheme.encoding.name();
        return Err((
            Reason::Malformed,
            format!("header {} does not hold {length} bytes in {encoding}", scheme.header),
        ));
    }
    Ok(decoded)
}

fn timestamp_item<'a>(scheme: &Scheme, key: &str, value: &'a [u8]) -> Result<&'a [u8], Refusal> {
    let Form::List { separator, assign, .. } = scheme.form else {
        return Err((Reason::Malformed, format!("header {} holds no timestamp", scheme.header)));
    };
    let mut found = items(value, separator, assign, key);
    match (found.next(), found.next()) {
        (Some(timestamp), None) => Ok(timestamp),
        (Some(_), Some(_)) => Err((Reason::Malformed, format!("header {} holds two timestamps", scheme.header))),
        (None, _) => Err((Reason::Malformed, format!("header {} holds no timestamp ({key})", scheme.header))),
    }
}

fn is_time_key(scheme: &Scheme, key: &[u8]) -> bool {
    matches!(scheme.time, Some(TimeRule { place: TimePlace::Item(time), .. }) if time.as_bytes() == key)
}

/// The values of `key` in a list.
fn items<'a>(value: &'a [u8], separator: u8, assign: u8, key: &str) -> impl Iterator<Item = &'a [u8]> {
    list(value, separator, assign).filter(move |(name, _)| *name == key.as_bytes()).map(|(_, value)| value)
}

/// The items of a list; blanks around an item are taken, an item without a key is passed over.
fn list(value: &[u8], separator: u8, assign: u8) -> impl Iterator<Item = (&[u8], &[u8])> {
    value.split(move |byte| *byte == separator).filter_map(move |item| {
        let item = item.trim_ascii();
        let at = item.iter().position(|byte| *byte == assign)?;
        Some((&item[..at], &item[at + 1..]))
    })
}

/// A timestamp of ASCII digits and nothing else; a sign, a fraction or a blank is malformed.
fn digits(text: &[u8]) -> Result<u64, Refusal> {
    let malformed = || (Reason::Malformed, "the timestamp is not a whole number of digits".to_owned());
    if !text.iter().all(u8::is_ascii_digit) {
        return Err(malformed());
    }
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or_else(malformed)
}

/// The field of the body's JSON object, looked for only once the body is known to be the sender's.
fn body_timestamp(body: &[u8], field: &str) -> Result<u64, Refusal> {
    let malformed = || (Reason::Malformed, format!("the body has no timestamp in its field {field}"));
    let Members(fields) = serde_json::from_slice::<Members<&RawValue>>(body).map_err(|_| malformed())?;
    let mut found = fields.iter().filter(|(name, _)| name == field);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => digits(value.get().as_bytes()),
        _ => Err(malformed()),
    }
}

/// Compares in the unit of the timestamp, so that a signature of this second passes with a tolerance of 0.
fn check_age(rule: TimeRule, signed_at: u64, now: Timestamp, tolerance: Duration) -> Result<(), Refusal> {
    let (now, unit_millis) = match rule.unit {
        TimeUnit::Seconds => (now.seconds(), 1_000),
        TimeUnit::Millis => (now.millis(), 1),
    };
    let age_millis = (i128::from(now) - i128::from(signed_at)) * unit_millis;
    let tolerance_millis = i128::try_from(tolerance.as_millis()).unwrap_or(i128::MAX);
    let off = |reason, direction: &str| {
        let age = duration::format(Duration::from_millis(u64::try_from(age_millis.abs()).unwrap_or(u64::MAX)));
        let allowed = duration::format(tolerance);
        Err((reason, format!("the signature is right, but was made {age} {direction}; the tolerance is {allowed}")))
    };
    match age_millis {
        age if age > tolerance_millis => off(Reason::TimestampTooOld, "ago"),
        age if rule.future && -age > tolerance_millis => off(Reason::TimestampInFuture, "in the future"),
        _ => Ok(()),
    }
}

fn point_in_time(rule: TimeRule, count: u64) -> Timestamp {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    match rule.unit {
        TimeUnit::Seconds => Timestamp::from_millis(count.saturating_mul(1_000)),
        TimeUnit::Millis => Timestamp::from_millis(count),
    }
}

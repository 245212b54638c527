//! The requests of checks: right ones, and ones with one fault.

use serde_json::value::RawValue;

use crate::clock::Clock;
use crate::delivery::USER_AGENT;
use crate::domain::envelope::Content;
use crate::domain::event::{self, PAYLOAD_LIMIT};
use crate::domain::secret::{Secret, SecretError};
use crate::domain::signature::{Form, Message, Scheme, Signer, TimePlace, TimeUnit};
use crate::domain::time::Timestamp;
use crate::random::Random;

/// An offset from now that every receiver should refuse, in milliseconds: more than twice the tolerance of every scheme.
const FAR: i64 = 11 * 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    Right,
    /// The event of the previous sample, signed anew.
    Again,
    NoSignature,
    /// A well-formed signature with one digit changed.
    WrongSignature,
    /// Text that is no signature.
    MalformedSignature,
    OtherSecret,
    ChangedBody,
    ChangedId,
    ChangedTimestamp,
    Aged(Age),
    /// JSON with white space, escapes and numbers that no library writes.
    UnusualJson,
    /// Two signatures, the right one first.
    RightBeforeOther,
    /// Two signatures, the right one last.
    OtherBeforeRight,
    /// The largest body that hookctl sends.
    Large,
    Empty,
    /// Another `Content-Type`.
    Type(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    Old,
    Future,
}

impl Sample {
    pub fn name(self) -> &'static str {
        match self {
            Sample::Right => "right signature",
            Sample::Again => "the same again",
            Sample::NoSignature => "no signature",
            Sample::WrongSignature => "wrong signature",
            Sample::MalformedSignature => "malformed signature",
            Sample::OtherSecret => "other secret",
            Sample::ChangedBody => "changed body",
            Sample::ChangedId => "changed id",
            Sample::ChangedTimestamp => "changed timestamp",
            Sample::Aged(Age::Old) => "11 minutes old",
            Sample::Aged(Age::Future) => "11 minutes in the future",
            Sample::UnusualJson => "unusual JSON",
            Sample::RightBeforeOther => "right one first",
            Sample::OtherBeforeRight => "right one last",
            Sample::Large => "1 MiB",
            Sample::Empty => "empty body",
            Sample::Type(content_type) => content_type,
        }
    }

    /// Whether a correct receiver refuses it.
    pub fn must_be_refused(self) -> bool {
        matches!(
            self,
            Sample::NoSignature
                | Sample::WrongSignature
                | Sample::MalformedSignature
                | Sample::OtherSecret
                | Sample::ChangedBody
                | Sample::ChangedId
                | Sample::ChangedTimestamp
                | Sample::Aged(_)
        )
    }
}

#[derive(Clone, Debug)]
pub struct Maker {
    pub scheme: Scheme,
    /// The receiver's secrets, the newest first; at least one.
    pub secrets: Vec<Secret>,
    /// A secret that the receiver does not have.
    pub other: Secret,
    pub method: String,
    /// The URL that is signed.
    pub url: String,
    pub content_type: String,
    /// The webhook's own headers.
    pub headers: Vec<(String, String)>,
    pub event_type: String,
    pub data: Box<RawValue>,
    pub clock: Clock,
}

#[derive(Clone, Debug)]
pub struct Made {
    pub event_id: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Maker {
    /// Checks that every request can be signed.
    pub fn check(&self) -> Result<(), SecretError> {
        self.signer(&self.all()).map(|_| ())
    }

    /// The request that `sample` names; with the event `of` where that is given.
    pub fn make(&self, sample: Sample, random: &mut Random, of: Option<&Made>) -> Result<Made, SecretError> {
        let now = self.clock.now();
        let signed_at = match sample {
            Sample::Aged(Age::Old) => now.plus_millis(-FAR),
            Sample::Aged(Age::Future) => now.plus_millis(FAR),
            _ => now,
        };
        let event_id = match of {
            Some(made) => made.event_id.clone(),
            None => event::new_id(now, random.next_u128()),
        };
        let body = of.map_or_else(|| self.body(sample, &event_id, now, signed_at), |made| made.body.clone());
        let signer = match sample {
            Sample::OtherSecret => self.signer(&[&self.other])?,
            Sample::WrongSignature | Sample::MalformedSignature => self.signer(&self.all()[..1])?,
            Sample::RightBeforeOther => self.signer(&[self.all(), vec![&self.other]].concat())?,
            Sample::OtherBeforeRight => self.signer(&[vec![&self.other], self.all()].concat())?,
            _ => self.signer(&self.all())?,
        };
        let message =
            Message { id: &event_id, timestamp: signed_at, url: &self.url, method: &self.method, body: &body };
        let signed = signer.headers(&message).into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let new_id = event::new_id(now, random.next_u128());
        let (signed, body) = self.spoil(sample, signed, body, signed_at, new_id);
        Ok(Made { headers: self.all_headers(sample, signed), event_id, body })
    }

    fn all(&self) -> Vec<&Secret> {
        self.secrets.iter().collect()
    }

    fn signer(&self, secrets: &[&Secret]) -> Result<Signer, SecretError> {
        Signer::new(&self.scheme, secrets)
    }

    fn body(&self, sample: Sample, event_id: &str, now: Timestamp, signed_at: Timestamp) -> Vec<u8> {
        let time_field = match self.scheme.time.map(|rule| rule.place) {
            Some(TimePlace::BodyField(field)) => Some(format!("\"{field}\":{}", self.digits(signed_at))),
            _ => None,
        };
        let envelope = match sample {
            Sample::Empty => return Vec::new(),
            Sample::UnusualJson => return self.unusual_json(event_id, now, time_field),
            _ => Content::of_data(&self.data).envelope(event_id, &self.event_type, now),
        };
        let envelope = time_field.map_or(envelope.clone(), |field| with_member(&envelope, &field));
        match sample {
            Sample::Large => padded(&envelope, PAYLOAD_LIMIT),
            _ => envelope,
        }
    }

    /// The envelope in a spelling that parsing and serialising would change.
    fn unusual_json(&self, event_id: &str, now: Timestamp, time_field: Option<String>) -> Vec<u8> {
        let event_type: String =
            self.event_type.chars().fold(String::new(), |text, c| text + &format!("\\u{:04x}", c as u32));
        let time = time_field.map_or_else(String::new, |field| format!("{field} ,"));
        format!(
            "\r\n {{ {time}\"spelling\" : [ 1.50,\t1E+2 , \"\\u00e9\\/\" ],\n\"event_id\" :\"{event_id}\" ,\
             \"event_type\": \"{event_type}\",\r\n\t\"timestamp\":\"{}\" ,\"data\" : {} }}\n\n",
            now.rfc3339(),
            self.data.get()
        )
        .into_bytes()
    }

    /// Makes the fault of the sample, after signing.
    fn spoil(
        &self,
        sample: Sample,
        mut signed: Vec<(String, String)>,
        body: Vec<u8>,
        signed_at: Timestamp,
        new_id: String,
    ) -> (Vec<(String, String)>, Vec<u8>) {
        match sample {
            Sample::NoSignature => signed.retain(|(name, _)| *name != self.scheme.header),
            Sample::WrongSignature => replace(&mut signed, &self.scheme.header, |value| {
                change_digit(value, self.signature_start(value) + 4);
            }),
            Sample::MalformedSignature => replace(&mut signed, &self.scheme.header, |value| {
                value.truncate(self.signature_start(value));
                value.push_str("not-a-signature");
            }),
            Sample::ChangedBody => return (signed, with_member(&body, "\"changed\":true")),
            Sample::ChangedId => {
                let name = self.scheme.id_headers.first().copied().unwrap_or_default();
                replace(&mut signed, name, |value| *value = new_id);
            }
            Sample::ChangedTimestamp => {
                let (before, after) = (self.digits(signed_at), self.digits(signed_at.plus_millis(1_000)));
                match self.scheme.time.map(|rule| rule.place) {
                    Some(TimePlace::Headers([name, ..])) => replace(&mut signed, name, |value| *value = after),
                    Some(TimePlace::Item(_)) => replace(&mut signed, &self.scheme.header, |value| {
                        *value = value.replacen(&before, &after, 1);
                    }),
                    Some(TimePlace::BodyField(field)) => {
                        let [before, after] = [before, after].map(|digits| format!("\"{field}\":{digits}"));
                        let text = String::from_utf8_lossy(&body).replacen(&before, &after, 1);
                        return (signed, text.into_bytes());
                    }
                    Some(TimePlace::Headers([])) | None => {}
                }
            }
            _ => {}
        }
        (signed, body)
    }

    fn all_headers(&self, sample: Sample, signed: Vec<(String, String)>) -> Vec<(String, String)> {
        let content_type = match sample {
            Sample::Type(content_type) => content_type,
            _ => &self.content_type,
        };
        let usual = [
            ("Content-Type", content_type),
            ("User-Agent", USER_AGENT),
            ("X-Webhook-Event", &self.event_type),
            ("X-Webhook-Attempt", "1"),
        ];
        let usual = usual.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        usual.chain(self.headers.iter().cloned()).chain(signed).collect()
    }

    /// A time as the scheme writes it.
    fn digits(&self, time: Timestamp) -> String {
        match self.scheme.time.map(|rule| rule.unit) {
            Some(TimeUnit::Millis) => time.millis().to_string(),
            Some(TimeUnit::Seconds) | None => time.seconds().to_string(),
        }
    }

    /// The start of the first signature in the header's value.
    fn signature_start(&self, value: &str) -> usize {
        let after = |text: &str| value.find(text).map_or(0, |at| at + text.len());
        match &self.scheme.form {
            Form::Prefixed(prefix) => after(prefix),
            Form::MaybePrefixed(prefix) => after(prefix),
            Form::List { assign, key, .. } => after(&format!("{key}{}", char::from(*assign))),
        }
    }
}

fn replace(headers: &mut [(String, String)], name: &str, change: impl FnOnce(&mut String)) {
    if let Some((_, value)) = headers.iter_mut().find(|(given, _)| given == name) {
        change(value);
    }
}

/// Another digit at that position, valid in hex and base64.
fn change_digit(text: &mut String, at: usize) {
    let other = if text[at..].starts_with('0') { "1" } else { "0" };
    text.replace_range(at..=at, other);
}

/// The object with another member, as the first.
fn with_member(object: &[u8], member: &str) -> Vec<u8> {
    [b"{", member.as_bytes(), b",", object.strip_prefix(b"{").unwrap_or(object)].concat()
}

/// The object padded to `length` bytes by another member; unchanged if it is longer.
fn padded(object: &[u8], length: usize) -> Vec<u8> {
    let member = |filler: usize| format!("\"padding\":\"{}\"", "x".repeat(filler));
    match length.checked_sub(with_member(object, &member(0)).len()) {
        Some(filler) => with_member(object, &member(filler)),
        None => object.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::domain::signature::{Reason, Received, TimeRule, Verdict, schemes, verify};

    const NOW: Timestamp = Timestamp::START;

    fn maker(scheme: &Scheme) -> Maker {
        Maker {
            scheme: scheme.clone(),
            secrets: vec![scheme.key_kind().new_secret([7; 32])],
            other: scheme.key_kind().new_secret([8; 32]),
            method: "POST".to_owned(),
            url: "http://127.0.0.1/".to_owned(),
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            event_type: "webhook.test".to_owned(),
            data: RawValue::from_string("{\"a\":1}".to_owned()).unwrap(),
            clock: Clock::new(Some(NOW.plus_millis(1_700_000_000_000))),
        }
    }

    /// Why hookctl's own verification refuses the sample; `None` if it is valid.
    fn judged(maker: &Maker, sample: Sample) -> Option<Reason> {
        let made = maker.make(sample, &mut Random::new().unwrap(), None).unwrap();
        let headers: Vec<_> = made.headers.into_iter().map(|(name, value)| (name, value.into_bytes())).collect();
        let received = Received {
            headers: &headers,
            body: &made.body,
            url: Some(&maker.url),
            method: Some(&maker.method),
            now: maker.clock.now(),
            tolerance: maker.scheme.time.map(TimeRule::default_tolerance),
        };
        match verify(&maker.scheme, &maker.all(), &received).unwrap() {
            Verdict::Valid { .. } => None,
            Verdict::Invalid { reason, .. } => Some(reason),
        }
    }

    #[test]
    fn each_sample_is_wrong_in_its_way_and_in_no_other_for_every_scheme() {
        for scheme in schemes::ALL.iter() {
            let maker = maker(scheme);
            let judged = |sample| judged(&maker, sample);
            let name = scheme.name;
            for sample in [Sample::Right, Sample::UnusualJson, Sample::Large, Sample::Type("text/plain")] {
                assert_eq!(judged(sample), None, "{name} {sample:?}");
            }
            for sample in [Sample::WrongSignature, Sample::OtherSecret, Sample::ChangedBody] {
                assert_eq!(judged(sample), Some(Reason::NoMatch), "{name} {sample:?}");
            }
            assert_eq!(judged(Sample::NoSignature), Some(Reason::MissingHeader), "{name}");
            assert_eq!(judged(Sample::MalformedSignature), Some(Reason::Malformed), "{name}");
            if !scheme.id_headers.is_empty() {
                assert_eq!(judged(Sample::ChangedId), Some(Reason::NoMatch), "{name}");
            }
            if scheme.time.is_some() {
                assert_eq!(judged(Sample::ChangedTimestamp), Some(Reason::NoMatch), "{name}");
                assert_eq!(judged(Sample::Aged(Age::Old)), Some(Reason::TimestampTooOld), "{name}");
                assert_eq!(judged(Sample::Aged(Age::Future)), Some(Reason::TimestampInFuture), "{name}");
            }
            if let Form::List { .. } = scheme.form {
                assert_eq!(judged(Sample::RightBeforeOther), None, "{name}");
                assert_eq!(judged(Sample::OtherBeforeRight), None, "{name}");
            }
        }
    }

    #[test]
    fn bodies_are_json_of_the_length_they_should_have() {
        let maker = maker(Scheme::find("linear").unwrap());
        let body = |sample| maker.make(sample, &mut Random::new().unwrap(), None).unwrap().body;
        assert_eq!(body(Sample::Large).len(), PAYLOAD_LIMIT);
        assert!(body(Sample::Empty).is_empty());
        for sample in [Sample::Right, Sample::UnusualJson, Sample::Large, Sample::ChangedBody] {
            let json: Value = serde_json::from_slice(&body(sample)).unwrap();
            assert_eq!((&json["event_type"], &json["data"]["a"]), (&"webhook.test".into(), &1.into()), "{sample:?}");
            assert_eq!(json["webhookTimestamp"], 1_700_000_000_000_u64, "{sample:?}");
        }
        let json: Value = serde_json::from_slice(&body(Sample::UnusualJson)).unwrap();
        assert_ne!(serde_json::to_vec(&json).unwrap(), body(Sample::UnusualJson));
    }
}

//! Events: what happened, under an id that never changes.

use std::ops::Range;

use sha2::{Digest, Sha256};

use super::event_type::LONGEST;
use super::time::Timestamp;

/// The largest payload, in bytes: 1 MiB.
pub const PAYLOAD_LIMIT: usize = 1024 * 1024;

/// Why an event id is refused.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EventIdError {
    #[error("an event id is empty")]
    Empty,
    #[error("an event id has {0} characters; the limit is {LONGEST}")]
    TooLong(usize),
    /// A dot would make the signed content `id.timestamp.body` ambiguous.
    #[error("an event id holds a dot, which signed content cannot carry; use letters, digits, - and _")]
    Dot,
    #[error("an event id holds other characters than letters, digits, - _ and :")]
    Character,
}

/// Checks an event id: 1 to 100 letters, digits, `-`, `_` and `:`. Standard Webhooks forbids dots in ids.
pub fn check_id(id: &str) -> Result<(), EventIdError> {
    match id {
        "" => Err(EventIdError::Empty),
        _ if id.chars().count() > LONGEST => Err(EventIdError::TooLong(id.chars().count())),
        _ if id.contains('.') => Err(EventIdError::Dot),
        _ if id.chars().all(|c| c.is_ascii_alphanumeric() || "-_:".contains(c)) => Ok(()),
        _ => Err(EventIdError::Character),
    }
}

/// A new event id, `evt_` and a ULID: ids sort by time, so the index over them grows at its end.
pub fn new_id(now: Timestamp, random: u128) -> String {
    format!("evt_{}", ulid::Ulid::from_parts(now.millis() as u64, random))
}

/// Tells a duplicate from a conflict where an id comes twice, and finds the same content under another id: the first 16
/// bytes of a SHA-256 over what the sender gave. The envelope's time and id are not part of it.
pub type Fingerprint = [u8; 16];

/// The fingerprint of `parts`. The length of each part is hashed too, so that moving text between parts changes it.
pub fn fingerprint(parts: &[Option<&[u8]>]) -> Fingerprint {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.map_or(u64::MAX, |bytes| bytes.len() as u64).to_le_bytes());
        hash.update(part.unwrap_or_default());
    }
    let mut fingerprint = [0; 16];
    fingerprint.copy_from_slice(&hash.finalize()[..16]);
    fingerprint
}

/// The lower-case hex SHA-256 of a payload, as `delivery show` prints it.
pub fn payload_hash(payload: &[u8]) -> String {
    hex::encode(Sha256::digest(payload))
}

/// An event to be stored.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// Unique for ever; receivers recognise duplicates by it.
    pub event_id: String,
    pub event_type: String,
    /// The exact bytes that are sent and signed.
    pub payload: Vec<u8>,
    pub fingerprint: Fingerprint,
    /// Only this owner's webhooks get it, when set.
    pub owner: Option<String>,
    /// The webhook that an operational event is about, which does not get it itself.
    pub about: Option<i64>,
    /// From the envelope; events are searched by it.
    pub entity_type: Option<String>,
    pub entity_id: Option<String>,
    /// The ordering key, such as `customer-7`.
    pub key: Option<String>,
    /// The range of the data within the payload: empty if there is none, `None` if the payload is not an envelope.
    pub data: Option<Range<usize>>,
    /// Sent to every receiver, besides the webhook's custom headers.
    pub headers: Vec<(String, String)>,
    /// When it was accepted.
    pub created_at: Timestamp,
}

/// What a webhook's expressions and its preset see of an event.
#[derive(Clone, Copy, Debug)]
pub struct EventParts<'a> {
    pub event_id: &'a str,
    pub event_type: &'a str,
    pub payload: &'a [u8],
}

impl NewEvent {
    pub fn parts(&self) -> EventParts<'_> {
        EventParts { event_id: &self.event_id, event_type: &self.event_type, payload: &self.payload }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_no_dot_blank_or_control_character() {
        for id in ["", "a.b", "a b", "a\n", "é", &"x".repeat(101)] {
            assert!(check_id(id).is_err(), "{id:?}");
        }
        for id in ["1", "evt_01", "order-7:paid", &"x".repeat(100)] {
            assert_eq!(check_id(id), Ok(()), "{id:?}");
        }
        assert_eq!(check_id(&new_id(Timestamp::MAX, u128::MAX)), Ok(()));
    }

    #[test]
    fn parts_do_not_run_together() {
        assert_ne!(fingerprint(&[Some(b"ab"), Some(b"c")]), fingerprint(&[Some(b"a"), Some(b"bc")]));
        assert_ne!(fingerprint(&[None]), fingerprint(&[Some(b"")]));
    }
}

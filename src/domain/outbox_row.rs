//! A row of an outbox: an event as an application left it. Any row becomes an event or a reason why it cannot.

use std::borrow::Cow;

use serde::{Serialize, Serializer};

use super::custom_headers;
use super::envelope::{Content, Entity};
use super::event::NewEvent;
use super::event_draft::{Draft, DraftError, Field};
use super::json;
use super::time::Timestamp;

/// The contents of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Nothing,
    Bytes(Vec<u8>),
    /// Longer than may be read, in bytes.
    TooLong {
        bytes: i64,
        most: usize,
    },
    /// Neither text nor bytes.
    Other,
}

impl Found {
    fn bytes(&self, column: &str) -> Result<Option<&[u8]>, String> {
        match self {
            Found::Nothing => Ok(None),
            Found::Bytes(bytes) => Ok(Some(bytes)),
            Found::TooLong { bytes, most } => Err(format!("{column}: it has {bytes} bytes; the limit is {most}")),
            Found::Other => Err(format!("{column}: neither text nor bytes")),
        }
    }

    /// What was read of it.
    pub fn content(&self) -> Option<&[u8]> {
        self.bytes("").ok().flatten()
    }

    fn text(&self, column: &str) -> Result<Option<Cow<'_, str>>, String> {
        let Some(bytes) = self.bytes(column)? else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| format!("{column}: not UTF-8"))?;
        Ok(Some(Cow::Borrowed(text)))
    }

    /// For people: as much as there is to show.
    pub fn shown(&self) -> Option<String> {
        match self {
            Found::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Found::Nothing | Found::TooLong { .. } | Found::Other => None,
        }
    }

    /// The time, if it is one.
    pub fn time(&self) -> Option<Timestamp> {
        self.text("").ok().flatten().and_then(|text| time(&text))
    }
}

impl Serialize for Found {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// The row's own id, to find it again.
    pub id: i64,
    pub event_id: Found,
    pub event_type: Found,
    pub data: Found,
    pub key: Found,
    pub owner: Found,
    pub entity: Found,
    pub headers: Found,
    pub created_at: Found,
}

impl OutboxRow {
    /// The event, accepted at `now`; its envelope has the row's time. An error says what is wrong with which column.
    pub fn event(&self, now: Timestamp) -> Result<NewEvent, String> {
        let event_id = self.event_id.text("event_id")?.ok_or("event_id: it is missing")?;
        let data = self.data.bytes("data")?;
        let data = data.map(json::parse).transpose().map_err(|error| format!("data: {error}"))?;
        let entity = self.entity.text("entity")?.map(|text| Entity::parse(&text)).transpose();
        let happened = match self.created_at.text("created_at")? {
            Some(text) => time(&text).ok_or("created_at: not a time; write it as in 2026-01-31T12:00:00Z")?,
            None => now,
        };
        let headers = self.headers.bytes("headers")?.map(custom_headers::of_json).transpose()?;
        let draft = Draft {
            event_type: self.event_type.text("event_type")?.unwrap_or_default(),
            event_id: Some(event_id),
            owner: self.owner.text("owner")?,
            key: self.key.text("key")?,
            payload: None,
            headers: headers.unwrap_or_default(),
            content: Content {
                entity: entity.map_err(|error| format!("entity: {error}"))?,
                data: data.map(Cow::Borrowed),
                ..Content::default()
            },
        };
        let event = draft.into_event(happened, 0).map_err(|error| told(&error))?;
        Ok(NewEvent { created_at: now, ..event })
    }
}

fn told(error: &DraftError) -> String {
    match error.field {
        Field::Type => format!("event_type: {}", error.reason),
        field => format!("{}: {}", field.key(), error.reason),
    }
}

/// A time as databases and programs write it: RFC 3339, the same with a blank or without an offset (UTC), or seconds or
/// milliseconds since 1970.
fn time(text: &str) -> Option<Timestamp> {
    /// As seconds this is in the year 5138, as milliseconds in 1973.
    const FIRST_MILLIS: i64 = 100_000_000_000;
    if let Ok(number) = text.parse::<i64>() {
        let millis = if number < FIRST_MILLIS { number.checked_mul(1_000)? } else { number };
        return (0..=Timestamp::MAX.millis()).contains(&millis).then(|| Timestamp::from_millis(millis));
    }
    let text = text.replacen(' ', "T", 1);
    let hours_alone = || Timestamp::parse_rfc3339(&format!("{text}:00"));
    Timestamp::parse_rfc3339(&text).or_else(|| Timestamp::parse_rfc3339(&format!("{text}Z"))).or_else(hours_alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Found {
        Found::Bytes(text.as_bytes().to_vec())
    }

    fn row() -> OutboxRow {
        OutboxRow {
            id: 1,
            event_id: bytes("evt_1"),
            event_type: bytes("order.created"),
            data: bytes("{\"n\":1.10}"),
            key: Found::Nothing,
            owner: Found::Nothing,
            entity: Found::Nothing,
            headers: Found::Nothing,
            created_at: Found::Nothing,
        }
    }

    #[test]
    fn a_row_becomes_the_event_that_it_describes_byte_for_byte() {
        let now = Timestamp::from_millis(5_000);
        let row = OutboxRow {
            entity: bytes("order:7"),
            key: bytes("c-1"),
            created_at: bytes("1970-01-01 00:00:01"),
            ..row()
        };
        let event = row.event(now).unwrap();
        assert_eq!(
            String::from_utf8(event.payload).unwrap(),
            r#"{"event_id":"evt_1","event_type":"order.created","timestamp":"1970-01-01T00:00:01.000Z","entity":{"type":"order","id":"7"},"data":{"n":1.10}}"#
        );
        assert_eq!((event.created_at, event.key.as_deref()), (now, Some("c-1")));
        let again = OutboxRow { created_at: Found::Nothing, ..row }.event(Timestamp::MAX).unwrap();
        assert_eq!(event.fingerprint, again.fingerprint, "taken in again it is a duplicate, whenever that is");
    }

    #[test]
    fn what_is_wrong_is_told_by_its_column() {
        let other = || Found::Other;
        let broken = || Found::Bytes(vec![0xff]);
        for (told, wrong) in [
            ("event_id: it is missing", OutboxRow { event_id: Found::Nothing, ..row() }),
            ("event_id: an event id holds a dot", OutboxRow { event_id: bytes("a.b"), ..row() }),
            ("event_type: an event type is empty", OutboxRow { event_type: Found::Nothing, ..row() }),
            ("event_type: 'a b'", OutboxRow { event_type: bytes("a b"), ..row() }),
            ("event_type: neither text nor bytes", OutboxRow { event_type: other(), ..row() }),
            ("data: not valid JSON", OutboxRow { data: bytes("{"), ..row() }),
            ("data: not valid JSON", OutboxRow { data: broken(), ..row() }),
            ("data: it has 9 bytes; the limit is 8", OutboxRow { data: Found::TooLong { bytes: 9, most: 8 }, ..row() }),
            ("key: not UTF-8", OutboxRow { key: broken(), ..row() }),
            ("owner: ", OutboxRow { owner: bytes(" "), ..row() }),
            ("entity: write TYPE:ID", OutboxRow { entity: bytes("order"), ..row() }),
            ("headers: expected an object of texts", OutboxRow { headers: bytes("[]"), ..row() }),
            ("headers: ", OutboxRow { headers: bytes("{\"Host\": \"a\"}"), ..row() }),
            ("created_at: not a time", OutboxRow { created_at: bytes("yesterday"), ..row() }),
        ] {
            let reason = wrong.event(Timestamp::START).unwrap_err();
            assert!(reason.starts_with(told), "{told}: {reason}");
        }
    }

    #[test]
    fn a_time_is_read_as_databases_write_it() {
        let expected = Timestamp::parse_rfc3339("2026-01-31T12:00:00.500Z");
        for text in [
            "2026-01-31T12:00:00.500Z",
            "2026-01-31 12:00:00.500",
            "2026-01-31 13:00:00.500000+01",
            "2026-01-31T12:00:00.500",
            "1769860800500",
        ] {
            assert_eq!(time(text), expected, "{text}");
        }
        assert_eq!(time("1769860800"), expected.map(|time| time.plus_millis(-500)));
        for text in ["", "now", "-5", "2026-13-01 00:00:00", "9223372036854775807"] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}

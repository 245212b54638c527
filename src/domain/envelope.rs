//! The envelope that `emit --data` sends: TimeTracker's keys and the event id.

use std::borrow::Cow;
use std::ops::Range;

use serde::Serialize;
use serde_json::value::RawValue;

use super::event::{Fingerprint, fingerprint};
use super::text;
use super::time::Timestamp;

/// What an event is about: one thing, such as invoice 42.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Entity {
    #[serde(rename = "type")]
    pub kind: String,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("write TYPE:ID or TYPE:ID:NAME, such as invoice:42:'Invoice 42'")]
pub struct EntityError;

impl Entity {
    /// Reads `TYPE:ID` or `TYPE:ID:NAME`; the name may hold colons.
    pub fn parse(text: &str) -> Result<Entity, EntityError> {
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        let (Some(kind), Some(id)) = (parts.next(), parts.next()) else { return Err(EntityError) };
        Ok(Entity { kind, id, name: parts.next() })
    }

    /// Checks that it has a type and an id, and at most `longest` characters as `TYPE:ID:NAME`, none of them unsafe.
    pub(super) fn check(&self, longest: usize) -> Result<(), String> {
        for (what, text) in [("type", &self.kind), ("id", &self.id)] {
            text::check_line(text, longest).map_err(|error| format!("its {what} {error}"))?;
        }
        let name = self.name.as_ref().map_or_else(String::new, |name| format!(":{name}"));
        let whole = format!("{}:{}{name}", self.kind, self.id);
        text::check_line(&whole, longest).map_err(|error| error.to_string())
    }
}

/// The parts of an envelope that the sender gives; JSON parts are passed on unchanged.
#[derive(Clone, Debug, Default)]
pub struct Content<'a> {
    /// Who did it: any JSON.
    pub user: Option<Cow<'a, RawValue>>,
    pub entity: Option<Entity>,
    pub action: Option<Cow<'a, str>>,
    /// For people.
    pub description: Option<Cow<'a, str>>,
    /// Any JSON.
    pub data: Option<Cow<'a, RawValue>>,
}

#[derive(Serialize)]
struct Envelope<'a> {
    event_id: &'a str,
    event_type: &'a str,
    timestamp: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entity: Option<&'a Entity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
}

impl<'a> Content<'a> {
    pub fn of_data(data: &'a RawValue) -> Content<'a> {
        Content { data: Some(Cow::Borrowed(data)), ..Content::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        let Content { user, entity, action, description, data } = self;
        user.is_none() && entity.is_none() && action.is_none() && description.is_none() && data.is_none()
    }

    /// The bytes of the envelope, which are stored, signed and sent as they are.
    pub fn envelope(&self, event_id: &str, event_type: &str, timestamp: Timestamp) -> Vec<u8> {
        let envelope = Envelope {
            event_id,
            event_type,
            timestamp,
            user: self.user.as_deref(),
            entity: self.entity.as_ref(),
            action: self.action.as_deref(),
            description: self.description.as_deref(),
            data: self.data.as_deref(),
        };
        serde_json::to_vec(&envelope).expect("an envelope has string keys only and writes to memory")
    }

    /// The range of the data, the envelope's last member; empty if there is none.
    pub(super) fn place_of_data(&self, envelope: &[u8]) -> Range<usize> {
        let end = envelope.len() - 1;
        end - self.data.as_ref().map_or(0, |data| data.get().len())..end
    }

    /// The fingerprint of what the sender gave, with the event type and the owner: no event is a duplicate of another owner's.
    pub fn fingerprint(&self, event_type: &str, owner: Option<&[u8]>) -> Fingerprint {
        let entity = self.entity.as_ref().map(|entity| serde_json::to_vec(entity).unwrap_or_default());
        fingerprint(&[
            owner,
            Some(event_type.as_bytes()),
            self.user.as_ref().map(|raw| raw.get().as_bytes()),
            entity.as_deref(),
            self.action.as_deref().map(str::as_bytes),
            self.description.as_deref().map(str::as_bytes),
            self.data.as_ref().map(|raw| raw.get().as_bytes()),
        ])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::json;

    /// JSON as people and programs write it: numbers in any spelling, escapes, blanks anywhere, keys twice.
    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,4})?",
            r#""([ !#-\[\]-~é€😀]|\\["\\/bfnrt]|\\u[0-9a-cA-C][0-9a-fA-F]{3}){0,20}""#,
            prop::sample::select(vec!["true", "false", "null", "[]", "{}", r#""\ud83d\uDE00""#])
                .prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let item = ("[ \t\n]{0,2}", inner, "[ \r]{0,2}").prop_map(|(before, json, after)| before + &json + &after);
            let items = prop::collection::vec(item, 1..4);
            prop_oneof![
                items.clone().prop_map(|items| format!("[{}]", items.join(","))),
                items.prop_map(|items| format!(
                    "{{{}}}",
                    items.iter().map(|item| format!("\"k\":{item}")).collect::<Vec<_>>().join(",")
                )),
            ]
        })
    }

    proptest! {
        #[test]
        fn whatever_json_goes_in_the_same_bytes_come_out(text in any_json()) {
            let data = json::parse(text.as_bytes()).map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
            let content = Content { user: Some(Cow::Borrowed(data)), ..Content::of_data(data) };
            let envelope = String::from_utf8(content.envelope("evt_1", "a.b", Timestamp::START)).unwrap();
            let end = format!(r#","user":{text},"data":{text}}}"#);
            prop_assert!(envelope.ends_with(&end), "{text} came out as {envelope}");
        }
    }

    #[test]
    fn it_carries_what_was_said_byte_for_byte_and_leaves_out_what_was_not() {
        let data = json::parse(br#"{"a":12345678901234567890.10}"#).unwrap();
        let content = Content { entity: Entity::parse("invoice:42:Big: one").ok(), ..Content::of_data(data) };
        let envelope = content.envelope("evt_1", "invoice.paid", Timestamp::from_millis(0));
        assert_eq!(
            String::from_utf8(envelope).unwrap(),
            r#"{"event_id":"evt_1","event_type":"invoice.paid","timestamp":"1970-01-01T00:00:00.000Z","entity":{"type":"invoice","id":"42","name":"Big: one"},"data":{"a":12345678901234567890.10}}"#
        );
    }

    #[test]
    fn the_fingerprint_does_not_hang_on_time_or_id() {
        let content = Content { action: Some("paid".into()), ..Content::default() };
        assert_eq!(content.fingerprint("a.b", None), content.fingerprint("a.b", None));
        assert_ne!(content.fingerprint("a.b", None), content.fingerprint("a.c", None));
        assert_ne!(content.fingerprint("a.b", None), content.fingerprint("a.b", Some(b"acme")));
        assert_ne!(content.fingerprint("a.b", None), Content::default().fingerprint("a.b", None));
    }
}

//! The envelope that `emit --data` sends: TimeTracker's keys, and the event id.

use serde::Serialize;
use serde_json::value::RawValue;

use super::event::{Fingerprint, fingerprint};
use super::time::Timestamp;

/// What an event is about.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Entity {
    /// The kind of thing: `invoice`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Which one.
    pub id: String,
    /// Its name for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Entity {
    /// Reads `TYPE:ID` or `TYPE:ID:NAME`; the name may hold colons. `None` when type or id is missing.
    pub fn parse(text: &str) -> Option<Entity> {
        let mut parts = text.splitn(3, ':');
        let (kind, id) = (parts.next()?, parts.next()?);
        let name = parts.next().map(str::to_owned);
        (!kind.is_empty() && !id.is_empty()).then(|| Entity { kind: kind.to_owned(), id: id.to_owned(), name })
    }
}

/// What the sender said of an event; JSON parts are passed on as they are written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Content<'a> {
    /// Who did it, any JSON.
    pub user: Option<&'a RawValue>,
    /// What it is about.
    pub entity: Option<&'a Entity>,
    /// What was done.
    pub action: Option<&'a str>,
    /// One line for people.
    pub description: Option<&'a str>,
    /// Everything else, any JSON.
    pub data: Option<&'a RawValue>,
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

impl Content<'_> {
    /// The envelope's bytes, made once; they are stored, sent and signed as they are.
    pub fn envelope(&self, event_id: &str, event_type: &str, timestamp: Timestamp) -> Vec<u8> {
        let Content { user, entity, action, description, data } = *self;
        let envelope = Envelope { event_id, event_type, timestamp, user, entity, action, description, data };
        serde_json::to_vec(&envelope).expect("an envelope has string keys only and writes to memory")
    }

    /// The fingerprint of what the sender said, event type included.
    pub fn fingerprint(&self, event_type: &str) -> Fingerprint {
        let entity = self.entity.map(|entity| serde_json::to_vec(entity).unwrap_or_default());
        fingerprint(&[
            Some(event_type.as_bytes()),
            self.user.map(|raw| raw.get().as_bytes()),
            entity.as_deref(),
            self.action.map(str::as_bytes),
            self.description.map(str::as_bytes),
            self.data.map(|raw| raw.get().as_bytes()),
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
            let content = Content { user: Some(data), data: Some(data), ..Content::default() };
            let envelope = String::from_utf8(content.envelope("evt_1", "a.b", Timestamp::START)).unwrap();
            let end = format!(r#","user":{text},"data":{text}}}"#);
            prop_assert!(envelope.ends_with(&end), "{text} came out as {envelope}");
        }
    }

    #[test]
    fn it_carries_what_was_said_byte_for_byte_and_leaves_out_what_was_not() {
        let data = json::parse(br#"{"a":12345678901234567890.10}"#).unwrap();
        let entity = Entity::parse("invoice:42:Big: one").unwrap();
        let content = Content { data: Some(data), entity: Some(&entity), ..Content::default() };
        let envelope = content.envelope("evt_1", "invoice.paid", Timestamp::from_millis(0));
        assert_eq!(
            String::from_utf8(envelope).unwrap(),
            r#"{"event_id":"evt_1","event_type":"invoice.paid","timestamp":"1970-01-01T00:00:00.000Z","entity":{"type":"invoice","id":"42","name":"Big: one"},"data":{"a":12345678901234567890.10}}"#
        );
    }

    #[test]
    fn the_fingerprint_does_not_hang_on_time_or_id() {
        let content = Content { action: Some("paid"), ..Content::default() };
        assert_eq!(content.fingerprint("a.b"), content.fingerprint("a.b"));
        assert_ne!(content.fingerprint("a.b"), content.fingerprint("a.c"));
        assert_ne!(content.fingerprint("a.b"), Content::default().fingerprint("a.b"));
    }
}

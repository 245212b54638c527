//! An event as given by options or by a line of a batch, and all its checks.

use std::borrow::Cow;
use std::fmt;

use super::envelope::Content;
use super::event::{self, NewEvent, PAYLOAD_LIMIT};
use super::text::{self, LONGEST_DESCRIPTION};
use super::time::Timestamp;
use super::{custom_headers, event_type, json, owner::Owner};

/// The longest entity, in characters of `TYPE:ID:NAME`.
const LONGEST_ENTITY: usize = 1_000;

/// The longest ordering key, in characters.
const LONGEST_KEY: usize = 200;

#[derive(Clone, Debug, Default)]
pub struct Draft<'a> {
    pub event_type: Cow<'a, str>,
    /// A new id is made when there is none.
    pub event_id: Option<Cow<'a, str>>,
    /// Only this owner's webhooks get it, when set.
    pub owner: Option<Cow<'a, str>>,
    pub key: Option<Cow<'a, str>>,
    /// Bytes sent as they are, instead of an envelope made of `content`.
    pub payload: Option<Vec<u8>>,
    /// Headers of its requests. They are not compared when duplicates are looked for.
    pub headers: Vec<(String, String)>,
    pub content: Content<'a>,
}

/// A part of a draft; it has an option and a key in a batch line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    Type,
    EventId,
    Owner,
    Key,
    Headers,
    Payload,
    User,
    Entity,
    Action,
    Description,
    Data,
}

impl Field {
    /// The option of `emit`, or its argument.
    pub fn option(self) -> &'static str {
        match self {
            Field::Type => "TYPE",
            Field::EventId => "--event-id",
            Field::Owner => "--owner",
            Field::Key => "--key",
            Field::Headers => "--header",
            Field::Payload => "--payload",
            Field::User => "--user",
            Field::Entity => "--entity",
            Field::Action => "--action",
            Field::Description => "--description",
            Field::Data => "--data",
        }
    }

    /// The key of a batch line.
    pub fn key(self) -> &'static str {
        match self {
            Field::Type => "type",
            Field::EventId => "event_id",
            Field::Headers => "headers",
            _ => self.option().trim_start_matches('-'),
        }
    }
}

/// Why an event is refused: which field, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftError {
    pub field: Field,
    pub reason: String,
}

impl DraftError {
    pub fn new(field: Field, reason: impl fmt::Display) -> DraftError {
        DraftError { field, reason: reason.to_string() }
    }
}

impl Draft<'_> {
    /// All checks but that of the payload's size, which is in [`Draft::into_event`].
    pub fn check(&self) -> Result<(), DraftError> {
        let Content { user, entity, action, description, data } = &self.content;
        wrong(Field::Type, event_type::check(&self.event_type))?;
        wrong(Field::EventId, self.event_id.as_deref().map_or(Ok(()), event::check_id))?;
        wrong(Field::Owner, self.owner.as_deref().map_or(Ok(()), |owner| owner.parse::<Owner>().map(drop)))?;
        wrong(Field::Key, self.key.as_deref().map_or(Ok(()), |key| text::check_line(key, LONGEST_KEY)))?;
        wrong(Field::Headers, custom_headers::validate_event(&self.headers))?;
        if self.payload.is_some() && !self.content.is_empty() {
            return Err(DraftError::new(
                Field::Payload,
                "is sent as it is, without an envelope; leave out data, user, entity, action and description",
            ));
        }
        for (field, json) in [(Field::User, user), (Field::Data, data)] {
            wrong(field, json.as_deref().map_or(Ok(()), |raw| json::check(raw.get().as_bytes())))?;
        }
        if let Some(entity) = entity {
            entity.check(LONGEST_ENTITY).map_err(|reason| DraftError::new(Field::Entity, reason))?;
        }
        for (field, text) in [(Field::Action, action), (Field::Description, description)] {
            let check = |text: &str| text::check_lines(text, LONGEST_DESCRIPTION);
            wrong(field, text.as_deref().map_or(Ok(()), check))?;
        }
        Ok(())
    }

    /// Checks the draft and makes the event; `random` makes an id if the draft has none.
    pub fn into_event(self, now: Timestamp, random: u128) -> Result<NewEvent, DraftError> {
        self.check()?;
        let Draft { event_type, event_id, owner, key, payload, headers, content } = self;
        let event_id = event_id.map_or_else(|| event::new_id(now, random), Cow::into_owned);
        // `none` means no owner, as in the option.
        let owner = owner.filter(|owner| owner != "none").map(Cow::into_owned);
        let of_owner = owner.as_deref().map(str::as_bytes);
        let (field, payload, data, fingerprint) = if let Some(bytes) = payload {
            let fingerprint = event::fingerprint(&[of_owner, Some(event_type.as_bytes()), Some(&bytes)]);
            (Field::Payload, bytes, None, fingerprint)
        } else {
            let envelope = content.envelope(&event_id, &event_type, now);
            let data = content.place_of_data(&envelope);
            (Field::Data, envelope, Some(data), content.fingerprint(&event_type, of_owner))
        };
        if payload.len() > PAYLOAD_LIMIT {
            let reason = format!("the payload has {} bytes; the limit is {PAYLOAD_LIMIT}", payload.len());
            return Err(DraftError::new(field, reason));
        }
        let entity = content.entity;
        Ok(NewEvent {
            event_id,
            event_type: event_type.into_owned(),
            payload,
            fingerprint,
            owner,
            about: None,
            entity_type: entity.as_ref().map(|entity| entity.kind.clone()),
            entity_id: entity.map(|entity| entity.id),
            key: key.map(Cow::into_owned),
            data,
            headers,
            created_at: now,
        })
    }
}

fn wrong<E: fmt::Display>(field: Field, checked: Result<(), E>) -> Result<(), DraftError> {
    checked.map_err(|error| DraftError::new(field, error))
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;
    use crate::domain::envelope::Entity;

    fn field_of(draft: Draft<'_>) -> Option<Field> {
        draft.into_event(Timestamp::START, 1).err().map(|error| error.field)
    }

    fn draft<'a>() -> Draft<'a> {
        Draft { event_type: "a.b".into(), ..Draft::default() }
    }

    fn entity(kind: &str, id: &str) -> Content<'static> {
        let entity = Entity { kind: kind.to_owned(), id: id.to_owned(), name: None };
        Content { entity: Some(entity), ..Content::default() }
    }

    #[test]
    fn what_is_wrong_is_told_by_its_field() {
        let long = "x".repeat(101);
        let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
        let deep = Cow::Owned(RawValue::from_string(deep).unwrap());
        let action = |text: &str| Content { action: Some(text.to_owned().into()), ..Content::default() };
        for (expected, wrong) in [
            (Field::Type, Draft { event_type: "a b".into(), ..draft() }),
            (Field::Type, Draft { event_type: long.as_str().into(), ..draft() }),
            (Field::EventId, Draft { event_id: Some("a.b".into()), ..draft() }),
            (Field::EventId, Draft { event_id: Some(long.as_str().into()), ..draft() }),
            (Field::Owner, Draft { owner: Some(" ".into()), ..draft() }),
            (Field::Key, Draft { key: Some("".into()), ..draft() }),
            (Field::Key, Draft { key: Some("a\nb".into()), ..draft() }),
            (Field::Owner, Draft { owner: Some("a\u{200b}".into()), ..draft() }),
            (Field::Headers, Draft { headers: vec![("Host".to_owned(), "a".to_owned())], ..draft() }),
            (Field::Payload, Draft { payload: Some(Vec::new()), content: action("paid"), ..draft() }),
            (Field::Payload, Draft { payload: Some(vec![b'x'; PAYLOAD_LIMIT + 1]), ..draft() }),
            (Field::Data, Draft { content: Content { data: Some(deep), ..Content::default() }, ..draft() }),
            (Field::Action, Draft { content: action(""), ..draft() }),
            (Field::Action, Draft { content: action("a\u{1b}"), ..draft() }),
            (Field::Entity, Draft { content: entity("", "1"), ..draft() }),
            (Field::Entity, Draft { content: entity("a", ""), ..draft() }),
            (Field::Entity, Draft { content: entity("a", "\u{202e}"), ..draft() }),
            (Field::Entity, Draft { content: entity("a", &"1".repeat(999)), ..draft() }),
        ] {
            assert_eq!(field_of(wrong), Some(expected));
        }
        for right in [
            Draft { payload: Some(vec![0; PAYLOAD_LIMIT]), ..draft() },
            Draft { content: entity("a", &"1".repeat(998)), ..draft() },
            Draft { content: action("two\nlines"), ..draft() },
            Draft { event_id: Some("x".repeat(100).into()), event_type: "x".repeat(100).into(), ..draft() },
        ] {
            assert_eq!(field_of(right), None);
        }
    }
}

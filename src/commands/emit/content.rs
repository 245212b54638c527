//! What an event holds, as options give it.

use serde_json::value::RawValue;

use super::Emit;
use crate::commands::arguments::read_input;
use crate::domain::envelope::{Content, Entity};
use crate::domain::event::{self, NewEvent, PAYLOAD_LIMIT};
use crate::domain::event_type;
use crate::domain::json;
use crate::domain::time::Timestamp;
use crate::domain::webhook::is_control;
use crate::error::Failure;
use crate::random::Random;

/// An event's content, read and checked.
#[derive(Debug)]
pub(super) enum Given {
    /// Bytes that are sent as they are.
    Payload(Vec<u8>),
    /// Parts of an envelope.
    Envelope {
        user: Option<Box<RawValue>>,
        entity: Option<Entity>,
        action: Option<String>,
        description: Option<String>,
        data: Option<Box<RawValue>>,
    },
}

impl Given {
    /// Reads what the options of `emit` give.
    pub(super) fn from_options(emit: &Emit, event_type: &str) -> Result<Given, Failure> {
        event_type::check(event_type).map_err(|error| Failure::option("TYPE", error))?;
        if let Some(id) = &emit.event_id {
            event::check_id(id).map_err(|error| Failure::option("--event-id", error))?;
        }
        if let Some(file) = &emit.payload {
            return Ok(Given::Payload(read_input("--payload", file, PAYLOAD_LIMIT)?));
        }
        if emit.data.as_deref() == Some("-") && emit.user.as_deref() == Some("-") {
            return Err(Failure::option("--user", "stdin is read for --data already"));
        }
        let entity = match &emit.entity {
            Some(text) => Some(check_entity("--entity", text)?),
            None => None,
        };
        Ok(Given::Envelope {
            user: raw("--user", emit.user.as_deref())?,
            entity,
            action: checked_text("--action", emit.action.as_deref())?,
            description: checked_text("--description", emit.description.as_deref())?,
            data: raw("--data", emit.data.as_deref())?,
        })
    }

    /// The event, with its id or a new one.
    pub(super) fn event(
        &self,
        event_id: Option<&str>,
        event_type: &str,
        owner: Option<String>,
        now: Timestamp,
        random: &mut Random,
    ) -> Result<NewEvent, Failure> {
        let event_id = event_id.map_or_else(|| event::new_id(now, random.next_u128()), str::to_owned);
        let (payload, fingerprint) = match self {
            Given::Payload(bytes) => (bytes.clone(), event::fingerprint(&[Some(event_type.as_bytes()), Some(bytes)])),
            Given::Envelope { user, entity, action, description, data } => {
                let content = Content {
                    user: user.as_deref(),
                    entity: entity.as_ref(),
                    action: action.as_deref(),
                    description: description.as_deref(),
                    data: data.as_deref(),
                };
                (content.envelope(&event_id, event_type, now), content.fingerprint(event_type))
            }
        };
        if payload.len() > PAYLOAD_LIMIT {
            return Err(Failure::option(
                "--data",
                format!("the payload has {} bytes; {PAYLOAD_LIMIT} are the most", payload.len()),
            ));
        }
        Ok(NewEvent { event_id, event_type: event_type.to_owned(), payload, fingerprint, owner, created_at: now })
    }
}

/// JSON from an option: the text itself, `@FILE`, or `-` for stdin.
pub fn json_argument(option: &str, text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(file) => read_input(option, file, PAYLOAD_LIMIT),
        None if text == "-" => read_input(option, "-", PAYLOAD_LIMIT),
        None => Ok(text.as_bytes().to_vec()),
    }
}

/// An entity as `TYPE:ID[:NAME]`.
fn check_entity(option: &str, text: &str) -> Result<Entity, Failure> {
    match Entity::parse(text) {
        Some(entity) if text.chars().count() <= 1_000 && !text.chars().any(is_control) => Ok(entity),
        _ => Err(Failure::option(option, "write TYPE:ID or TYPE:ID:NAME, such as invoice:42:'Invoice 42'")),
    }
}

fn raw(option: &str, text: Option<&str>) -> Result<Option<Box<RawValue>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let bytes = json_argument(option, text)?;
    json::parse(&bytes).map(|raw| Some(raw.to_owned())).map_err(|error| {
        Failure::option(option, error)
            .hint("quote JSON for the shell: --data '{\"key\":\"value\"}', or read it from a file: --data @FILE")
    })
}

fn checked_text(option: &str, text: Option<&str>) -> Result<Option<String>, Failure> {
    match text {
        Some(text)
            if text.is_empty() || text.chars().count() > 2_000 || text.chars().any(|c| is_control(c) && c != '\n') =>
        {
            Err(Failure::option(option, "must be 1 to 2000 characters, none of them a control character"))
        }
        text => Ok(text.map(str::to_owned)),
    }
}

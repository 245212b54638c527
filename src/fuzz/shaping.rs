//! What decides about events and makes bodies of them: expressions, presets, schemas.

use serde_json::Value;

use crate::domain::event::EventParts;
use crate::domain::json;
use crate::domain::presets::Preset;
use crate::jq::{self, Expression};
use crate::schema::{Refusal, Schema};

/// No message for a chat has more bytes.
const LONGEST_OF_TEAMS: usize = 28 * 1024;
const LONGEST_MESSAGE: usize = 40 * 1024;

/// What is accepted can be compiled, and reads the same with the same end each time. It is run by nobody here: what it costs is
/// bounded by the process that runs it.
pub fn expression(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let checked = jq::check(text);
    match &checked {
        Ok(()) => drop(Expression::parse(text).expect("what is accepted is an expression")),
        Err(refusal) => assert!(!refusal.to_string().contains('\n') && !refusal.hint().is_empty()),
    }
    assert_eq!(jq::check(text), checked);
}

/// Whatever JSON an event is, its body is JSON, and a chat takes it.
pub fn preset(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or_default();
    let (event_type, payload) = (&data[..end], &data[end..]);
    let event_type = str::from_utf8(event_type).ok().filter(|text| crate::domain::event_type::check(text).is_ok());
    let event = EventParts { event_id: "e1", event_type: event_type.unwrap_or("a.b"), payload };
    for preset in Preset::ALL {
        let Ok(body) = preset.body(&event) else { continue };
        assert!(json::parse(payload).is_ok());
        let body_json: Value = serde_json::from_slice(&body).expect("a body is JSON");
        assert!(body_json.is_object());
        let most = match preset {
            Preset::Cloudevents => usize::MAX,
            Preset::Teams => LONGEST_OF_TEAMS,
            _ => LONGEST_MESSAGE,
        };
        assert!(body.len() <= most, "{} makes {} bytes", preset.name(), body.len());
        assert_eq!(preset.body(&event).as_ref(), Ok(&body));
    }
}

/// A schema, an empty line, and data: a schema that can be read decides about any data, and the same each time.
pub fn schema(data: &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let Ok(text) = str::from_utf8(&data[..end]) else { return };
    let Ok(schema) = Schema::new(text) else { return };
    let data = data.get(end + 2..).unwrap_or_default();
    if json::parse(data).is_err() {
        return;
    }
    let checked = schema.check(data);
    match &checked {
        Err(Refusal::TooCostly) => {}
        Err(Refusal::Wrong(reasons)) => assert!(!reasons.is_empty()),
        Ok(()) => assert_eq!(schema.check(data), checked),
    }
}

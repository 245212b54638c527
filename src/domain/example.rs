//! Example content of an event type.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::envelope::{Content, Entity};

const USER: &str = r#"{"id":7,"username":"ada"}"#;
/// Of a type that has no example of its own.
pub const DATA: &str = r#"{"id":42}"#;

/// Content made of the type's noun and verb, and of the type's example of data (JSON) if it has one.
pub fn content<'a>(event_type: &'a str, data: Option<&'a str>) -> Content<'a> {
    let (noun, verb) = event_type.rsplit_once('.').unwrap_or((event_type, "happened"));
    let json = |text: &'static str| serde_json::from_str::<&RawValue>(text).expect("it is JSON");
    let data = data.and_then(|text| serde_json::from_str::<&RawValue>(text).ok()).unwrap_or_else(|| json(DATA));
    let entity = Entity {
        kind: noun.to_owned(),
        id: "42".to_owned(),
        name: Some(format!("Example {}", noun.replace('_', " "))),
    };
    let user = Some(Cow::Borrowed(json(USER)));
    Content { user, entity: Some(entity), action: Some(verb.into()), ..Content::of_data(data) }
}

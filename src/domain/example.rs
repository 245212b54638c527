//! What an event of a type may hold, for trying out.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::envelope::{Content, Entity};

const USER: &str = r#"{"id":7,"username":"ada"}"#;
const DATA: &str = r#"{"id":42}"#;

/// Content with the noun and the verb of the type.
pub fn content(event_type: &str) -> Content<'_> {
    let (noun, verb) = event_type.rsplit_once('.').unwrap_or((event_type, "happened"));
    let json = |text: &'static str| serde_json::from_str::<&RawValue>(text).expect("it is JSON");
    let entity = Entity {
        kind: noun.to_owned(),
        id: "42".to_owned(),
        name: Some(format!("Example {}", noun.replace('_', " "))),
    };
    let user = Some(Cow::Borrowed(json(USER)));
    Content { user, entity: Some(entity), action: Some(verb.into()), ..Content::of_data(json(DATA)) }
}

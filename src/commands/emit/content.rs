//! What an event holds, as options give it.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::options::Emit;
use crate::commands::arguments::read_input;
use crate::domain::envelope::{Content, Entity};
use crate::domain::event::PAYLOAD_LIMIT;
use crate::domain::event_draft::{Draft, DraftError, Field};
use crate::domain::owner::Owner;
use crate::domain::{example, json};
use crate::error::Failure;

/// Reads what the options of `emit` give, and checks it. `example` is the type's own example of data.
pub(super) fn draft<'a>(emit: &'a Emit, event_type: &'a str, example: Option<&'a str>) -> Result<Draft<'a>, Failure> {
    if emit.data.as_deref() == Some("-") && emit.user.as_deref() == Some("-") {
        return Err(Failure::option("--user", "stdin is read for --data already"));
    }
    let draft = Draft {
        event_type: event_type.into(),
        event_id: emit.event_id.as_deref().map(Cow::Borrowed),
        key: emit.key.as_deref().map(Cow::Borrowed),
        owner: emit.owner.as_ref().and_then(Owner::name).map(Cow::Borrowed),
        payload: emit.payload.as_ref().map(|file| read_input("--payload", file, PAYLOAD_LIMIT)).transpose()?,
        headers: emit.headers.clone(),
        content: content(emit, event_type, example)?,
    };
    draft.check().map_err(failure)?;
    Ok(draft)
}

fn content<'a>(emit: &'a Emit, event_type: &'a str, example: Option<&'a str>) -> Result<Content<'a>, Failure> {
    let entity = |text: &String| Entity::parse(text).map_err(|error| Failure::option("--entity", error));
    let mut content = Content {
        user: raw(Field::User, emit.user.as_deref())?,
        entity: emit.entity.as_ref().map(entity).transpose()?,
        action: emit.action.as_deref().map(Cow::Borrowed),
        description: emit.description.as_deref().map(Cow::Borrowed),
        data: raw(Field::Data, emit.data.as_deref())?,
    };
    if emit.example {
        let example = example::content(event_type, example);
        content.user = content.user.or(example.user);
        content.entity = content.entity.or(example.entity);
        content.action = content.action.or(example.action);
        content.data = content.data.or(example.data);
    }
    for expression in &emit.set {
        let data = content.data.as_ref().ok_or_else(|| {
            Failure::option("--set", "there is no data to edit").hint("give some with --data, or take --example")
        })?;
        let edited = expression.edit(data.get().as_bytes()).map_err(|error| Failure::option("--set", error))?;
        let edited = RawValue::from_string(edited).map_err(|error| Failure::option("--set", error))?;
        content.data = Some(Cow::Owned(edited));
    }
    Ok(content)
}

/// The failure for an invalid event, which names the option.
pub fn failure(error: DraftError) -> Failure {
    Failure::option(error.field.option(), error.reason)
}

/// JSON from an option: the text itself, `@FILE`, or `-` for stdin.
pub fn json_argument(option: &str, text: &str) -> Result<Vec<u8>, Failure> {
    match text.strip_prefix('@') {
        Some(file) => read_input(option, file, PAYLOAD_LIMIT),
        None if text == "-" => read_input(option, "-", PAYLOAD_LIMIT),
        None => Ok(text.as_bytes().to_vec()),
    }
}

fn raw(field: Field, text: Option<&str>) -> Result<Option<Cow<'static, RawValue>>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let bytes = json_argument(field.option(), text)?;
    let option = field.option();
    json::parse(&bytes).map(|raw| Some(Cow::Owned(raw.to_owned()))).map_err(|error| {
        Failure::option(option, error).hint(format!(
            "quote JSON for the shell: {option} '{{\"key\":\"value\"}}', or read it from a file: {option} @FILE"
        ))
    })
}

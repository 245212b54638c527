//! `hookctl event-type show`

use std::borrow::Cow;

use anyhow::Result;
use clap::Args;
use serde_json::value::RawValue;

use super::not_found::not_found;
use super::view::{EventTypePage, EventTypeView};
use crate::commands::candidates::Candidates;
use crate::context::{Context, Exit};
use crate::domain::envelope::{Content, Entity};
use crate::domain::event_type;

/// Show one event type, who subscribes to it, and an example payload
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event-type show invoice.paid")]
pub struct Show {
    /// The event type
    #[arg(value_name = "TYPE", add = Candidates::EventTypes)]
    event_type: String,
}

impl Show {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_read()?;
        let known = store.event_types()?;
        let Some(row) = known.iter().find(|known| known.name == self.event_type) else {
            return Err(not_found(&self.event_type, &known).into());
        };
        let webhooks = store
            .subscribers()?
            .into_iter()
            .filter(|webhook| webhook.events.iter().any(|pattern| event_type::subscribes(pattern, &row.name)))
            .map(|webhook| webhook.name)
            .collect();
        let page = EventTypePage {
            example: example(&row.name, context)?,
            event_type: EventTypeView::from(row.clone()),
            webhooks,
        };
        context.out.page(&page)?;
        Ok(Exit::DONE)
    }
}

/// An envelope as `emit` would make it, with the noun and the verb of the type.
fn example(event_type: &str, context: &Context) -> Result<Box<RawValue>> {
    let (noun, verb) = event_type.rsplit_once('.').unwrap_or((event_type, "happened"));
    let entity = Entity {
        kind: noun.to_owned(),
        id: "42".to_owned(),
        name: Some(format!("Example {}", noun.replace('_', " "))),
    };
    let user = RawValue::from_string(r#"{"id":7,"username":"ada"}"#.to_owned())?;
    let data = RawValue::from_string(r#"{"id":42}"#.to_owned())?;
    let content = Content {
        user: Some(Cow::Owned(user)),
        entity: Some(entity),
        action: Some(verb.into()),
        ..Content::of_data(&data)
    };
    let envelope = content.envelope("evt_01JD0000000000000000000000", event_type, context.now());
    Ok(RawValue::from_string(String::from_utf8(envelope)?)?)
}

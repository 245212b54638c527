//! Event types as they are shown.

use serde::Serialize;
use serde_json::value::RawValue;

use crate::output::{Cell, Look, Page, Row, Text};
use crate::store::EventTypeRow;

/// An event type as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct EventTypeView {
    name: String,
    description: String,
    builtin: bool,
    has_schema: bool,
    has_example: bool,
}

impl From<EventTypeRow> for EventTypeView {
    fn from(row: EventTypeRow) -> EventTypeView {
        EventTypeView {
            name: row.name,
            description: row.description,
            builtin: row.is_builtin,
            has_schema: row.schema.is_some(),
            has_example: row.example.is_some(),
        }
    }
}

impl Row for EventTypeView {
    const COLUMNS: &'static [&'static str] = &["event type", "description", "from", "has"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::id(&self.name),
            Cell::plain(&self.description),
            if self.builtin { Cell::dim("built in") } else { Cell::plain("you") },
            Cell::plain(self.has()),
        ]
    }
}

impl EventTypeView {
    fn has(&self) -> &'static str {
        match (self.has_schema, self.has_example) {
            (true, true) => "schema, example",
            (true, false) => "schema",
            (false, true) => "example",
            (false, false) => "",
        }
    }
}

impl Page for EventTypeView {
    fn describe(&self, text: &mut Text) {
        text.field("Event type", Cell::id(&self.name));
        text.field("Description", Some(self.description.as_str()).filter(|description| !description.is_empty()));
        if !self.has().is_empty() {
            text.field("Has", self.has());
        }
    }
}

/// An event type with its subscribers, schema and example.
#[derive(Debug, Serialize)]
pub struct EventTypePage {
    #[serde(flatten)]
    pub event_type: EventTypeView,
    /// The webhooks that subscribe to it.
    pub webhooks: Vec<String>,
    pub schema: Option<Box<RawValue>>,
    /// An envelope as it would be sent; `None` if the type has a schema and no example that matches it.
    pub example: Option<Box<RawValue>>,
}

impl Page for EventTypePage {
    fn describe(&self, text: &mut Text) {
        self.event_type.describe(text);
        let webhooks = if self.webhooks.is_empty() { "none".to_owned() } else { self.webhooks.join(", ") };
        text.field("Webhooks", webhooks);
        text.blank();
        text.heading("Example payload");
        match &self.example {
            Some(example) => text.block(example.get()),
            None => {
                text.line(Cell::dim("None that the schema takes; `hookctl event-type add` gives it one (--example)."));
            }
        }
        if let Some(schema) = &self.schema {
            text.blank();
            text.heading("Schema of the data");
            text.block(schema.get());
        }
    }
}

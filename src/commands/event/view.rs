//! Events as they are shown.

use serde::Serialize;

use crate::commands::delivery::request::{Bytes, Pairs};
use crate::output::{Cell, Look, Page, Row, Text};
use crate::store::{DeliveryRow, EventRow};

/// `invoice:42`.
fn entity(event: &EventRow) -> Option<String> {
    Some(format!("{}:{}", event.entity_type.as_deref()?, event.entity_id.as_deref()?))
}

impl Row for EventRow {
    const COLUMNS: &'static [&'static str] = &["event", "type", "entity", "bytes", "deliveries", "created"];
    const SPARE: &'static [&'static str] = &["entity", "bytes"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        vec![
            Cell::id(&self.event_id),
            Cell::plain(&self.event_type),
            entity(self).into(),
            self.payload_size.into(),
            Cell::number(self.delivery_count),
            look.ago(Some(self.created_at)),
        ]
    }
}

#[derive(Debug, Serialize)]
pub struct EventPage {
    #[serde(flatten)]
    pub event: EventRow,
    /// The SHA-256 of the payload, hex; null once it was pruned.
    pub payload_hash: Option<String>,
    /// The payload as text; null once it was pruned.
    pub payload: Option<Bytes>,
    /// The headers it adds to requests; values of headers that usually carry credentials are masked.
    pub headers: Pairs,
    /// Its deliveries, oldest first.
    pub deliveries: Vec<DeliveryRow>,
}

impl Page for EventPage {
    fn describe(&self, text: &mut Text) {
        text.heading(&self.event.event_id);
        text.field("Type", &self.event.event_type);
        text.optional("Owner", self.event.owner.as_ref());
        text.optional("Entity", entity(&self.event));
        text.optional("Key", self.event.key.as_ref());
        text.time("Created", self.event.created_at);
        let (Some(hash), Some(payload)) = (&self.payload_hash, &self.payload) else {
            text.line(Cell::dim("Pruned: only its id is remembered, so that the same event again is a duplicate."));
            return;
        };
        text.field("SHA-256", Cell::id(hash));
        for (name, value) in &self.headers.0 {
            text.field("Header", format!("{name}: {value}"));
        }
        text.blank();
        text.heading("Payload");
        text.block(&payload.0);
        text.blank();
        text.heading("Deliveries");
        if self.deliveries.is_empty() {
            text.line(Cell::dim(
                "None: no webhook wanted it. `hookctl event resend` delivers it to those that do now.",
            ));
            return;
        }
        text.rows(&self.deliveries);
    }
}

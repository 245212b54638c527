//! Checks the data of events against the JSON Schemas of their types.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

use crate::domain::event::NewEvent;
use crate::schema::{Refusal, Schema};
use crate::store::{Store, StoreError};

/// Schemas that were read, kept for the next event of the type.
#[derive(Debug, Default)]
pub struct Schemas {
    /// By event type.
    known: RefCell<HashMap<String, Known>>,
}

#[derive(Debug)]
struct Known {
    text: String,
    /// The schema, or why it cannot be used.
    schema: Result<Schema, String>,
}

impl Schemas {
    /// For each event why the schema of its type refuses it; `None` if it does not.
    pub(super) fn refusals(&self, store: &Store, events: &[&NewEvent]) -> Result<Vec<Option<String>>, StoreError> {
        let checked = events.iter().filter(|event| event.data.is_some() && event.about.is_none());
        let types: BTreeSet<&str> = checked.map(|event| event.event_type.as_str()).collect();
        if types.is_empty() {
            return Ok(Vec::new());
        }
        let schemas: HashMap<String, String> =
            store.schemas(&types.into_iter().collect::<Vec<_>>())?.into_iter().collect();
        let refusal = |event: &&NewEvent| self.refusal(event, schemas.get(&event.event_type)?);
        Ok(events.iter().map(refusal).collect())
    }

    /// Why an event is refused.
    pub fn refusal_of(&self, store: &Store, event: &NewEvent) -> Result<Option<String>, StoreError> {
        Ok(self.refusals(store, &[event])?.pop().flatten())
    }

    fn refusal(&self, event: &NewEvent, text: &str) -> Option<String> {
        let event_type = &event.event_type;
        let data = match event.data.clone()? {
            place if place.is_empty() => b"null".as_slice(),
            place => &event.payload[place],
        };
        let mut known = self.known.borrow_mut();
        if known.get(event_type).is_none_or(|known| known.text != text) {
            known.insert(event_type.clone(), Known { text: text.to_owned(), schema: Schema::new(text) });
        }
        let refusal = match &known.get(event_type)?.schema {
            Ok(schema) => schema.check(data).err()?,
            Err(reason) => return Some(format!("the schema of {event_type} cannot be used: {reason}")),
        };
        if refusal == Refusal::TooCostly {
            // Its thread is still busy with this event: the next event gets a new one.
            known.remove(event_type);
        }
        Some(format!("the schema of {event_type} refuses it: {refusal}"))
    }
}

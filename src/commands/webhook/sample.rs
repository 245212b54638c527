//! Made-up events to test a webhook.

use std::borrow::Cow;

use anyhow::Result;

use crate::commands::emit::{failure, json_argument};
use crate::commands::event_type::contract::own_example;
use crate::context::Context;
use crate::domain::envelope::Content;
use crate::domain::event::NewEvent;
use crate::domain::event_draft::Draft;
use crate::domain::event_type::{self, WEBHOOK_TEST};
use crate::domain::{example, json};
use crate::error::Failure;
use crate::store::Store;

/// The data of a test without --type.
const MESSAGE: &[u8] = br#"{"message":"This is a test sent by hookctl."}"#;

/// The example of a type, or a webhook.test.
#[derive(Debug)]
pub struct Sample<'a> {
    event_type: Option<&'a str>,
    data: Option<Vec<u8>>,
}

impl<'a> Sample<'a> {
    /// Reads and checks what `--type` and `--data` give.
    pub fn read(event_type: Option<&'a str>, data: Option<&str>) -> Result<Sample<'a>, Failure> {
        if let Some(event_type) = event_type {
            event_type::check(event_type).map_err(|error| Failure::option("--type", error))?;
        }
        let data = data.map(|data| json_argument("--data", data)).transpose()?;
        if let Some(data) = &data {
            json::parse(data).map_err(|error| Failure::option("--data", error))?;
        }
        Ok(Sample { event_type, data })
    }

    pub fn event(&self, context: &Context, store: &Store) -> Result<NewEvent> {
        // Given data replaces the example.
        let example = match (self.event_type, &self.data) {
            (Some(name), None) => own_example(store.event_type(name)?)?,
            _ => None,
        };
        let (event_type, mut content) = match self.event_type {
            Some(event_type) => (event_type, example::content(event_type, example.as_deref())),
            None => (WEBHOOK_TEST, Content::of_data(json::parse(MESSAGE).expect("it is JSON"))),
        };
        if let Some(data) = &self.data {
            content.data = Some(Cow::Borrowed(json::parse(data)?));
        }
        let draft = Draft { event_type: event_type.into(), content, ..Draft::default() };
        Ok(draft.into_event(context.now(), context.random()?.next_u128()).map_err(failure)?)
    }
}

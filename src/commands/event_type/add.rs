//! `hookctl event-type add`

use anyhow::Result;
use clap::Args;

use super::contract::{Contract, read};
use super::view::EventTypeView;
use crate::context::Context;
use crate::domain::event_type::{self, check_description};
use crate::error::{Failure, Kind};
use crate::store::EventTypeRow;

/// Add an event type of your own, or change one
///
/// Adding one again changes what is given. A schema and an example are about the data of its events: `emit` refuses
/// data that does not match the schema, with JSON pointers to what is wrong; --payload is not validated.
/// `emit --example` and `webhook test --type` send the example. References to other files or the web in a schema are
/// not followed. A built-in type keeps its description, and may have a schema and an example.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl event-type add order.shipped --description 'An order was shipped'
  hookctl event-type add order.sent --schema order.json --example order-7.json
  hookctl event-type add order.sent --schema none  # any data again

Exit status:
  6  the event type is built in")]
pub struct Add {
    /// The event type, such as order.shipped
    #[arg(value_name = "TYPE")]
    event_type: String,
    /// What it means, for people
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// A JSON Schema that the data of its events must match; none for no schema
    #[arg(long, value_name = "FILE")]
    schema: Option<String>,
    /// The data of an event as an example, JSON; none for no example
    #[arg(long, value_name = "FILE")]
    example: Option<String>,
}

impl Add {
    pub fn run(self, context: &mut Context) -> Result<()> {
        event_type::check(&self.event_type).map_err(|error| Failure::option("TYPE", error))?;
        if let Some(description) = &self.description {
            check_description(description)
                .map_err(|error| Failure::option("--description", format!("the description {error}")))?;
        }
        let schema = self.schema.as_deref().map(|file| read("--schema", file)).transpose()?;
        let example = self.example.as_deref().map(|file| read("--example", file)).transpose()?;
        let store = context.store_to_write()?;
        let row = store.transaction(|| {
            let known = store.event_type(&self.event_type)?;
            if known.as_ref().is_some_and(|row| row.is_builtin)
                && (self.description.is_some() || (schema.is_none() && example.is_none()))
            {
                let message =
                    format!("the event type '{}' is built in; its description cannot be changed", self.event_type);
                return Err(anyhow::Error::from(Failure::new(Kind::Conflict, message)));
            }
            let mut row =
                known.unwrap_or_else(|| EventTypeRow { name: self.event_type.clone(), ..EventTypeRow::default() });
            row.description = self.description.clone().unwrap_or(row.description);
            row.schema = schema.clone().unwrap_or(row.schema);
            row.example = example.clone().unwrap_or(row.example);
            let contract = Contract { schema: row.schema.as_deref(), example: row.example.as_deref() };
            let option = |field: &str| match (field, self.example.is_some()) {
                ("example", true) => "--example",
                _ => "--schema",
            };
            contract.check().map_err(|wrong| Failure::option(option(wrong.field), wrong.reason))?;
            store.save_event_type(&row)?;
            Ok(row)
        })?;
        context.out.page(&EventTypeView::from(row))
    }
}

//! The schema and the example of an event type, and whether they match.

use crate::commands::arguments::read_input;
use crate::domain::event::PAYLOAD_LIMIT;
use crate::domain::{example, json};
use crate::error::Failure;
use crate::schema::{self, Schema};
use crate::store::EventTypeRow;

/// Both as JSON text.
#[derive(Clone, Copy, Debug)]
pub struct Contract<'a> {
    pub schema: Option<&'a str>,
    pub example: Option<&'a str>,
}

/// The error, and which of the two has it: `schema` or `example`.
#[derive(Debug)]
pub struct Wrong {
    pub field: &'static str,
    pub reason: String,
}

impl Contract<'_> {
    pub fn check(&self) -> Result<(), Wrong> {
        if let Some(example) = self.example {
            check_example(example).map_err(|reason| Wrong { field: "example", reason })?;
        }
        let Some(text) = self.schema else { return Ok(()) };
        let schema = Schema::new(text).map_err(|reason| Wrong { field: "schema", reason })?;
        let refused = self.example.map_or(Ok(()), |example| schema.check(example.as_bytes()));
        refused
            .map_err(|refusal| Wrong { field: "example", reason: format!("the schema refuses the example: {refusal}") })
    }
}

fn check_example(text: &str) -> Result<(), String> {
    if text.len() > PAYLOAD_LIMIT {
        return Err(format!("longer than {PAYLOAD_LIMIT} bytes, the limit"));
    }
    json::parse(text.as_bytes()).map(drop).map_err(|error| error.to_string())
}

/// The type's own example data. An error if it has none and its schema refuses the generated one.
pub fn own_example(row: Option<EventTypeRow>) -> Result<Option<String>, Failure> {
    let Some(EventTypeRow { name, schema, example, .. }) = row else { return Ok(None) };
    let Some(schema) = schema.filter(|_| example.is_none()) else { return Ok(example) };
    let checked = Schema::new(&schema).map(|schema| schema.check(example::DATA.as_bytes()).is_ok());
    if checked != Ok(false) {
        return Ok(None);
    }
    let reason = format!("{name} has a schema, and no example that goes with it");
    Err(Failure::invalid(reason).hint(format!("give it one: hookctl event-type add {name} --example FILE")))
}

/// Reads a schema or an example from a file; `none` removes it.
pub fn read(option: &str, file: &str) -> Result<Option<String>, Failure> {
    if file == "none" {
        return Ok(None);
    }
    let limit = if option == "--schema" { schema::LONGEST } else { PAYLOAD_LIMIT };
    let bytes = read_input(option, file, limit)?;
    let text = json::parse(&bytes).map_err(|error| Failure::option(option, error))?;
    Ok(Some(text.get().to_owned()))
}

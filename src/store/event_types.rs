//! The catalogue of event types.

use serde::Serialize;

use super::row::{Row, one, pair, read_fields};
use super::value::{Value, params};
use super::{Result, Store};

/// An event type of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EventTypeRow {
    pub name: String,
    pub description: String,
    /// Whether hookctl comes with it.
    #[serde(skip)]
    pub is_builtin: bool,
    /// The JSON Schema of its events' data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Example data, JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<String>,
}

const SELECT: &str = "SELECT name, description, is_builtin, schema, example FROM event_types";

impl Store {
    /// The catalogue, by name.
    pub fn event_types(&self) -> Result<Vec<EventTypeRow>> {
        self.rows(&format!("{SELECT} ORDER BY name"), &[], from_row)
    }

    pub fn event_type(&self, name: &str) -> Result<Option<EventTypeRow>> {
        self.first(&format!("{SELECT} WHERE name = $1"), params![name], from_row)
    }

    /// The schemas of those of these types that have one: name and schema.
    pub fn schemas(&self, names: &[&str]) -> Result<Vec<(String, String)>> {
        let sql = format!(
            "SELECT name, schema FROM event_types WHERE schema IS NOT NULL AND {}",
            self.dialect().one_of("name", "$1")
        );
        self.rows(&sql, &[Value::Texts(names.to_vec())], pair)
    }

    pub fn knows_event_type(&self, name: &str) -> Result<bool> {
        self.only("SELECT EXISTS (SELECT 1 FROM event_types WHERE name = $1)", params![name], one)
    }

    /// Adds or changes a type. A built-in type keeps its description.
    pub fn save_event_type(&self, row: &EventTypeRow) -> Result<()> {
        let sql = "INSERT INTO event_types (name, description, is_builtin, schema, example)
             VALUES ($1, $2, FALSE, $3, $4)
             ON CONFLICT (name) DO UPDATE SET schema = excluded.schema, example = excluded.example,
                description = CASE WHEN event_types.is_builtin THEN event_types.description ELSE excluded.description END";
        self.execute(sql, params![&row.name, &row.description, &row.schema, &row.example]).map(drop)
    }

    /// Removes a type that the user added; false if there is none.
    pub fn remove_event_type(&self, name: &str) -> Result<bool> {
        let sql = "DELETE FROM event_types WHERE name = $1 AND NOT is_builtin";
        Ok(self.execute(sql, params![name])? == 1)
    }
}

fn from_row(row: &mut Row<'_>) -> Result<EventTypeRow> {
    Ok(read_fields!(row => EventTypeRow { name, description, is_builtin, schema, example }))
}

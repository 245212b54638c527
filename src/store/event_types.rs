//! The catalogue of event types.

use super::row::one;
use super::value::params;
use super::{Result, Store};

/// An event type of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypeRow {
    pub name: String,
    pub description: String,
    /// Whether it came with hookctl.
    pub is_builtin: bool,
}

impl Store {
    /// The catalogue, by name.
    pub fn event_types(&self) -> Result<Vec<EventTypeRow>> {
        self.rows("SELECT name, description, is_builtin FROM event_types ORDER BY name", &[], |row| {
            Ok(EventTypeRow { name: row.next()?, description: row.next()?, is_builtin: row.next()? })
        })
    }

    pub fn knows_event_type(&self, name: &str) -> Result<bool> {
        self.only("SELECT EXISTS (SELECT 1 FROM event_types WHERE name = $1)", params![name], one)
    }

    /// Whether an event of that type was accepted before the one in row `event_row`.
    pub fn had_event_type_before(&self, name: &str, event_row: i64) -> Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM events WHERE event_type = $1 AND id < $2)";
        self.only(sql, params![name, event_row], one)
    }

    /// Adds a type, or changes the description of one that the user added. False when it is built in.
    pub fn add_event_type(&self, name: &str, description: &str) -> Result<bool> {
        let changed = self.execute(
            "INSERT INTO event_types (name, description, is_builtin) VALUES ($1, $2, FALSE)
             ON CONFLICT (name) DO UPDATE SET description = excluded.description WHERE NOT event_types.is_builtin",
            params![name, description],
        )?;
        Ok(changed == 1)
    }

    /// Removes a type that the user added. False when there is none.
    pub fn remove_event_type(&self, name: &str) -> Result<bool> {
        let sql = "DELETE FROM event_types WHERE name = $1 AND NOT is_builtin";
        Ok(self.execute(sql, params![name])? == 1)
    }
}

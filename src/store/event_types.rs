//! The catalogue of event types.

use rusqlite::named_params;

use super::{Result, Store};

/// An event type of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventTypeRow {
    /// `invoice.paid`.
    pub name: String,
    /// What it means, for people.
    pub description: String,
    /// Whether it came with hookctl.
    pub is_builtin: bool,
}

impl Store {
    /// The catalogue, by name.
    pub fn event_types(&self) -> Result<Vec<EventTypeRow>> {
        let mut statement =
            self.connection.prepare_cached("SELECT name, description, is_builtin FROM event_types ORDER BY name")?;
        let rows = statement.query_map([], |row| {
            Ok(EventTypeRow { name: row.get(0)?, description: row.get(1)?, is_builtin: row.get(2)? })
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Whether the catalogue has that type.
    pub fn knows_event_type(&self, name: &str) -> Result<bool> {
        let mut statement = self.connection.prepare_cached("SELECT 1 FROM event_types WHERE name = :name")?;
        Ok(statement.exists(named_params! { ":name": name })?)
    }

    /// Adds a type, or changes the description of one that the user added. False when it is built in.
    pub fn add_event_type(&self, name: &str, description: &str) -> Result<bool> {
        let changed = self
            .connection
            .prepare_cached(
                "INSERT INTO event_types (name, description, is_builtin) VALUES (:name, :description, 0)
                 ON CONFLICT (name) DO UPDATE SET description = excluded.description WHERE is_builtin = 0",
            )?
            .execute(named_params! { ":name": name, ":description": description })?;
        Ok(changed == 1)
    }

    /// Removes a type that the user added. False when there is none.
    pub fn remove_event_type(&self, name: &str) -> Result<bool> {
        let changed = self
            .connection
            .prepare_cached("DELETE FROM event_types WHERE name = :name AND is_builtin = 0")?
            .execute(named_params! { ":name": name })?;
        Ok(changed == 1)
    }
}

//! The table of webhooks: what people decide about them. What deliveries change is in `webhook_state`.

use rusqlite::{Row, named_params};
use serde_json::value::RawValue;

use super::columns::{InOrder, from_json, to_json};
use super::webhook_state;
use super::{Result, Store, StoreError};
use crate::domain::members::Members;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, Settings, Webhook};

/// Which webhooks a list shows.
#[derive(Clone, Debug, Default)]
pub struct WebhookFilter {
    /// Only active, or only inactive ones.
    pub is_active: Option<bool>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only ids below this one.
    pub before: Option<i64>,
}

/// What `emit` needs to know of a webhook to decide whether it gets an event.
#[derive(Clone, Debug)]
pub struct Subscriber {
    pub id: i64,
    pub name: String,
    pub events: Vec<String>,
    pub owner: Option<String>,
    pub is_active: bool,
    /// Whether its deliveries keep their order.
    pub is_ordered: bool,
}

const COLUMNS: &str = "id, name, owner, events, is_ordered, settings, created_at, updated_at";

/// The settings that have a column of their own, by key: queries need them. The others are in the column `settings`.
const OWN_COLUMNS: [&str; 4] = ["name", "owner", "events", "is_ordered"];

impl Store {
    /// Stores a new webhook and returns its id.
    pub fn insert_webhook(&self, settings: &Settings, is_active: bool, now: Timestamp) -> Result<i64> {
        self.connection
            .prepare_cached(
                "INSERT INTO webhooks (name, owner, events, is_ordered, settings, created_at, updated_at)
                 VALUES (:name, :owner, :events, :ordered, :settings, :now, :now)",
            )?
            .execute(named_params! {
                ":name": settings.name,
                ":owner": settings.owner,
                ":events": to_json(&settings.events),
                ":ordered": settings.is_ordered,
                ":settings": settings_column(settings)?,
                ":now": now,
            })
            .map_err(|error| name_taken(error, &settings.name))?;
        let id = self.connection.last_insert_rowid();
        self.insert_state(id, is_active)?;
        Ok(id)
    }

    /// Changes a webhook's settings; its deliveries that still wait follow a change of order.
    pub fn update_webhook(&self, id: i64, settings: &Settings, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhooks SET name = :name, owner = :owner, events = :events, is_ordered = :ordered,
                    settings = :settings
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":id": id,
                ":name": settings.name,
                ":owner": settings.owner,
                ":events": to_json(&settings.events),
                ":ordered": settings.is_ordered,
                ":settings": settings_column(settings)?,
            })
            .map_err(|error| name_taken(error, &settings.name))?;
        self.touch(id, now)?;
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET is_ordered = :ordered
                 WHERE webhook_id = :id AND due_at IS NOT NULL AND is_ordered <> :ordered",
            )?
            .execute(named_params! { ":id": id, ":ordered": settings.is_ordered })?;
        Ok(())
    }

    /// Marks a webhook as changed, so that a running drain reads it again.
    pub(super) fn touch(&self, id: i64, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE webhooks SET updated_at = :now WHERE id = :id")?
            .execute(named_params! { ":id": id, ":now": now })?;
        self.connection
            .prepare_cached("UPDATE webhook_state SET version = version + 1 WHERE webhook_id = :id")?
            .execute(named_params! { ":id": id })?;
        Ok(())
    }

    /// The webhook with that id.
    pub fn webhook(&self, id: i64) -> Result<Option<Webhook>> {
        let mut statement = self.connection.prepare_cached(&select("WHERE id = :id"))?;
        let mut rows = statement.query(named_params! { ":id": id })?;
        rows.next()?.map(from_row).transpose()
    }

    /// The webhook of that name, or with that id.
    pub fn find_webhook(&self, name_or_id: &str) -> Result<Option<Webhook>> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM webhooks WHERE name = :name")?;
        let mut rows = statement.query(named_params! { ":name": name_or_id })?;
        let id = match rows.next()? {
            Some(row) => Some(row.get(0)?),
            None if name_or_id.bytes().all(|byte| byte.is_ascii_digit()) => name_or_id.parse().ok(),
            None => None,
        };
        id.map_or(Ok(None), |id| self.webhook(id))
    }

    /// Webhooks, newest first.
    pub fn webhooks(&self, filter: &WebhookFilter) -> Result<Vec<Webhook>> {
        let mut statement = self.connection.prepare_cached(&select(
            "WHERE (:active IS NULL OR is_active = :active) AND (:owner IS NULL OR owner = :owner)
               AND id < coalesce(:before, 9223372036854775807)
             ORDER BY id DESC",
        ))?;
        let mut rows = statement.query(named_params! {
            ":active": filter.is_active, ":owner": filter.owner, ":before": filter.before,
        })?;
        let mut webhooks = Vec::new();
        while let Some(row) = rows.next()? {
            webhooks.push(from_row(row)?);
        }
        Ok(webhooks)
    }

    /// Every webhook as far as `emit` needs it, oldest first.
    pub fn subscribers(&self) -> Result<Vec<Subscriber>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT w.id, w.name, w.events, w.owner, s.is_active, w.is_ordered
             FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id ORDER BY w.id",
        )?;
        let mut rows = statement.query([])?;
        let mut subscribers = Vec::new();
        while let Some(row) = rows.next()? {
            subscribers.push(Subscriber {
                id: row.get(0)?,
                name: row.get(1)?,
                events: from_json("webhooks.events", row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
                owner: row.get(3)?,
                is_active: row.get(4)?,
                is_ordered: row.get(5)?,
            });
        }
        Ok(subscribers)
    }

    /// The names of all webhooks, for suggestions.
    pub fn webhook_names(&self) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM webhooks ORDER BY name")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }
}

/// Whole webhooks: [`COLUMNS`], then those of their state.
fn select(which: &str) -> String {
    let state = webhook_state::COLUMNS;
    format!("SELECT {COLUMNS}, {state} FROM webhooks JOIN webhook_state ON webhook_id = id {which}")
}

fn from_row(row: &Row<'_>) -> Result<Webhook> {
    let mut columns = InOrder::of(row);
    let (id, name, owner) = (columns.next()?, columns.next()?, columns.next()?);
    let (events, is_ordered) = (columns.next_json("webhooks.events")?, columns.next()?);
    let others: String = columns.next()?;
    // The text is not repeated: credentials are in it.
    let settings: Settings = serde_json::from_str(&others).map_err(|error| StoreError::Value {
        column: "webhooks.settings".to_owned(),
        value: format!("{:?} error at character {}", error.classify(), error.column()),
    })?;
    let (created_at, updated_at) = (columns.next()?, columns.next()?);
    let (health, version) = webhook_state::health(&mut columns)?;
    let counters = Counters { total: columns.next()?, successful: columns.next()?, failed: columns.next()? };
    let settings = Settings { name, events, owner, is_ordered, ..settings };
    Ok(Webhook { id, settings, health, counters, version, created_at, updated_at })
}

/// The settings that have no column of their own, as JSON.
fn settings_column(settings: &Settings) -> Result<String> {
    let all = to_json(settings);
    let mut members: Members<Box<RawValue>> = from_json("webhooks.settings", &all)?;
    members.0.retain(|(key, _)| !OWN_COLUMNS.contains(&key.as_str()));
    Ok(to_json(&members))
}

fn name_taken(error: rusqlite::Error, name: &str) -> StoreError {
    let is_unique = matches!(&error, rusqlite::Error::SqliteFailure(failure, _)
        if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE);
    if is_unique { StoreError::NameTaken(name.to_owned()) } else { error.into() }
}

//! The table of webhooks: what people decide about them. What deliveries change is in `webhook_state`.

use serde_json::value::RawValue;

use super::conditions::Conditions;
use super::dialect::Dialect;
use super::row::{Row, one};
use super::value::{Json, params, to_json};
use super::webhook_state;
use super::{Result, Store, StoreError};
use crate::domain::members::Members;
use crate::domain::owner::Owner;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, FAILURES_TO_REPORT, Order, Settings, Shape, Webhook};

/// Which webhooks a list shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WebhookFilter {
    /// Only active, or only inactive ones.
    pub is_active: Option<bool>,
    /// Only those whose last attempts failed, or whose breaker is open.
    pub is_failing: bool,
    /// Only this owner's, or only those of nobody.
    pub owner: Option<Owner>,
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
    pub is_paused: bool,
    pub order: Order,
    pub shape: Shape,
    /// Whether any event type has a schema: so nobody who knows the subscribers need ask.
    pub are_there_schemas: bool,
}

const COLUMNS: &str =
    "id, name, owner, events, ordered, filter, transform, preset, settings, created_by, created_at, updated_at";

/// The settings that have a column of their own, by key: queries need them. The others are in the column `settings`.
const OWN_COLUMNS: [&str; 7] = ["name", "owner", "events", "is_ordered", "filter", "transform", "preset"];

impl Store {
    /// Stores a new webhook and returns its id.
    pub fn insert_webhook(
        &self,
        settings: &Settings,
        is_active: bool,
        created_by: Option<&str>,
        now: Timestamp,
    ) -> Result<i64> {
        let inserted = self.insert(
            "INSERT INTO webhooks (name, owner, events, ordered, filter, transform, preset, settings, created_by,
                created_at, updated_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)",
            params![
                &settings.name,
                &settings.owner,
                Json(&settings.events),
                settings.order,
                &settings.shape.filter,
                &settings.shape.transform,
                settings.shape.preset,
                &settings_column(settings),
                created_by,
                now
            ],
        );
        let id =
            inserted.map_err(|error| name_taken(error, settings))?.expect("an INSERT that stores nothing is an error");
        self.insert_state(id, is_active, now)?;
        self.save_credentials(id, settings)?;
        Ok(id)
    }

    /// Changes a webhook's settings; its deliveries that still wait follow a change of order.
    pub fn update_webhook(&self, id: i64, settings: &Settings, now: Timestamp) -> Result<()> {
        let order: Option<Order> = self.first("SELECT ordered FROM webhooks WHERE id = $1", params![id], one)?;
        let is_order_changed = order != Some(settings.order);
        if is_order_changed {
            self.keep_deliveries_out(id)?;
        }
        let updated = self.execute(
            "UPDATE webhooks SET name = $1, owner = $2, events = $3, ordered = $4, filter = $5, transform = $6,
                preset = $7, settings = $8
             WHERE id = $9",
            params![
                &settings.name,
                &settings.owner,
                Json(&settings.events),
                settings.order,
                &settings.shape.filter,
                &settings.shape.transform,
                settings.shape.preset,
                &settings_column(settings),
                id
            ],
        );
        updated.map_err(|error| name_taken(error, settings))?;
        self.save_credentials(id, settings)?;
        self.touch(id, now)?;
        if let (Some(_), Some(sql)) = (settings.concurrency, self.dialect().count_claims_made()) {
            self.execute(sql, params![id])?;
        }
        if is_order_changed { self.line_up(id) } else { Ok(()) }
    }

    /// Nobody stores a delivery of a webhook until this transaction ends: on a server, who does locks the webhook's row beside
    /// others. Its state is locked first, as the engine does.
    fn keep_deliveries_out(&self, id: i64) -> Result<()> {
        let for_update = self.dialect().for_update();
        for (table, key) in [("webhook_state", "webhook_id"), ("webhooks", "id")] {
            let sql = format!("SELECT {key} FROM {table} WHERE {key} = $1 {for_update}");
            self.first::<i64>(&sql, params![id], one)?;
        }
        Ok(())
    }

    /// Marks a webhook as changed, so that a running drain reads it again.
    pub(super) fn touch(&self, id: i64, now: Timestamp) -> Result<()> {
        self.execute("UPDATE webhooks SET updated_at = $1 WHERE id = $2", params![now, id])?;
        self.execute("UPDATE webhook_state SET version = version + 1 WHERE webhook_id = $1", params![id]).map(drop)
    }

    pub fn webhook(&self, id: i64) -> Result<Option<Webhook>> {
        self.first(&select(self.dialect(), "WHERE id = $1"), params![id], from_row)
    }

    /// Whether the webhook is there, which it then is until the transaction ends.
    pub fn lock_webhook(&self, id: i64) -> Result<bool> {
        let sql = format!("SELECT id FROM webhooks WHERE id = $1 {}", self.dialect().for_change());
        Ok(self.first(&sql, params![id], one::<i64>)?.is_some())
    }

    /// The webhook of that name, or with that id.
    pub fn find_webhook(&self, name_or_id: &str) -> Result<Option<Webhook>> {
        let id = match self.first("SELECT id FROM webhooks WHERE name = $1", params![name_or_id], one)? {
            None if name_or_id.bytes().all(|byte| byte.is_ascii_digit()) => name_or_id.parse().ok(),
            found => found,
        };
        id.map_or(Ok(None), |id| self.webhook(id))
    }

    /// Webhooks, newest first.
    pub fn webhooks(&self, filter: &WebhookFilter) -> Result<Vec<Webhook>> {
        let mut conditions = Conditions::after(self.dialect(), Vec::new());
        conditions.compare("is_active =", filter.is_active);
        if filter.is_failing {
            let failures = conditions.bind(FAILURES_TO_REPORT);
            conditions.add(&format!("(failures >= {failures} OR breaker_open_until IS NOT NULL)"));
        }
        conditions.owner("owner", filter.owner.as_ref());
        conditions.compare("id <", filter.before);
        let (sql, values) = conditions.query(&select(self.dialect(), ""), "ORDER BY id DESC", None);
        self.rows(&sql, &values, from_row)
    }

    /// Every webhook as far as `emit` needs it, oldest first.
    pub fn subscribers(&self) -> Result<Vec<Subscriber>> {
        self.rows(SUBSCRIBERS, &[], subscriber)
    }

    /// The ids of an owner's webhooks, or of those of nobody.
    pub fn webhook_ids_of(&self, owner: &Owner) -> Result<Vec<i64>> {
        let mut conditions = Conditions::after(self.dialect(), Vec::new());
        conditions.owner("owner", Some(owner));
        let (sql, values) = conditions.query("SELECT id FROM webhooks", "ORDER BY id", None);
        self.rows(&sql, &values, one)
    }

    /// The names of all webhooks, for suggestions.
    pub fn webhook_names(&self) -> Result<Vec<String>> {
        self.rows("SELECT name FROM webhooks ORDER BY name", &[], one)
    }
}

/// Every [`subscriber`], oldest first.
pub(super) const SUBSCRIBERS: &str =
    "SELECT w.id, w.name, w.events, w.owner, s.is_active, s.paused_at IS NOT NULL, w.ordered, w.filter, w.transform,
        w.preset, EXISTS (SELECT 1 FROM event_types t WHERE t.schema IS NOT NULL)
     FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id ORDER BY w.id";

pub(super) fn subscriber(row: &mut Row<'_>) -> Result<Subscriber> {
    Ok(Subscriber {
        id: row.next()?,
        name: row.next()?,
        events: row.next_json("webhooks.events")?,
        owner: row.next()?,
        is_active: row.next()?,
        is_paused: row.next()?,
        order: row.next()?,
        shape: row.next_shape()?,
        are_there_schemas: row.next()?,
    })
}

/// Whole webhooks: [`COLUMNS`], then those of their state, then the counters.
pub(super) fn select(dialect: Dialect, which: &str) -> String {
    let (state, total) = (webhook_state::HEALTH_COLUMNS, dialect.total_deliveries());
    format!(
        "SELECT {COLUMNS}, {state}, {total}, successful_deliveries, failed_deliveries
         FROM webhooks JOIN webhook_state s ON s.webhook_id = id {which}"
    )
}

pub(super) fn from_row(row: &mut Row<'_>) -> Result<Webhook> {
    let (id, name, owner) = (row.next()?, row.next()?, row.next()?);
    let (events, order) = (row.next_json("webhooks.events")?, row.next()?);
    let shape = row.next_shape()?;
    // The text is not repeated: credentials are in it.
    let others: Settings = serde_json::from_str(row.next()?).map_err(|error| StoreError::Value {
        column: "webhooks.settings".to_owned(),
        value: format!("{:?} error at character {}", error.classify(), error.column()),
    })?;
    let settings = Settings { name, events, shape, owner, order, ..others };
    let (created_by, created_at, updated_at) = (row.next()?, row.next()?, row.next()?);
    let (health, version) = webhook_state::health(row)?;
    let counters = Counters { total: row.next()?, successful: row.next()?, failed: row.next()? };
    Ok(Webhook { id, settings, health, counters, version, created_by, created_at, updated_at })
}

/// The settings that have no column of their own, as JSON.
fn settings_column(settings: &Settings) -> String {
    let all = to_json(settings);
    let mut members: Members<Box<RawValue>> = serde_json::from_str(&all).expect("what was serialised is an object");
    members.0.retain(|(key, _)| !OWN_COLUMNS.contains(&key.as_str()));
    to_json(&members)
}

fn name_taken(error: StoreError, settings: &Settings) -> StoreError {
    match error {
        StoreError::NotUnique(_) => StoreError::NameTaken(settings.name.clone()),
        other => other,
    }
}

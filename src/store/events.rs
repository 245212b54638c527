//! The table of events.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, named_params, params_from_iter};

use super::{Result, Store};
use crate::domain::event::{Fingerprint, NewEvent};
use crate::domain::time::Timestamp;

/// What became of an event that was handed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// Stored, under this row.
    New(i64),
    /// The same event was accepted before, under this row.
    Duplicate(i64),
    /// The event id was used before, with another payload.
    Conflict,
}

/// An event as lists show it.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its row.
    pub id: i64,
    /// Its event id.
    pub event_id: String,
    /// Its event type.
    pub event_type: String,
    /// The size of its payload, in bytes.
    pub payload_size: i64,
    /// Only this owner's webhooks got it, when set.
    pub owner: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// How many deliveries it has.
    pub deliveries: i64,
}

/// Which events a list shows.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only this type.
    pub event_type: Option<String>,
    /// Accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
    /// Only rows below this one.
    pub before: Option<i64>,
    /// At most so many; all when not set.
    pub limit: Option<u64>,
}

impl Store {
    /// Stores an event unless its id is known.
    pub fn insert_event(&self, event: &NewEvent) -> Result<Accepted> {
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT INTO events (event_id, event_type, payload, fingerprint, owner, created_at)
                 VALUES (:event_id, :event_type, :payload, :fingerprint, :owner, :created_at)
                 ON CONFLICT (event_id) DO NOTHING",
            )?
            .execute(named_params! {
                ":event_id": event.event_id,
                ":event_type": event.event_type,
                ":payload": event.payload,
                ":fingerprint": event.fingerprint.as_slice(),
                ":owner": event.owner,
                ":created_at": event.created_at,
            })?;
        if inserted == 1 {
            return Ok(Accepted::New(self.connection.last_insert_rowid()));
        }
        let (id, fingerprint): (i64, Vec<u8>) = self
            .connection
            .prepare_cached("SELECT id, fingerprint FROM events WHERE event_id = :event_id")?
            .query_row(named_params! { ":event_id": event.event_id }, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(if fingerprint == event.fingerprint { Accepted::Duplicate(id) } else { Accepted::Conflict })
    }

    /// The newest event with that fingerprint that was accepted at `since` or later.
    pub fn event_with_fingerprint(&self, fingerprint: &Fingerprint, since: Timestamp) -> Result<Option<i64>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT id FROM events WHERE fingerprint = :fingerprint AND created_at >= :since ORDER BY id DESC LIMIT 1",
            )?
            .query_row(named_params! { ":fingerprint": fingerprint.as_slice(), ":since": since }, |row| row.get(0))
            .optional()?)
    }

    /// The row of the event with that event id.
    pub fn find_event(&self, event_id: &str) -> Result<Option<EventRow>> {
        Ok(self
            .connection
            .prepare_cached(&format!("{SELECT} WHERE event_id = :event_id"))?
            .query_row(named_params! { ":event_id": event_id }, from_row)
            .optional()?)
    }

    /// The event in that row.
    pub fn event(&self, id: i64) -> Result<Option<EventRow>> {
        Ok(self
            .connection
            .prepare_cached(&format!("{SELECT} WHERE id = :id"))?
            .query_row(named_params! { ":id": id }, from_row)
            .optional()?)
    }

    /// An event's payload, the exact bytes.
    pub fn payload(&self, id: i64) -> Result<Vec<u8>> {
        Ok(self
            .connection
            .prepare_cached("SELECT payload FROM events WHERE id = :id")?
            .query_row(named_params! { ":id": id }, |row| row.get(0))?)
    }

    /// The events that a filter means, newest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<EventRow>> {
        let mut conditions = vec!["id < ?"];
        let mut values: Vec<Value> = vec![filter.before.unwrap_or(i64::MAX).into()];
        if let Some(pattern) = &filter.event_type {
            // A pattern's * is GLOB's; no other character of a pattern means anything to GLOB.
            conditions.push(if pattern.contains('*') { "event_type GLOB ?" } else { "event_type = ?" });
            values.push(pattern.clone().into());
        }
        if let Some(since) = filter.since {
            conditions.push("created_at >= ?");
            values.push(since.millis().into());
        }
        if let Some(until) = filter.until {
            conditions.push("created_at < ?");
            values.push(until.millis().into());
        }
        values.push(filter.limit.map_or(-1, |limit| limit as i64).into());
        let sql = format!("{SELECT} WHERE {} ORDER BY id DESC LIMIT ?", conditions.join(" AND "));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }
}

const SELECT: &str = "SELECT id, event_id, event_type, length(payload), owner, created_at,
    (SELECT count(*) FROM deliveries d WHERE d.event_id = events.id) FROM events";

fn from_row(row: &Row<'_>) -> rusqlite::Result<EventRow> {
    Ok(EventRow {
        id: row.get(0)?,
        event_id: row.get(1)?,
        event_type: row.get(2)?,
        payload_size: row.get(3)?,
        owner: row.get(4)?,
        created_at: row.get(5)?,
        deliveries: row.get(6)?,
    })
}

//! The table of events.

use serde::Serialize;

use super::conditions::Conditions;
use super::dialect::Dialect;
use super::event_headers::EventHeaders;
use super::row::{Row, one, read_fields};
use super::subject::Subject;
use super::value::{Value, params};
use super::{Result, Store, StoreError};
use crate::domain::owner::Owner;
use crate::domain::time::Timestamp;

/// An event, serialised as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct EventRow {
    #[serde(skip)]
    pub id: i64,
    pub event_id: String,
    pub event_type: String,
    /// If set, only this owner's webhooks got it.
    pub owner: Option<String>,
    pub entity_type: Option<String>,
    pub entity_id: Option<String>,
    pub key: Option<String>,
    /// In bytes; `None` if it was pruned.
    pub payload_size: Option<i64>,
    pub delivery_count: i64,
    pub created_at: Timestamp,
}

/// Filters on the list of events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter {
    /// An event type or pattern.
    pub event_type: Option<String>,
    /// Emitted for this owner, or for no owner.
    pub owner: Option<Owner>,
    pub subject: Subject,
    pub event_id: Option<String>,
    /// Accepted at this time or later.
    pub since: Option<Timestamp>,
    /// Accepted before this time.
    pub until: Option<Timestamp>,
    /// Only rows below this one.
    pub before: Option<i64>,
    /// The most rows; `None` is all.
    pub limit: Option<u64>,
}

impl EventFilter {
    fn conditions(&self, dialect: Dialect) -> Conditions<'_> {
        let mut conditions = Conditions::after(dialect, Vec::new());
        // Pruned events have no payload and are not listed. The index on the time has the same condition.
        conditions.add("e.payload IS NOT NULL");
        conditions.event_type("e.event_type", self.event_type.as_deref());
        conditions.owner("e.owner", self.owner.as_ref());
        self.subject.of_events(&mut conditions, "e");
        conditions.compare("e.event_id =", self.event_id.as_deref());
        conditions.compare("e.created_at >=", self.since);
        conditions.compare("e.created_at <", self.until);
        conditions.compare("e.id <", self.before);
        conditions
    }
}

const SELECT: &str = "SELECT e.id, e.event_id, e.event_type, length(e.payload), e.owner, e.entity_type, e.entity_id,
    e.key, e.created_at,
    (SELECT count(*) FROM deliveries d WHERE d.event_id = e.id) FROM events e";

impl Store {
    pub fn find_event(&self, event_id: &str) -> Result<Option<EventRow>> {
        self.first(&format!("{SELECT} WHERE e.event_id = $1"), params![event_id], from_row)
    }

    pub fn event(&self, row: i64) -> Result<Option<EventRow>> {
        self.first(&format!("{SELECT} WHERE e.id = $1"), params![row], from_row)
    }

    /// The exact bytes of an event's payload; `None` if it was pruned.
    pub fn payload(&self, row: i64) -> Result<Option<Vec<u8>>> {
        let payload = self.first("SELECT payload FROM events WHERE id = $1", params![row], one)?;
        payload.ok_or(StoreError::Gone("event"))
    }

    pub fn event_headers(&self, row: i64) -> Result<EventHeaders> {
        let headers = self.first("SELECT headers FROM events WHERE id = $1", params![row], one)?;
        headers.ok_or(StoreError::Gone("event"))
    }

    /// The webhook that an operational event is about.
    pub fn event_about(&self, row: i64) -> Result<Option<i64>> {
        let about = self.first("SELECT about FROM events WHERE id = $1", params![row], one)?;
        about.ok_or(StoreError::Gone("event"))
    }

    /// The events that match a filter, newest first.
    pub fn events(&self, filter: &EventFilter) -> Result<Vec<EventRow>> {
        let (sql, values) = self.events_query(filter);
        self.rows(&sql, &values, from_row)
    }

    pub(super) fn events_query<'a>(&self, filter: &'a EventFilter) -> (String, Vec<Value<'a>>) {
        filter.conditions(self.dialect()).query(SELECT, "ORDER BY e.id DESC", filter.limit)
    }

    /// How many events match a filter, counted up to its limit.
    pub fn count_events(&self, filter: &EventFilter) -> Result<u64> {
        let (sql, values) = filter.conditions(self.dialect()).count("SELECT e.id FROM events e", filter.limit);
        self.only(&sql, &values, one)
    }
}

fn from_row(row: &mut Row<'_>) -> Result<EventRow> {
    Ok(read_fields!(row => EventRow {
        id, event_id, event_type, payload_size, owner, entity_type, entity_id, key, created_at, delivery_count
    }))
}

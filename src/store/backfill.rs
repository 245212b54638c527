//! Deliveries of past events to a webhook, found and created in sets, for ranges of event rows.

use std::ops::RangeInclusive;

use super::conditions::Conditions;
use super::counters::CounterChanges;
use super::events::EventFilter;
use super::lines::LINE;
use super::row::{one, pair};
use super::value::{Value, values};
use super::webhooks::Subscriber;
use super::{Result, Store};
use crate::domain::event_type;
use crate::domain::time::Timestamp;

/// Which past events a webhook is to get. Their types are given, so that patterns are matched in one place only.
#[derive(Clone, Debug)]
pub struct Past {
    pub webhook: Subscriber,
    /// Operational types apart: other owners may get them.
    ordinary: Vec<String>,
    operational: Vec<String>,
    pub filter: EventFilter,
}

impl Past {
    /// The events that match `filter`, of these types, that the owners allow the webhook to get.
    pub fn new(webhook: Subscriber, types: impl IntoIterator<Item = String>, filter: EventFilter) -> Past {
        let (operational, ordinary) = types.into_iter().partition(|name| event_type::is_operational(name));
        Past { webhook, ordinary, operational, filter }
    }
}

/// The types of all events: one index look-up for each type, however many events there are.
const TYPES: &str = "WITH RECURSIVE known (name) AS (
        SELECT min(event_type) FROM events
        UNION ALL
        SELECT (SELECT min(e.event_type) FROM events e WHERE e.event_type > known.name) FROM known
        WHERE known.name IS NOT NULL)
    SELECT name FROM known WHERE name IS NOT NULL";

impl Store {
    /// The types of all stored events.
    pub fn types_of_events(&self) -> Result<Vec<String>> {
        self.rows(TYPES, &[], one)
    }

    /// The row id of the newest event; 0 if there is none.
    pub fn newest_event(&self) -> Result<i64> {
        self.only("SELECT coalesce(max(id), 0) FROM events", &[], one)
    }

    /// The row ids of the first and the last event within a filter's times; `None` if there is none.
    pub fn span_of_events(&self, filter: &EventFilter) -> Result<Option<(i64, i64)>> {
        let mut conditions = Conditions::after(self.dialect(), Vec::new());
        conditions.add("e.payload IS NOT NULL");
        conditions.compare("e.created_at >=", filter.since);
        conditions.compare("e.created_at <", filter.until);
        let (sql, values) = conditions.query("SELECT min(e.id), max(e.id) FROM events e", "", None);
        let (first, last): (Option<i64>, Option<i64>) = self.only(&sql, &values, pair)?;
        Ok(first.zip(last))
    }

    /// The row ids, within `rows`, of matching events that the webhook has no delivery of, oldest first. Tests of other
    /// webhooks never match.
    pub fn missing_events(&self, past: &Past, rows: &RangeInclusive<i64>) -> Result<Vec<i64>> {
        let conditions = self.missing(past, rows, Vec::new());
        let (sql, values) = conditions.query("SELECT e.id FROM events e", "ORDER BY e.id", None);
        self.rows(&sql, &values, one)
    }

    /// Creates deliveries of these events, due at `now`, in the events' order, and returns how many.
    pub fn deliver_missing(&self, past: &Past, rows: &RangeInclusive<i64>, now: Timestamp) -> Result<u64> {
        let id = past.webhook.id;
        let conditions = self.missing(past, rows, Vec::from(values![id, now]));
        let (sql, values) = conditions.query(
            &format!(
                "INSERT INTO deliveries (webhook_id, event_id, event_type, status, due_at, line, is_test, created_at)
                 SELECT $1, e.id, e.event_type, 'pending', $2, (SELECT {LINE} FROM webhooks w WHERE w.id = $1), FALSE, $2
                 FROM events e"
            ),
            "ORDER BY e.id ON CONFLICT (event_id, webhook_id) DO NOTHING",
            None,
        );
        let created = self.execute(&sql, &values)? as u64;
        let mut changes = CounterChanges::default();
        changes.create_many(id, created);
        self.count(&changes)?;
        Ok(created)
    }

    /// The matching events within `rows` that the webhook has a delivery of, oldest first: event and delivery.
    pub fn delivered_events(&self, past: &Past, rows: &RangeInclusive<i64>) -> Result<Vec<(i64, i64)>> {
        let mut conditions = self.meant(past, rows, Vec::new());
        let id = conditions.bind(past.webhook.id);
        conditions.add(&format!("d.webhook_id = {id}"));
        let select = "SELECT e.id, d.id FROM events e JOIN deliveries d ON d.event_id = e.id";
        let (sql, values) = conditions.query(select, "ORDER BY e.id", None);
        self.rows(&sql, &values, pair)
    }

    fn missing<'a>(&self, past: &'a Past, rows: &RangeInclusive<i64>, values: Vec<Value<'a>>) -> Conditions<'a> {
        let mut conditions = self.meant(past, rows, values);
        let id = conditions.bind(past.webhook.id);
        conditions.add(&format!(
            "NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = e.id AND (d.webhook_id = {id} OR d.is_test))"
        ));
        conditions
    }

    fn meant<'a>(&self, past: &'a Past, rows: &RangeInclusive<i64>, values: Vec<Value<'a>>) -> Conditions<'a> {
        let dialect = self.dialect();
        let mut conditions = Conditions::after(dialect, values);
        conditions.compare("e.id >=", Some(*rows.start()));
        conditions.compare("e.id <=", Some(*rows.end()));
        // As expressions the columns use no index, so that rows are read in their order and not type by type.
        let of = |conditions: &mut Conditions<'a>, types: &'a [String]| {
            let list = conditions.bind(Value::Texts(types.iter().map(String::as_str).collect()));
            dialect.one_of("(e.event_type || '')", &list)
        };
        let ordinary = of(&mut conditions, &past.ordinary);
        let owner = past.webhook.owner.as_deref();
        let own = owner.map(|owner| format!(" OR e.owner = {}", conditions.bind(owner))).unwrap_or_default();
        let operational = of(&mut conditions, &past.operational);
        let own_operational = match owner {
            Some(owner) => format!(" AND e.owner = {}", conditions.bind(owner)),
            None => String::new(),
        };
        conditions.add(&format!("(({ordinary} AND (e.owner IS NULL{own})) OR ({operational}{own_operational}))"));
        let id = conditions.bind(past.webhook.id);
        conditions.add(&format!("(e.about IS NULL OR e.about <> {id})"));
        conditions.add("e.payload IS NOT NULL");
        conditions.owner("e.owner", past.filter.owner.as_ref());
        conditions.compare("e.created_at >=", past.filter.since);
        conditions.compare("e.created_at <", past.filter.until);
        conditions
    }
}

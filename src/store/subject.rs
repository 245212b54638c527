//! Filters by the entity and the ordering key of events, for lists of events and of deliveries.

use super::conditions::Conditions;
use super::row::one;
use super::{Result, Store};

/// The entity and the key to filter by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    pub entity_type: Option<String>,
    pub entity_id: Option<String>,
    pub key: Option<String>,
    /// Many events match, so that enough of them are among the newest rows.
    is_frequent: bool,
}

/// With this many matching events or more, a list scans the newest rows and looks up the event of each; with fewer, it reads
/// all matches from the index and sorts them.
const FREQUENT: u64 = 10_000;

impl Subject {
    pub fn is_any(&self) -> bool {
        self.entity_type.is_none() && self.entity_id.is_none() && self.key.is_none()
    }

    /// Adds the conditions on events; the table's name in the statement is `events`.
    pub(super) fn of_events<'a>(&'a self, conditions: &mut Conditions<'a>, events: &str) {
        // An expression uses no index, so that rows are read in the order of the list.
        let column = |name: &str| match self.is_frequent {
            true => format!("coalesce({events}.{name}, '') ="),
            false => format!("{events}.{name} ="),
        };
        conditions.compare(&column("entity_type"), self.entity_type.as_deref());
        conditions.compare(&column("entity_id"), self.entity_id.as_deref());
        conditions.compare(&column("key"), self.key.as_deref());
    }

    /// Adds the condition on deliveries; `column` is the id of their event.
    pub(super) fn of_deliveries<'a>(&'a self, conditions: &mut Conditions<'a>, column: &str) {
        if self.is_any() {
            return;
        }
        let mut those = Vec::new();
        for (name, value) in [("entity_type", &self.entity_type), ("entity_id", &self.entity_id), ("key", &self.key)] {
            if let Some(value) = value.as_deref() {
                those.push(format!("s.{name} = {}", conditions.bind(value)));
            }
        }
        let those = those.join(" AND ");
        let condition = match self.is_frequent {
            // A value, not EXISTS, which may be planned as a join that begins with the events.
            true => format!("(SELECT count(*) FROM events s WHERE s.id = {column} AND {those}) = 1"),
            false => format!("{column} IN (SELECT s.id FROM events s WHERE {those})"),
        };
        conditions.add(&condition);
    }
}

impl Store {
    /// Counts the matching events to decide how lists look for them.
    pub fn subject(&self, entity: Option<(String, Option<String>)>, key: Option<String>) -> Result<Subject> {
        let (entity_type, entity_id) = entity.map_or((None, None), |(kind, id)| (Some(kind), id));
        let subject = Subject { entity_type, entity_id, key, is_frequent: false };
        if subject.is_any() {
            return Ok(subject);
        }
        let mut conditions = Conditions::after(self.dialect(), Vec::new());
        subject.of_events(&mut conditions, "e");
        let (sql, values) = conditions.count("SELECT e.id FROM events e", Some(FREQUENT));
        let found: u64 = self.only(&sql, &values, one)?;
        Ok(Subject { is_frequent: found >= FREQUENT, ..subject })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{DeliveryFilter, EventFilter};

    fn subject(id: Option<&str>, is_frequent: bool) -> Subject {
        let text = |text: &str| text.to_owned();
        Subject { entity_type: Some(text("invoice")), entity_id: id.map(text), key: None, is_frequent }
    }

    #[test]
    fn what_is_rare_comes_from_the_index_and_what_is_frequent_in_the_order_of_the_list() {
        let store = Store::empty().expect("a database");
        let by_entity = "USING COVERING INDEX events_by_entity (entity_type=? AND entity_id=?)";
        let deliveries = |subject| {
            let filter = DeliveryFilter { subject, before: Some(9), limit: Some(50), ..DeliveryFilter::default() };
            store.plan(&store.deliveries_query(&filter).0)
        };
        let rare = deliveries(subject(Some("42"), false));
        assert!(rare.contains(by_entity) && !rare.contains("SCAN"), "{rare}");
        let frequent = deliveries(subject(None, true));
        assert!(frequent.contains("SEARCH d USING INTEGER PRIMARY KEY (rowid<?)"), "{frequent}");
        assert!(!frequent.contains("events_by_entity") && !frequent.contains("TEMP B-TREE"), "{frequent}");
        let events = |subject| {
            let filter = EventFilter { subject, before: Some(9), limit: Some(50), ..EventFilter::default() };
            store.plan(&store.events_query(&filter).0)
        };
        let rare = events(subject(Some("42"), false));
        assert!(rare.contains("e USING INDEX events_by_entity") && !rare.contains("TEMP B-TREE"), "{rare}");
        let frequent = events(subject(None, true));
        assert!(frequent.contains("SEARCH e USING INTEGER PRIMARY KEY (rowid<?)"), "{frequent}");
        let by_key = Subject { key: Some("customer-7".to_owned()), ..Subject::default() };
        let key = events(by_key.clone()) + &deliveries(by_key);
        assert_eq!(key.matches("INDEX events_by_key (key=?").count(), 2, "{key}");
    }
}

//! The table of deliveries: the log that people read, and what they do to it by hand.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, named_params, params_from_iter};

use super::columns::to_json;
use super::{Result, Store};
use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Counters;

/// A delivery as lists show it.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    /// Its id.
    pub id: i64,
    /// Its webhook's id.
    pub webhook_id: i64,
    /// Its webhook's name.
    pub webhook: String,
    /// Its event's row.
    pub event_row: i64,
    /// Its event's id.
    pub event_id: String,
    /// Its event's type.
    pub event_type: String,
    /// Where it is in its life.
    pub status: Status,
    /// How many attempts were made.
    pub attempt_count: u32,
    /// Retries used of the budget.
    pub retry_count: u32,
    /// When it is due; while claimed, when the lease ends.
    pub due_at: Option<Timestamp>,
    /// Whether some process is attempting it.
    pub is_claimed: bool,
    /// Whether it is a test.
    pub is_test: bool,
    /// When it was created.
    pub created_at: Timestamp,
    /// When the last attempt began.
    pub started_at: Option<Timestamp>,
    /// When the last attempt ended.
    pub completed_at: Option<Timestamp>,
    /// How long the last attempt took, in milliseconds.
    pub duration_ms: Option<i64>,
    /// The last answer's status code.
    pub response_status_code: Option<u16>,
    /// The last attempt's error type.
    pub error_type: Option<ErrorType>,
    /// The last attempt's error.
    pub error_message: Option<String>,
}

impl DeliveryRow {
    /// When it is tried again, while it waits for that.
    pub fn next_retry_at(&self) -> Option<Timestamp> {
        self.due_at.filter(|_| self.status == Status::Retrying && !self.is_claimed)
    }
}

/// Which deliveries are meant; empty lists mean all.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    /// These statuses.
    pub statuses: Vec<Status>,
    /// These webhooks.
    pub webhooks: Vec<i64>,
    /// An event type or pattern.
    pub event_type: Option<String>,
    /// This event's row.
    pub event_row: Option<i64>,
    /// These error types.
    pub error_types: Vec<ErrorType>,
    /// These ranges of status codes, both ends included.
    pub status_codes: Vec<(u16, u16)>,
    /// Created at this time or later.
    pub since: Option<Timestamp>,
    /// Created before this time.
    pub until: Option<Timestamp>,
    /// Only ids below this one.
    pub before: Option<i64>,
    /// At most so many; all when not set.
    pub limit: Option<u64>,
}

/// What went with a webhook or a prune.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Deliveries, with their attempts.
    pub deliveries: u64,
    /// Events whose last delivery went.
    pub events: u64,
}

/// A delivery to be stored.
#[derive(Clone, Copy, Debug)]
pub struct NewDelivery<'a> {
    /// Its webhook.
    pub webhook_id: i64,
    /// Its event's row.
    pub event_row: i64,
    /// Its event's type.
    pub event_type: &'a str,
    /// Whether its webhook is ordered.
    pub is_ordered: bool,
    /// Whether it is a test.
    pub is_test: bool,
    /// Now: when it is created, and due.
    pub now: Timestamp,
}

const SELECT: &str = "SELECT d.id, d.webhook_id, (SELECT name FROM webhooks w WHERE w.id = d.webhook_id), d.event_id,
    (SELECT e.event_id FROM events e WHERE e.id = d.event_id), d.event_type, d.status, d.attempt_count, d.retry_count,
    d.due_at, d.claim_token IS NOT NULL, d.is_test, d.created_at, d.started_at, d.completed_at, d.duration_ms,
    d.response_status_code, d.error_type, d.error_message FROM deliveries d";

impl Store {
    /// Stores a delivery, due at once. `None` when the webhook already has one for that event.
    pub fn insert_delivery(&self, delivery: &NewDelivery<'_>) -> Result<Option<i64>> {
        let inserted = self
            .connection
            .prepare_cached(
                "INSERT INTO deliveries (webhook_id, event_id, event_type, status, due_at, is_ordered, is_test, created_at)
                 VALUES (:webhook, :event, :event_type, 'pending', :now, :ordered, :test, :now)
                 ON CONFLICT (event_id, webhook_id) DO NOTHING",
            )?
            .execute(named_params! {
                ":webhook": delivery.webhook_id,
                ":event": delivery.event_row,
                ":event_type": delivery.event_type,
                ":ordered": delivery.is_ordered,
                ":test": delivery.is_test,
                ":now": delivery.now,
            })?;
        Ok((inserted == 1).then(|| self.connection.last_insert_rowid()))
    }

    /// The delivery with that id.
    pub fn delivery(&self, id: i64) -> Result<Option<DeliveryRow>> {
        Ok(self
            .connection
            .prepare_cached(&format!("{SELECT} WHERE d.id = :id"))?
            .query_row(named_params! { ":id": id }, from_row)
            .optional()?)
    }

    /// An event's deliveries, oldest first.
    pub fn deliveries_of_event(&self, event_row: i64) -> Result<Vec<DeliveryRow>> {
        let mut statement =
            self.connection.prepare_cached(&format!("{SELECT} WHERE d.event_id = :event ORDER BY d.id"))?;
        let rows = statement.query_map(named_params! { ":event": event_row }, from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The deliveries that a filter means, newest first.
    pub fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>> {
        let (sql, values) = filter.query(SELECT, "ORDER BY d.id DESC LIMIT ?");
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params_from_iter(values), from_row)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The ids that a filter means, newest first.
    pub fn delivery_ids(&self, filter: &DeliveryFilter) -> Result<Vec<i64>> {
        let (sql, values) = filter.query("SELECT d.id FROM deliveries d", "ORDER BY d.id DESC LIMIT ?");
        let mut statement = self.connection.prepare(&sql)?;
        let ids = statement.query_map(params_from_iter(values), |row| row.get(0))?;
        Ok(ids.collect::<rusqlite::Result<_>>()?)
    }

    /// How many deliveries a filter means, by webhook: name and count. The filter's limit does not count here.
    pub fn count_deliveries_by_webhook(&self, filter: &DeliveryFilter) -> Result<Vec<(String, u64)>> {
        let (sql, values) = filter.query(
            "SELECT (SELECT name FROM webhooks w WHERE w.id = d.webhook_id) AS webhook, count(*) FROM deliveries d",
            "GROUP BY d.webhook_id ORDER BY webhook LIMIT ?",
        );
        let mut statement = self.connection.prepare(&sql)?;
        let rows =
            statement.query_map(params_from_iter(values), |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many of these deliveries there are, by webhook: name and count.
    pub fn count_ids_by_webhook(&self, ids: &[i64]) -> Result<Vec<(String, u64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT w.name, count(*) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
             WHERE d.id IN (SELECT value FROM json_each(:ids)) GROUP BY w.id ORDER BY w.name",
        )?;
        let rows = statement
            .query_map(named_params! { ":ids": to_json(ids) }, |row| Ok((row.get(0)?, row.get::<_, i64>(1)? as u64)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// These deliveries, each with its webhook: webhook and delivery, in the order of both.
    pub fn webhooks_of_deliveries(&self, ids: &[i64]) -> Result<Vec<(i64, i64)>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT webhook_id, id FROM deliveries WHERE id IN (SELECT value FROM json_each(:ids)) ORDER BY webhook_id, id",
        )?;
        let rows = statement.query_map(named_params! { ":ids": to_json(ids) }, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// How many deliveries of a webhook still wait.
    pub fn count_open(&self, webhook_id: i64) -> Result<u64> {
        let count: i64 = self
            .connection
            .prepare_cached("SELECT count(*) FROM deliveries WHERE webhook_id = :id AND due_at IS NOT NULL")?
            .query_row(named_params! { ":id": webhook_id }, |row| row.get(0))?;
        Ok(count as u64)
    }

    /// Makes a delivery due now, by hand, with a fresh retry budget. False when some process is attempting it just now, or
    /// it is not there.
    pub fn retry_delivery(&self, id: i64, now: Timestamp) -> Result<bool> {
        let Some(before) = self.delivery(id)? else { return Ok(false) };
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE deliveries SET status = CASE WHEN attempt_count = 0 THEN 'pending' ELSE 'retrying' END,
                    due_at = :now, claim_token = NULL, retry_count = 0, is_manual = 1,
                    is_ordered = (SELECT w.is_ordered FROM webhooks w WHERE w.id = deliveries.webhook_id)
                 WHERE id = :id AND (claim_token IS NULL OR due_at IS NULL OR due_at <= :now)",
            )?
            .execute(named_params! { ":id": id, ":now": now })?;
        if changed == 1 && !before.is_test {
            self.count_deliveries(before.webhook_id, left(before.status))?;
        }
        Ok(changed == 1)
    }

    /// Takes a delivery back. False when it is finished or not there. An attempt under way is still recorded.
    pub fn cancel_delivery(&self, id: i64) -> Result<bool> {
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE deliveries SET status = 'cancelled', due_at = NULL WHERE id = :id AND status IN ('pending', 'retrying')",
            )?
            .execute(named_params! { ":id": id })?;
        Ok(changed == 1)
    }

    /// Deletes a webhook with its secrets, deliveries and attempts, and the events that only it had.
    pub fn delete_webhook(&self, id: i64) -> Result<Removed> {
        let mut statement =
            self.connection.prepare_cached("DELETE FROM deliveries WHERE webhook_id = :id RETURNING event_id")?;
        let events = statement.query_map(named_params! { ":id": id }, |row| row.get(0))?;
        let events = events.collect::<rusqlite::Result<Vec<i64>>>()?;
        let mut removed = Removed { deliveries: events.len() as u64, events: 0 };
        for event in events {
            removed.events += self.delete_event_if_bare(event)?;
        }
        self.connection.prepare_cached("DELETE FROM webhooks WHERE id = :id")?.execute(named_params! { ":id": id })?;
        Ok(removed)
    }

    /// Deletes an event that has no delivery. How many went: 1 or 0.
    pub(super) fn delete_event_if_bare(&self, event_row: i64) -> Result<u64> {
        let gone = self
            .connection
            .prepare_cached(
                "DELETE FROM events WHERE id = :id AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event_id = :id)",
            )?
            .execute(named_params! { ":id": event_row })?;
        Ok(gone as u64)
    }
}

/// What the counters lose when a delivery leaves that status.
fn left(status: Status) -> Counters {
    Counters {
        total: 0,
        successful: -i64::from(status == Status::Success),
        failed: -i64::from(status == Status::Failed),
    }
}

impl DeliveryFilter {
    /// The query that `select` begins and `end`, whose last parameter is the limit, ends.
    pub(super) fn query(&self, select: &str, end: &str) -> (String, Vec<Value>) {
        let mut conditions: Vec<String> = Vec::new();
        let mut values: Vec<Value> = Vec::new();
        let mut one_of = |column: &str, list: Vec<Value>| {
            if !list.is_empty() {
                conditions.push(format!("{column} IN ({})", vec!["?"; list.len()].join(", ")));
                values.extend(list);
            }
        };
        one_of("d.status", self.statuses.iter().map(|status| Value::from(status.as_str().to_owned())).collect());
        one_of("d.webhook_id", self.webhooks.iter().copied().map(Value::from).collect());
        one_of("d.error_type", self.error_types.iter().map(|kind| Value::from(kind.as_str().to_owned())).collect());
        one_of("d.event_id", self.event_row.into_iter().map(Value::from).collect());
        // Says again what the list says, in the words of the partial index that answers it.
        if !self.statuses.is_empty() && self.statuses.iter().all(|status| status.is_open()) {
            conditions.push("d.due_at IS NOT NULL".to_owned());
        } else if self.statuses.iter().all(|status| matches!(status, Status::Failed | Status::Cancelled))
            && !self.statuses.is_empty()
        {
            conditions.push("d.status IN ('failed', 'cancelled')".to_owned());
        }
        if let Some(pattern) = &self.event_type {
            // A pattern's * is GLOB's; no other character of a pattern means anything to GLOB.
            conditions.push(format!("d.event_type {} ?", if pattern.contains('*') { "GLOB" } else { "=" }));
            values.push(pattern.clone().into());
        }
        if !self.status_codes.is_empty() {
            let ranges = vec!["d.response_status_code BETWEEN ? AND ?"; self.status_codes.len()].join(" OR ");
            conditions.push(format!("({ranges})"));
            for (first, last) in &self.status_codes {
                values.extend([i64::from(*first).into(), i64::from(*last).into()]);
            }
            if self.status_codes.iter().all(|(first, last)| *last < 200 || *first > 299) {
                conditions.push("d.error_type IS NOT NULL".to_owned());
            }
        }
        let bounds = [
            ("d.created_at >= ?", self.since.map(Timestamp::millis)),
            ("d.created_at < ?", self.until.map(Timestamp::millis)),
            ("d.id < ?", self.before),
        ];
        for (condition, value) in bounds {
            if let Some(value) = value {
                conditions.push(condition.to_owned());
                values.push(value.into());
            }
        }
        values.push(self.limit.map_or(-1, |limit| limit as i64).into());
        let filter = if conditions.is_empty() { String::new() } else { format!("WHERE {}", conditions.join(" AND ")) };
        (format!("{select} {filter} {end}"), values)
    }
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    Ok(DeliveryRow {
        id: row.get(0)?,
        webhook_id: row.get(1)?,
        webhook: row.get(2)?,
        event_row: row.get(3)?,
        event_id: row.get(4)?,
        event_type: row.get(5)?,
        status: row.get(6)?,
        attempt_count: row.get(7)?,
        retry_count: row.get(8)?,
        due_at: row.get(9)?,
        is_claimed: row.get(10)?,
        is_test: row.get(11)?,
        created_at: row.get(12)?,
        started_at: row.get(13)?,
        completed_at: row.get(14)?,
        duration_ms: row.get(15)?,
        response_status_code: row.get(16)?,
        error_type: row.get(17)?,
        error_message: row.get(18)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite answers the list that a filter means.
    fn plan(filter: &DeliveryFilter) -> String {
        let (sql, values) = filter.query(SELECT, "ORDER BY d.id DESC LIMIT ?");
        let store = Store::empty().expect("a database");
        let mut statement = store.connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(&sql);
        let lines = statement.query_map(params_from_iter(values), |row| row.get::<_, String>(3)).expect("a plan");
        lines.collect::<rusqlite::Result<Vec<_>>>().expect("its lines").join("\n")
    }

    fn filter() -> DeliveryFilter {
        DeliveryFilter { before: Some(1_000), limit: Some(50), ..DeliveryFilter::default() }
    }

    #[test]
    fn a_page_of_the_log_comes_from_its_index_in_its_order() {
        let statuses = vec![Status::Failed];
        for (filter, index) in [
            (filter(), "d USING INTEGER PRIMARY KEY (rowid<?)"),
            (DeliveryFilter { webhooks: vec![1], ..filter() }, "d USING INDEX deliveries_of_webhook (webhook_id=?"),
            (DeliveryFilter { statuses, ..filter() }, "d USING INDEX deliveries_by_status (status=?"),
            (DeliveryFilter { event_type: Some("a.b".to_owned()), ..filter() }, "d USING INDEX deliveries_by_type"),
            (
                DeliveryFilter { error_types: vec![ErrorType::Timeout], ..filter() },
                "d USING INDEX deliveries_by_error (error_type=?",
            ),
        ] {
            let plan = plan(&filter);
            assert!(plan.contains(index), "{filter:?}\n{plan}");
            assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{filter:?}\n{plan}");
        }
    }

    #[test]
    fn no_filter_reads_the_whole_log() {
        for filter in [
            DeliveryFilter { event_row: Some(1), ..filter() },
            DeliveryFilter { since: Some(Timestamp::from_millis(1)), ..filter() },
            DeliveryFilter { until: Some(Timestamp::from_millis(1)), ..filter() },
            DeliveryFilter { status_codes: vec![(500, 599)], ..filter() },
            DeliveryFilter { webhooks: vec![1, 2], statuses: vec![Status::Failed, Status::Retrying], ..filter() },
        ] {
            let plan = plan(&filter);
            assert!(!plan.contains("SCAN d"), "{filter:?}\n{plan}");
        }
    }
}

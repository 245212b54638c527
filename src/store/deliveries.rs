//! The table of deliveries: the log as people read it, and what they change by hand.

use serde::Serialize;

use super::counters::CounterChanges;
use super::delivery_filter::DeliveryFilter;
use super::lines::LINE;
use super::mend::LONGEST_LEASE_MS;
use super::row::{Row, one, pair, read_fields};
use super::value::{Value, params};
use super::{Result, Store};
use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

/// A delivery, serialised as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    pub id: i64,
    pub webhook_id: i64,
    pub webhook: String,
    pub event_type: String,
    pub event_id: String,
    pub key: Option<String>,
    pub owner: Option<String>,
    pub status: Status,
    #[serde(rename = "attempt_number")]
    pub attempt_count: u32,
    /// Of the last attempt, like the five that follow.
    pub response_status_code: Option<u16>,
    pub error_message: Option<String>,
    pub error_type: Option<ErrorType>,
    pub started_at: Option<Timestamp>,
    pub completed_at: Option<Timestamp>,
    pub duration_ms: Option<i64>,
    /// Retries used.
    pub retry_count: u32,
    /// When the next retry is due, if there is one.
    pub next_retry_at: Option<Timestamp>,
    pub is_test: bool,
    pub created_at: Timestamp,
    #[serde(skip)]
    pub event_row: i64,
    /// The body that it sends instead of the event's payload.
    #[serde(skip)]
    pub body_id: Option<i64>,
    /// When it is due; while it is claimed, when the lease ends.
    #[serde(skip)]
    pub due_at: Option<Timestamp>,
    #[serde(skip)]
    pub is_claimed: bool,
}

/// What was deleted with a webhook or by pruning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Deleted deliveries; their attempts went with them.
    pub deliveries: u64,
    /// Events that lost their last delivery.
    pub events: u64,
}

/// What `delivery retry` did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retried {
    /// Webhook and delivery, in the order of ids.
    pub due: Vec<(i64, i64)>,
    /// Those that had been cancelled during an attempt that may still be running: open again, and claimed until it ends.
    pub under_way: u64,
}

const SELECT: &str = "SELECT d.id, d.webhook_id, (SELECT w.name FROM webhooks w WHERE w.id = d.webhook_id), d.event_id, d.body_id,
    (SELECT e.event_id FROM events e WHERE e.id = d.event_id), d.event_type,
    (SELECT e.key FROM events e WHERE e.id = d.event_id), (SELECT w.owner FROM webhooks w WHERE w.id = d.webhook_id), d.status, d.attempt_count, d.retry_count,
    d.due_at, d.claim_token IS NOT NULL, CASE WHEN d.status = 'retrying' AND d.claim_token IS NULL THEN d.due_at END,
    d.is_test, d.created_at, d.started_at, d.completed_at, d.duration_ms,
    d.response_status_code, d.error_type, d.error_message FROM deliveries d";

const ORDER: &str = "ORDER BY d.id DESC";

/// How many ids are passed to one statement.
const LONGEST_LIST: usize = 10_000;

impl Store {
    pub fn delivery(&self, id: i64) -> Result<Option<DeliveryRow>> {
        self.first(&format!("{SELECT} WHERE d.id = $1"), params![id], from_row)
    }

    /// An event's deliveries, oldest first.
    pub fn deliveries_of_event(&self, event_row: i64) -> Result<Vec<DeliveryRow>> {
        self.rows(&format!("{SELECT} WHERE d.event_id = $1 ORDER BY d.id"), params![event_row], from_row)
    }

    /// The newest delivery of a webhook whose last attempt failed.
    pub fn last_failed_delivery(&self, webhook_id: i64) -> Result<Option<DeliveryRow>> {
        let sql =
            format!("{SELECT} WHERE d.webhook_id = $1 AND d.error_type IS NOT NULL AND NOT d.is_test {ORDER} LIMIT 1");
        self.first(&sql, params![webhook_id], from_row)
    }

    /// The deliveries that match a filter, newest first.
    pub fn deliveries(&self, filter: &DeliveryFilter) -> Result<Vec<DeliveryRow>> {
        let (sql, values) = self.deliveries_query(filter);
        self.rows(&sql, &values, from_row)
    }

    pub(super) fn deliveries_query<'a>(&self, filter: &'a DeliveryFilter) -> (String, Vec<Value<'a>>) {
        filter.conditions(self.dialect()).query(SELECT, ORDER, filter.limit)
    }

    /// The ids of the deliveries that match a filter, newest first.
    pub fn delivery_ids(&self, filter: &DeliveryFilter) -> Result<Vec<i64>> {
        let conditions = filter.conditions(self.dialect());
        let (sql, values) = conditions.query("SELECT d.id FROM deliveries d", ORDER, filter.limit);
        self.rows(&sql, &values, one)
    }

    /// How many deliveries match a filter, counted up to its limit.
    pub fn count_deliveries(&self, filter: &DeliveryFilter) -> Result<u64> {
        let conditions = filter.conditions(self.dialect());
        let (sql, values) = conditions.count("SELECT d.id FROM deliveries d", filter.limit);
        self.only(&sql, &values, one)
    }

    /// How many deliveries match a filter, by webhook: name and count. The filter's limit is ignored.
    pub fn count_deliveries_by_webhook(&self, filter: &DeliveryFilter) -> Result<Vec<(String, u64)>> {
        let (sql, values) = filter.conditions(self.dialect()).query(
            "SELECT (SELECT w.name FROM webhooks w WHERE w.id = d.webhook_id) AS webhook, count(*) FROM deliveries d",
            "GROUP BY d.webhook_id ORDER BY webhook",
            None,
        );
        self.rows(&sql, &values, pair)
    }

    /// How many of these deliveries exist, by webhook: name and count.
    pub fn count_ids_by_webhook(&self, ids: &[i64]) -> Result<Vec<(String, u64)>> {
        let sql = format!(
            "SELECT w.name, count(*) FROM deliveries d JOIN webhooks w ON w.id = d.webhook_id
             WHERE {} GROUP BY w.id ORDER BY w.name",
            self.dialect().one_of("d.id", "$1")
        );
        self.rows(&sql, params![ids], pair)
    }

    /// How many deliveries of a webhook are open.
    pub fn count_open(&self, webhook_id: i64) -> Result<u64> {
        let queued = self.dialect().queued();
        let sql = format!("SELECT count(*) FROM deliveries WHERE webhook_id = $1 AND {queued} IS NOT NULL");
        self.only(&sql, params![webhook_id], one)
    }

    /// Makes deliveries due now, by hand, with all retries left. Those in flight are not changed; one that was cancelled while
    /// in flight is no longer cancelled, and is due when its claim ends.
    pub fn retry_deliveries(&self, ids: &[i64], now: Timestamp) -> Result<Retried> {
        let dialect = self.dialect();
        let select = format!(
            "SELECT webhook_id, id, status, is_test, claim_token IS NOT NULL AND due_at IS NULL
                    AND coalesce(lease_until, 0) > $1 AND coalesce(lease_until, 0) <= $2
             FROM deliveries
             WHERE (claim_token IS NULL OR due_at IS NULL OR due_at <= $1) AND {} ORDER BY id {}",
            dialect.one_of("id", "$3"),
            dialect.for_update()
        );
        let (mut changes, mut retried, mut under_way) = (CounterChanges::default(), Retried::default(), Vec::new());
        // A lease that ends later was set by a clock that was ahead.
        self.each(&select, params![now, now.plus_millis(LONGEST_LEASE_MS), ids], |row| {
            let (webhook_id, id) = pair(row)?;
            let (status, is_test): (Status, bool) = pair(row)?;
            if !is_test {
                changes.leave(webhook_id, status);
            }
            match row.next()? {
                true => under_way.push(id),
                false => retried.due.push((webhook_id, id)),
            }
            Ok(())
        })?;
        let due: Vec<i64> = retried.due.iter().map(|(_, id)| *id).collect();
        let due_now = self.reopen("due_at = $1, claim_token = NULL", "$2");
        self.execute(&due_now, params![now, due.as_slice()])?;
        if !under_way.is_empty() {
            self.execute(&self.reopen("due_at = lease_until", "$1"), params![under_way.as_slice()])?;
        }
        retried.under_way = under_way.len() as u64;
        self.count(&changes)?;
        Ok(retried)
    }

    /// The statement that reopens deliveries.
    fn reopen(&self, due: &str, ids: &str) -> String {
        format!(
            "UPDATE deliveries SET {due}, status = CASE WHEN attempt_count = 0 THEN 'pending' ELSE 'retrying' END,
                retry_count = 0, is_manual = TRUE,
                is_behind = FALSE, line = (SELECT {LINE} FROM webhooks w JOIN events e ON e.id = deliveries.event_id
                    WHERE w.id = deliveries.webhook_id)
             WHERE {}",
            self.dialect().one_of("id", ids)
        )
    }

    /// Cancels deliveries that are not finished, and returns how many. A running attempt is still recorded and keeps its claim,
    /// so that no other process sends the delivery meanwhile.
    pub fn cancel_deliveries(&self, ids: &[i64]) -> Result<usize> {
        self.lock_states_of(ids)?;
        let sql = format!(
            "UPDATE deliveries SET status = 'cancelled', due_at = NULL,
                lease_until = CASE WHEN claim_token IS NOT NULL THEN due_at END WHERE id IN (
                SELECT d.id FROM deliveries d WHERE {} AND d.status IN ('pending', 'retrying') ORDER BY d.id {})",
            self.dialect().one_of("d.id", "$1"),
            self.dialect().for_update()
        );
        let cancelled = self.execute(&sql, params![ids])?;
        self.move_up(ids)?;
        Ok(cancelled)
    }

    /// Deletes a webhook with its secrets, deliveries and attempts, and the content of events that only it had.
    pub fn delete_webhook(&self, id: i64) -> Result<Removed> {
        let sql = "DELETE FROM deliveries WHERE webhook_id = $1 RETURNING event_id";
        let events: Vec<i64> = self.rows(sql, params![id], one)?;
        let removed = Removed { deliveries: events.len() as u64, events: self.forget_payloads(&events)? };
        self.note_deletion(self.execute("DELETE FROM webhooks WHERE id = $1", params![id])?);
        Ok(removed)
    }

    /// Deletes what is in those of these events that have no delivery, and bodies that none sends any longer. Their ids and fingerprints stay, so that the same event
    /// again is a duplicate, and another with its id a conflict. How many.
    pub(super) fn forget_payloads(&self, events: &[i64]) -> Result<u64> {
        let sql = format!(
            "UPDATE events SET payload = NULL, entity_type = NULL, entity_id = NULL, key = NULL, headers = NULL
             WHERE {} AND payload IS NOT NULL AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event_id = events.id)",
            self.dialect().one_of("id", "$1")
        );
        self.forget_bodies(events)?;
        let gone = events.chunks(LONGEST_LIST).map(|some| self.execute(&sql, params![some]));
        let gone = gone.sum::<Result<usize>>()?;
        self.note_deletion(gone);
        Ok(gone as u64)
    }
}

fn from_row(row: &mut Row<'_>) -> Result<DeliveryRow> {
    Ok(read_fields!(row => DeliveryRow {
        id, webhook_id, webhook, event_row, body_id, event_id, event_type, key, owner, status, attempt_count, retry_count,
        due_at, is_claimed, next_retry_at, is_test, created_at, started_at, completed_at, duration_ms,
        response_status_code, error_type, error_message
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SQLite's plan for the list of a filter.
    fn plan(filter: &DeliveryFilter) -> String {
        let store = Store::empty().expect("a database");
        store.plan(&store.deliveries_query(filter).0)
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

//! Filters on the log of deliveries.

use super::conditions::Conditions;
use super::dialect::Dialect;
use super::subject::Subject;
use super::value::Value;
use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

/// Which deliveries match; empty lists match all.
#[derive(Clone, Debug, Default)]
pub struct DeliveryFilter {
    pub statuses: Vec<Status>,
    pub webhooks: Vec<i64>,
    /// An event type or pattern.
    pub event_type: Option<String>,
    pub event_row: Option<i64>,
    /// The entity and key of the event.
    pub subject: Subject,
    pub error_types: Vec<ErrorType>,
    /// The last attempt took longer than this, in milliseconds.
    pub longer_than_ms: Option<i64>,
    /// Ranges of status codes, both ends included.
    pub status_codes: Vec<(u16, u16)>,
    /// Created at this time or later.
    pub since: Option<Timestamp>,
    /// Created before this time.
    pub until: Option<Timestamp>,
    /// Only ids below this one.
    pub before: Option<i64>,
    /// The most rows; `None` is all.
    pub limit: Option<u64>,
}

impl DeliveryFilter {
    pub(super) fn conditions(&self, dialect: Dialect) -> Conditions<'_> {
        self.conditions_after(dialect, Vec::new())
    }

    /// The conditions, after the parameters `values`.
    pub(super) fn conditions_after<'a>(&'a self, dialect: Dialect, values: Vec<Value<'a>>) -> Conditions<'a> {
        let mut conditions = Conditions::after(dialect, values);
        conditions.one_of("d.status", &self.statuses);
        conditions.one_of("d.webhook_id", &self.webhooks);
        conditions.one_of("d.error_type", &self.error_types);
        conditions.compare("d.event_id =", self.event_row);
        conditions.event_type("d.event_type", self.event_type.as_deref());
        if !self.status_codes.is_empty() {
            let range = |(first, last): &'a (u16, u16)| {
                format!("d.response_status_code BETWEEN {} AND {}", conditions.bind(*first), conditions.bind(*last))
            };
            let ranges: Vec<String> = self.status_codes.iter().map(range).collect();
            conditions.add(&format!("({})", ranges.join(" OR ")));
        }
        self.subject.of_deliveries(&mut conditions, "d.event_id");
        conditions.compare("d.duration_ms >", self.longer_than_ms);
        conditions.compare("d.created_at >=", self.since);
        conditions.compare("d.created_at <", self.until);
        conditions.compare("d.id <", self.before);
        self.index_conditions(dialect).iter().for_each(|condition| conditions.add(condition));
        conditions
    }

    /// Conditions that follow from the others, spelled as in the partial indexes, so that these are used.
    fn index_conditions(&self, dialect: Dialect) -> Vec<String> {
        let mut conditions = Vec::new();
        if !self.statuses.is_empty() {
            if self.statuses.iter().all(|status| status.is_open()) {
                conditions.push(format!("d.{} IS NOT NULL", dialect.queued()));
            } else if self.statuses.iter().all(|status| matches!(status, Status::Failed | Status::Cancelled)) {
                conditions.push("d.status IN ('failed', 'cancelled')".to_owned());
            }
        }
        let is_failure = |(first, last): &(u16, u16)| *last < 200 || *first > 299;
        if !self.status_codes.is_empty() && self.status_codes.iter().all(is_failure) {
            conditions.push("d.error_type IS NOT NULL".to_owned());
        }
        conditions
    }
}

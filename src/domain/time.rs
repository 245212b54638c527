//! Points in time, as the database and the JSON output hold them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z. Serialises as RFC 3339 UTC with milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The earliest point: 1970-01-01T00:00:00Z.
    pub const START: Timestamp = Timestamp(0);

    /// The latest point that RFC 3339 can write: 9999-12-31T23:59:59.999Z. Arithmetic stops there.
    pub const MAX: Timestamp = Timestamp(253_402_300_799_999);

    /// `millis` milliseconds after 1970, limited to the years 1970 to 9999.
    pub fn from_millis(millis: i64) -> Timestamp {
        Timestamp(millis.clamp(0, Self::MAX.0))
    }

    pub fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, as signatures carry them.
    pub fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// This point plus `millis`, which may be negative; limited to the range.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Timestamp {
        Timestamp::from_millis(self.0.saturating_add(millis))
    }

    /// `length` before this point; not before 1970.
    #[must_use]
    pub fn minus(self, length: Duration) -> Timestamp {
        self.plus_millis(-i64::try_from(length.as_millis()).unwrap_or(i64::MAX))
    }

    /// Milliseconds from `earlier` to this point; negative when it is later.
    pub fn millis_since(self, earlier: Timestamp) -> i64 {
        self.0 - earlier.0
    }

    /// Reads RFC 3339 with any offset; `None` when it is not, or lies outside 1970 to 9999.
    pub fn parse_rfc3339(text: &str) -> Option<Timestamp> {
        let millis = DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis();
        (0..=Self::MAX.0).contains(&millis).then_some(Timestamp(millis))
    }

    /// RFC 3339 UTC with milliseconds: `2026-01-31T12:00:00.000Z`.
    pub fn rfc3339(self) -> String {
        self.date_time().to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// As a calendar date and time in UTC.
    pub fn date_time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.0).unwrap_or_default()
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

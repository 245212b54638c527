//! Counts the log of a window by webhook, type, hour and error type, in two passes and constant memory.

use std::collections::{BTreeMap, HashMap};

use crate::domain::attempt::ErrorType;
use crate::domain::statistics::{AttemptSample, DeliverySample, Measures};
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError, Window};

/// The most intervals in a chart.
const MOST_STEPS: i64 = 60;
const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// The lengths of intervals, in milliseconds.
const STEPS: [i64; 12] = [
    MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    7 * DAY,
    30 * DAY,
    365 * DAY,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Of all webhooks together.
    Together,
    /// Of each webhook too.
    OfEach,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Steps {
    /// The beginning of the first, in milliseconds since 1970.
    pub start: i64,
    /// How long each is, in milliseconds.
    pub length: i64,
    pub count: usize,
}

impl Steps {
    /// The shortest intervals of which at most [`MOST_STEPS`] cover the time from `since` to `until`.
    pub fn between(since: Timestamp, until: Timestamp) -> Steps {
        let (since, until) = (since.millis(), until.millis().max(since.millis()));
        let length = STEPS.into_iter().find(|length| (until - since) / length <= MOST_STEPS).unwrap_or(365 * DAY);
        let start = since - since % length;
        Steps { start, length, count: ((until - start) / length + 1) as usize }
    }

    /// The interval of a time; a time past the end, as after a change of the clock, belongs to the last.
    fn index(self, time: Timestamp) -> usize {
        (((time.millis() - self.start) / self.length).max(0) as usize).min(self.count - 1)
    }

    pub fn time(self, index: usize) -> Timestamp {
        Timestamp::from_millis(self.start + index as i64 * self.length)
    }
}

#[derive(Debug)]
pub struct Tally {
    pub total: Measures,
    /// By webhook id.
    pub by_webhook: HashMap<i64, Measures>,
    pub by_event_type: HashMap<String, Measures>,
    /// By hour since 1970.
    pub by_hour: BTreeMap<i64, Measures>,
    /// Failed attempts by error type.
    pub by_error_type: HashMap<ErrorType, u64>,
    /// The end of the window. Later times, as after a change of the clock, count as this: a row from the year 9999 must not
    /// make millions of empty hours.
    until: Timestamp,
    pub steps: Steps,
    pub course: Vec<Measures>,
    /// The time series of each webhook, with [`Course::OfEach`].
    pub courses: HashMap<i64, Vec<Measures>>,
}

impl Tally {
    pub fn of(store: &Store, window: &Window, until: Timestamp, course: Course) -> Result<Tally, StoreError> {
        let steps = Steps::between(window.since, until);
        let mut tally = Tally {
            total: Measures::default(),
            by_webhook: HashMap::new(),
            by_event_type: HashMap::new(),
            by_hour: BTreeMap::new(),
            by_error_type: HashMap::new(),
            until,
            steps,
            course: vec![Measures::default(); steps.count],
            courses: HashMap::new(),
        };
        store.snapshot(|| {
            store.each_delivery(window, |delivery| tally.add_delivery(delivery, course))?;
            store.each_attempt(window, |attempt| tally.add_attempt(attempt, course))
        })?;
        Ok(tally)
    }

    fn add_delivery(&mut self, delivery: &DeliverySample<'_>, course: Course) {
        let at = delivery.created_at.min(self.until);
        self.each(delivery.webhook_id, delivery.event_type, at, course, |measures| measures.add_delivery(delivery));
    }

    fn add_attempt(&mut self, attempt: &AttemptSample<'_>, course: Course) {
        let at = attempt.completed_at.min(self.until);
        self.each(attempt.webhook_id, attempt.event_type, at, course, |measures| measures.add_attempt(attempt));
        if let Some(error_type) = attempt.error_type {
            *self.by_error_type.entry(error_type).or_default() += 1;
        }
    }

    /// Adds to the groups of this webhook, type and time.
    fn each(&mut self, webhook: i64, event_type: &str, at: Timestamp, course: Course, add: impl Fn(&mut Measures)) {
        add(&mut self.total);
        add(self.by_webhook.entry(webhook).or_default());
        match self.by_event_type.get_mut(event_type) {
            Some(measures) => add(measures),
            None => add(self.by_event_type.entry(event_type.to_owned()).or_default()),
        }
        add(self.by_hour.entry(at.millis() / HOUR).or_default());
        let step = self.steps.index(at);
        add(&mut self.course[step]);
        if course == Course::OfEach {
            let count = self.steps.count;
            add(&mut self.courses.entry(webhook).or_insert_with(|| vec![Measures::default(); count])[step]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_few_and_reach_from_one_end_to_the_other() {
        let now = Timestamp::parse_rfc3339("2026-01-31T12:34:56Z").unwrap();
        for (back, length) in [(HOUR - 1, MINUTE), (DAY, 30 * MINUTE), (7 * DAY, 3 * HOUR), (30 * DAY, 12 * HOUR)] {
            let since = now.plus_millis(-back);
            let steps = Steps::between(since, now);
            assert_eq!(steps.length, length);
            assert!(steps.count <= 61, "{steps:?}");
            assert_eq!((steps.index(since), steps.index(now)), (0, steps.count - 1));
            assert!(steps.time(0) <= since && steps.time(steps.count) > now);
            assert_eq!(steps.index(now.plus_millis(10 * DAY)), steps.count - 1);
        }
        assert_eq!(Steps::between(now, now).count, 1);
        assert_eq!(Steps::between(Timestamp::from_millis(0), Timestamp::MAX).index(Timestamp::from_millis(5)), 0);
    }
}

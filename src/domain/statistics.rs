//! Statistics of deliveries and attempts: counts, rates and durations.

use super::attempt::ErrorType;
use super::delivery::Status;
use super::histogram::Histogram;
use super::time::Timestamp;

/// The upper bounds of the buckets that attempts are counted in for monitoring, in milliseconds; the last has none.
pub const DURATION_BOUNDS_MS: [i64; 13] = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, i64::MAX];

/// The bound of the bucket that a duration belongs to.
pub fn duration_bound(millis: i64) -> i64 {
    DURATION_BOUNDS_MS.into_iter().find(|bound| millis <= *bound).unwrap_or(i64::MAX)
}

/// A delivery as statistics see it.
#[derive(Clone, Copy, Debug)]
pub struct DeliverySample<'a> {
    pub webhook_id: i64,
    pub event_type: &'a str,
    pub created_at: Timestamp,
    pub status: Status,
    pub attempts: u32,
}

/// An attempt as statistics see it.
#[derive(Clone, Copy, Debug)]
pub struct AttemptSample<'a> {
    pub webhook_id: i64,
    pub event_type: &'a str,
    pub completed_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// Why it failed; `None` is success.
    pub error_type: Option<ErrorType>,
}

#[derive(Clone, Debug, Default)]
pub struct Measures {
    pub successful: u64,
    pub failed: u64,
    /// Deliveries that wait for an attempt.
    pub waiting: u64,
    pub cancelled: u64,
    /// Deliveries that were attempted.
    pub attempted: u64,
    /// Attempts of those deliveries.
    pub tries: u64,
    /// Attempts that ended in the period.
    pub attempts: u64,
    /// Attempts that ended in the period and failed.
    pub failed_attempts: u64,
    pub durations: Histogram,
}

impl Measures {
    pub fn add_delivery(&mut self, delivery: &DeliverySample<'_>) {
        match delivery.status {
            Status::Success => self.successful += 1,
            Status::Failed => self.failed += 1,
            Status::Pending | Status::Retrying => self.waiting += 1,
            Status::Cancelled => self.cancelled += 1,
        }
        self.attempted += u64::from(delivery.attempts > 0);
        self.tries += u64::from(delivery.attempts);
    }

    pub fn add_attempt(&mut self, attempt: &AttemptSample<'_>) {
        self.attempts += 1;
        self.failed_attempts += u64::from(attempt.error_type.is_some());
        self.durations.add(attempt.duration_ms);
    }

    pub fn deliveries(&self) -> u64 {
        self.successful + self.failed + self.waiting + self.cancelled
    }

    /// The share of finished deliveries that succeeded, 0.0 to 1.0; `None` before one is finished. Open and cancelled
    /// deliveries are not counted.
    pub fn success_rate(&self) -> Option<f64> {
        ratio(self.successful, self.successful + self.failed)
    }

    /// The share of attempts that succeeded, 0.0 to 1.0; `None` before the first.
    pub fn attempt_success_rate(&self) -> Option<f64> {
        ratio(self.attempts - self.failed_attempts, self.attempts)
    }

    /// Attempts per delivery; `None` before one was attempted.
    pub fn attempts_per_delivery(&self) -> Option<f64> {
        ratio(self.tries, self.attempted)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(statuses: &[Status]) -> Measures {
        let mut measures = Measures::default();
        for status in statuses {
            measures.add_delivery(&DeliverySample {
                webhook_id: 1,
                event_type: "a.b",
                created_at: Timestamp::from_millis(0),
                status: *status,
                attempts: if *status == Status::Pending { 0 } else { 2 },
            });
        }
        measures
    }

    #[test]
    fn the_success_rate_is_of_finished_deliveries_alone() {
        assert_eq!(with(&[]).success_rate(), None);
        assert_eq!(with(&[Status::Pending, Status::Retrying, Status::Cancelled]).success_rate(), None);
        let measures = with(&[Status::Success, Status::Success, Status::Success, Status::Failed, Status::Pending]);
        assert_eq!(measures.success_rate(), Some(0.75));
        assert_eq!(measures.deliveries(), 5);
        assert_eq!(measures.attempts_per_delivery(), Some(2.0));
    }

    #[test]
    fn a_duration_belongs_to_the_first_bound_that_holds_it() {
        assert_eq!([0, 5, 6, 30_000, 30_001].map(duration_bound), [5, 5, 10, 30_000, i64::MAX]);
    }
}

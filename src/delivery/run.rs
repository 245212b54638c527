//! The options of a run, and its summary.

use std::time::Instant;

use crate::clock::Clock;
use crate::domain::delivery::Status;
use crate::http::Surroundings;
use crate::signals::Stop;

/// Whether the state of a webhook can keep its deliveries from being sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// Disabled, paused, held, breaker open, or rate limit reached: wait.
    Respect,
    /// Send in any state: `webhook test`.
    Ignore,
}

#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The most worker threads.
    pub concurrency: usize,
    /// Settings of the environment that apply to all webhooks.
    pub surroundings: Surroundings,
    pub clock: Clock,
    pub stop: Stop,
    /// The most deliveries to attempt.
    pub limit: Option<u64>,
    /// Nothing is claimed after this.
    pub deadline: Option<Instant>,
    pub gates: Gates,
    /// Whether to wait for a rate limit that allows the next request within two seconds.
    pub waits_for_rate: bool,
}

impl RunOptions {
    pub(super) fn is_time_up(&self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }
}

/// What a run did, counted in deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Claimed and attempted.
    pub claimed: u64,
    pub succeeded: u64,
    /// Failed, with another attempt to come.
    pub retrying: u64,
    /// Failed for good.
    pub failed: u64,
    /// Results that came after their lease had expired and another process had claimed the delivery. They are dropped.
    pub lost: u64,
}

impl Summary {
    /// Deliveries whose attempt has ended.
    pub fn finished(&self) -> u64 {
        self.succeeded + self.not_delivered()
    }

    /// Counts a delivery that was attempted and is now `status`.
    pub(super) fn count(&mut self, status: Status) {
        self.claimed += 1;
        match status {
            Status::Success => self.succeeded += 1,
            Status::Failed => self.failed += 1,
            Status::Pending | Status::Retrying | Status::Cancelled => self.retrying += 1,
        }
    }

    pub(super) fn add(&mut self, more: Summary) {
        self.claimed += more.claimed;
        self.succeeded += more.succeeded;
        self.retrying += more.retrying;
        self.failed += more.failed;
        self.lost += more.lost;
    }

    /// Deliveries whose attempt failed, whether or not another follows.
    pub fn not_delivered(&self) -> u64 {
        self.retrying + self.failed
    }
}

/// Whether there is more to do after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Busy,
    Idle,
}

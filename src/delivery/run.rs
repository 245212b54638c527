//! What a run is asked to do, and what it did.

use std::time::Instant;

use crate::clock::Clock;
use crate::domain::delivery::Status;
use crate::http::Surroundings;
use crate::signals::Stop;

/// Whether a webhook's state can hold its deliveries back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gates {
    /// Disabled, held, paused by the breaker, or over the rate: wait.
    Respect,
    /// Send whatever the state: a test.
    Ignore,
}

/// How a run is to be done.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Worker threads at the most.
    pub concurrency: usize,
    /// What the environment says for every webhook.
    pub surroundings: Surroundings,
    pub clock: Clock,
    pub stop: Stop,
    /// At most so many deliveries are attempted.
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

/// What a run did, in deliveries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Claimed and attempted.
    pub claimed: u64,
    pub succeeded: u64,
    /// Failed, to be tried again.
    pub retrying: u64,
    /// Ended as failed.
    pub failed: u64,
    /// Results that came after their claim was lost; whoever holds the delivery now decides.
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

    /// Deliveries whose attempt failed, for good or for now.
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

//! How many deliveries the state of a webhook allows: whether it is active, its pauses, breaker and rate limit.

use std::time::Duration;

use crate::clock::Clock;
use crate::domain::breaker;
use crate::domain::rate_limit::RateLimit;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Health;

/// How many deliveries may be claimed for a webhook now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    UpTo(usize),
    /// One, to find out whether the receiver works again.
    Probe,
    /// None in this run.
    Closed,
    /// None before the rate limit allows the next, after this time.
    After(Duration),
}

impl Passage {
    /// How many of `wanted` deliveries are allowed now.
    pub(super) fn of(health: &Health, rate_limit: Option<RateLimit>, clock: Clock, wanted: usize) -> Passage {
        let now = clock.now();
        if health.pause(now).is_some() {
            return Passage::Closed;
        }
        let available = match rate_limit {
            Some(limit) => match limit.available(health.rate_next_us, clock.now_us(), wanted as u32) {
                0 => {
                    let wait_us = limit.wait_us(health.rate_next_us, clock.now_us());
                    return Passage::After(Duration::from_micros(wait_us as u64));
                }
                available => available as usize,
            },
            None => wanted,
        };
        match health.breaker.passage(now) {
            breaker::Passage::Probe => Passage::Probe,
            breaker::Passage::Open(_) | breaker::Passage::Closed => Passage::UpTo(available),
        }
    }
}

/// Whether deliveries claimed ahead must be released: the webhook was disabled, paused or held, or its breaker opened.
pub(super) fn is_blocked(health: &Health, now: Timestamp) -> bool {
    health.pause(now).is_some() || health.breaker.passage(now) == breaker::Passage::Probe
}

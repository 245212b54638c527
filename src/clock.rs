//! The one place that reads the system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// Tells the time: the system's, or the one moment that a run was given.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    fixed: Option<Timestamp>,
}

impl Clock {
    /// The system's clock, or one that stands still at `fixed`.
    ///
    /// It stands still two days before the end of all times at the latest: a lease or a delay that ended where time ends would
    /// be over as soon as it is given.
    pub fn new(fixed: Option<Timestamp>) -> Clock {
        let latest = Timestamp::MAX.plus_millis(-2 * 86_400_000);
        Clock { fixed: fixed.map(|moment| moment.min(latest)) }
    }

    pub fn now(self) -> Timestamp {
        let system = || {
            let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Timestamp::from_millis(i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX))
        };
        self.fixed.unwrap_or_else(system)
    }

    /// Now, in microseconds since 1970.
    pub fn now_us(self) -> i64 {
        match self.fixed {
            Some(fixed) => fixed.millis() * 1_000,
            None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64),
        }
    }

    /// Whether it stands still, so that waiting for a time to come would wait for ever.
    pub fn is_fixed(self) -> bool {
        self.fixed.is_some()
    }
}

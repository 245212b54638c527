//! The one place that reads the system's clock.

use std::sync::RwLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// What a database server's clock said, in microseconds since 1970, and when that was. All machines that work on one database
/// go by its clock; a process works on one.
static SERVER: RwLock<Option<(i64, Instant)>> = RwLock::new(None);

/// Goes by a server's clock from now on.
pub fn follow(server_us: i64, at: Instant) {
    *SERVER.write().unwrap_or_else(std::sync::PoisonError::into_inner) = Some((server_us, at));
}

/// Tells the time: the database server's, else the system's; or the one moment that a run was given.
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
        self.fixed.unwrap_or_else(|| Timestamp::from_millis(running_us() / 1_000))
    }

    /// Now, in microseconds since 1970.
    pub fn now_us(self) -> i64 {
        self.fixed.map_or_else(running_us, |fixed| fixed.millis() * 1_000)
    }

    /// Whether it goes by a database server's clock.
    pub fn follows_server(self) -> bool {
        self.fixed.is_none() && SERVER.read().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
    }

    /// Whether it stands still, so that waiting for a time to come would wait for ever.
    pub fn is_fixed(self) -> bool {
        self.fixed.is_some()
    }
}

fn running_us() -> i64 {
    match *SERVER.read().unwrap_or_else(std::sync::PoisonError::into_inner) {
        Some((server_us, at)) => server_us.saturating_add(at.elapsed().as_micros() as i64),
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64),
    }
}

//! The one place that reads the system's clock.

use std::sync::RwLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// What a database server's clock said, in microseconds since 1970, and when that was. All machines that work on one database
/// go by its clock; a process works on one.
static SERVER: RwLock<Option<(i64, Instant)>> = RwLock::new(None);

/// Goes by a server's clock, which said `server_us` at some moment between two others. A clock that says nothing new keeps its
/// pace: a step back within what is not known would put off what has just become due.
pub fn follow(server_us: i64, sent: Instant, received: Instant) {
    let round_trip = received - sent;
    let mut server = SERVER.write().unwrap_or_else(std::sync::PoisonError::into_inner);
    let now = server.map(|(server_us, at)| running_from(server_us, at, received));
    if now.is_none_or(|now| !is_possible(now, server_us, round_trip)) {
        *server = Some((server_us, sent + round_trip / 2));
    }
}

/// Whether it may be `now_us` when an answer is received that says what time it was within the round trip.
fn is_possible(now_us: i64, said_us: i64, round_trip: Duration) -> bool {
    (said_us..=said_us.saturating_add(round_trip.as_micros() as i64)).contains(&now_us)
}

fn running_from(server_us: i64, at: Instant, now: Instant) -> i64 {
    server_us.saturating_add(now.saturating_duration_since(at).as_micros() as i64)
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
        Some((server_us, at)) => running_from(server_us, at, Instant::now()),
        None => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_set_only_by_an_answer_that_contradicts_it() {
        let round_trip = Duration::from_micros(40);
        for (now, is_kept) in [(99, false), (100, true), (140, true), (141, false), (i64::MAX, false)] {
            assert_eq!(is_possible(now, 100, round_trip), is_kept, "{now}");
        }
        assert!(is_possible(i64::MAX, i64::MAX, round_trip));
    }
}

//! Waiting for the lock of another process. SQLite has no queue for it: whoever asks at the right moment gets it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::store::Result;

/// How long a connection waits for a lock, in milliseconds; shared with SQLite's side of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<AtomicU64>);

impl Patience {
    /// Has a connection wait so long. SQLite's own wait asks ever more seldom, at last every 100 ms, so that a process that
    /// waits long loses to each that comes new; here the one that waits longest asks most often.
    pub(super) fn of(connection: &mut Connection, limit: Duration) -> Result<Patience> {
        let patience = Patience::default();
        patience.set(limit);
        let (limit, mut began) = (patience.clone(), Instant::now());
        connection.busy_handler(Some(move |tries| {
            if tries == 0 {
                began = Instant::now();
            }
            let waited = began.elapsed();
            let left = limit.get().saturating_sub(waited);
            thread::sleep(pause(waited).min(left));
            !left.is_zero()
        }))?;
        Ok(patience)
    }

    pub(super) fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, limit: Duration) {
        self.0.store(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// The pause before the next question: short while there may be few others, then the shorter the longer it has been.
fn pause(waited: Duration) -> Duration {
    Duration::from_millis(match waited.as_millis() {
        0..5 => 1,
        5..100 => 8,
        100..400 => 4,
        _ => 2,
    })
}

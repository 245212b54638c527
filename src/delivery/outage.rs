//! Waiting for a server that is gone.

use std::thread;
use std::time::{Duration, Instant};

use crate::store::StoreError;

/// A server that is gone is waited for so long. Leases outlive it.
const LONGEST_OUTAGE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// Asks again while a server is gone, for a while.
pub(super) fn patiently<T>(mut ask: impl FnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    let started = Instant::now();
    loop {
        match ask() {
            Err(error) if wait_out(&error, started) => {}
            done => return done,
        }
    }
}

/// Waits a moment where a server is gone, and not for too long since `started`; whether it did.
pub fn wait_out(error: &StoreError, started: Instant) -> bool {
    let is_outage = matches!(error, StoreError::Unavailable(_)) && started.elapsed() < LONGEST_OUTAGE;
    if is_outage {
        thread::sleep(PAUSE);
    }
    is_outage
}

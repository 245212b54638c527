//! Waiting for what other processes do.

use std::thread;
use std::time::{Duration, Instant};

/// How long something may take on a machine that does much else.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until the condition holds; where it does not within a minute, the test fails and says what did not happen.
#[track_caller]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(1);
    while !holds() {
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain until {what}");
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

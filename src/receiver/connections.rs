//! The open connections of a receiver, so that it can end them all at once.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Connections served at the same time; one more is answered 503.
pub const LIMIT: usize = 128;

/// The open connections, until they are all ended for good.
#[derive(Default)]
pub struct Connections {
    open: Mutex<Open>,
    ended: Condvar,
}

#[derive(Default)]
struct Open {
    streams: HashMap<u64, TcpStream>,
    next: u64,
    ended: bool,
}

/// What becomes of a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served, under this key.
    Served(u64),
    /// There are too many.
    Full,
    /// There will be no more.
    Ended,
}

impl Connections {
    /// Registers a connection.
    pub fn admit(&self, stream: &TcpStream) -> Admission {
        let mut open = self.lock();
        if open.ended {
            return Admission::Ended;
        }
        let Ok(handle) = stream.try_clone() else { return Admission::Full };
        if open.streams.len() >= LIMIT {
            return Admission::Full;
        }
        open.next += 1;
        let key = open.next;
        open.streams.insert(key, handle);
        Admission::Served(key)
    }

    /// Forgets a connection that is over.
    pub fn forget(&self, key: u64) {
        self.lock().streams.remove(&key);
    }

    /// Ends every connection, and lets no new one in.
    pub fn end(&self) {
        let mut open = self.lock();
        open.ended = true;
        for stream in open.streams.values() {
            // One that is already gone cannot be shut down, and need not be.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.ended.notify_all();
    }

    /// Whether they are all ended.
    pub fn are_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits that long, and says whether the connections are still open; ending them ends the wait.
    pub fn still_open_after(&self, wait: Duration) -> bool {
        if wait.is_zero() {
            return true;
        }
        let waited = self.ended.wait_timeout_while(self.lock(), wait, |open| !open.ended);
        !waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

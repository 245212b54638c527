//! The open connections of a receiver, so that it can close them all.

use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The most open connections; one more is answered 503.
pub const LIMIT: usize = 128;

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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served; its key.
    Served(u64),
    Full,
    Ended,
}

impl Connections {
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

    pub fn forget(&self, key: u64) {
        self.lock().streams.remove(&key);
    }

    /// Closes every connection and refuses new ones.
    pub fn end(&self) {
        let mut open = self.lock();
        open.ended = true;
        for stream in open.streams.values() {
            // Shutting down fails if the connection has ended, which is fine.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.ended.notify_all();
    }

    pub fn are_ended(&self) -> bool {
        self.lock().ended
    }

    /// Waits, at most until the connections are closed; whether they are still open.
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

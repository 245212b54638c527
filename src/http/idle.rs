//! Idle connections of the whole process: bounded, closed by age, and given only to the client that opened them.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::transport::Transport;

/// Shorter than the keep-alive of common servers (2 to 75 s): most connections are closed here before they are closed there.
pub const LONGEST_IDLE: Duration = Duration::from_millis(1_500);

/// Which requests may use a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The client that opened it. A client stands for one address policy and one set of roots.
    client: u64,
    is_tls: bool,
    authority: Option<Authority>,
}

impl Key {
    pub fn new(client: u64, uri: &Uri) -> Key {
        Key { client, is_tls: uri.scheme_str() == Some("https"), authority: uri.authority().cloned() }
    }
}

/// Idle connections, the longest idle first.
#[derive(Debug)]
pub struct IdlePool {
    most: usize,
    longest: Duration,
    clients: AtomicU64,
    idle: Mutex<VecDeque<Idle>>,
}

#[derive(Debug)]
struct Idle {
    key: Key,
    since: Instant,
    transport: Box<dyn Transport>,
}

impl IdlePool {
    /// Holds `most` connections at the most, each for `longest`.
    pub fn new(most: usize, longest: Duration) -> IdlePool {
        IdlePool { most, longest, clients: AtomicU64::new(0), idle: Mutex::default() }
    }

    /// A number that no other client of this pool has.
    pub fn next_client(&self) -> u64 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    /// The connection that was used last, if one is still open.
    pub fn take(&self, key: &Key) -> Option<Box<dyn Transport>> {
        self.close_old();
        loop {
            let mut taken = {
                let mut idle = self.lock();
                let newest = idle.iter().rposition(|idle| idle.key == *key)?;
                idle.remove(newest)?
            };
            if taken.transport.is_open() {
                return Some(taken.transport);
            }
        }
    }

    pub fn put(&self, key: Key, transport: Box<dyn Transport>) {
        let mut idle = self.lock();
        idle.push_back(Idle { key, since: Instant::now(), transport });
        let old = self.count_old(&idle);
        close_first(old.max(idle.len().saturating_sub(self.most)), idle);
    }

    pub fn close_old(&self) {
        let idle = self.lock();
        close_first(self.count_old(&idle), idle);
    }

    fn count_old(&self, idle: &VecDeque<Idle>) -> usize {
        idle.iter().take_while(|idle| idle.since.elapsed() >= self.longest).count()
    }

    /// Closes what a client opened.
    pub fn close_of(&self, client: u64) {
        let mut idle = self.lock();
        let (closed, kept): (VecDeque<Idle>, VecDeque<Idle>) =
            idle.drain(..).partition(|idle| idle.key.client == client);
        *idle = kept;
        drop(idle);
        drop(closed);
    }

    /// Closes every idle connection; true if there was one.
    pub fn close_all(&self) -> bool {
        let idle = self.lock();
        let count = idle.len();
        close_first(count, idle);
        count > 0
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.lock().len()
    }
}

/// Closing takes a system call, so the lock is released first.
fn close_first(count: usize, mut idle: MutexGuard<'_, VecDeque<Idle>>) {
    let closed: Vec<Idle> = idle.drain(..count).collect();
    drop(idle);
    drop(closed);
}

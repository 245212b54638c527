//! The pool of idle keep-alive connections of the process: limited in number and age. A connection is reused only by the
//! client that opened it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::http::uri::Authority;
use ureq::unversioned::transport::Transport;

/// Shorter than the keep-alive time-out of common servers (2 to 75 s), so that we usually close first.
pub const LONGEST_IDLE: Duration = Duration::from_millis(1_500);

/// Which requests may use a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The client that opened it, and with it its address policy and its trusted roots.
    client: u64,
    is_tls: bool,
    authority: Option<Authority>,
}

impl Key {
    pub fn new(client: u64, uri: &Uri) -> Key {
        Key { client, is_tls: uri.scheme_str() == Some("https"), authority: uri.authority().cloned() }
    }
}

/// Ordered by how long they have been idle, longest first.
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
    /// A pool of at most `most` connections, each idle for at most `longest`.
    pub fn new(most: usize, longest: Duration) -> IdlePool {
        IdlePool { most, longest, clients: AtomicU64::new(0), idle: Mutex::default() }
    }

    /// A new client number, unique in this pool.
    pub fn next_client(&self) -> u64 {
        self.clients.fetch_add(1, Ordering::Relaxed)
    }

    /// The most recently used connection that is still open.
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

    /// Closes the connections of one client.
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

/// Closing is a system call, so the lock is released first.
fn close_first(count: usize, mut idle: MutexGuard<'_, VecDeque<Idle>>) {
    let closed: Vec<Idle> = idle.drain(..count).collect();
    drop(idle);
    drop(closed);
}

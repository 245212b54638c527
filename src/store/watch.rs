//! Wakes a drain that waits for work: a server notifies it at once; with a file it looks again after its pause.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::postgres::Bell;
use super::value::{params, values};
use super::{Engine, Result, Store};
use crate::domain::time::Timestamp;

/// How long it may take to notice a stop.
const GLANCE: Duration = Duration::from_millis(100);

/// Wakes waiting processes, if there are any. Part of the transaction that creates deliveries.
const WAKE: &str = "SELECT pg_notify('hookctl', '') FROM (SELECT 1 FROM watchers WHERE asleep_until > $1 LIMIT 1) w";

/// Registers this process as waiting until it is dropped.
#[derive(Debug)]
pub struct Sleep<'a> {
    store: &'a Store,
    watcher: Option<i64>,
}

impl Store {
    /// Registers that this process is about to wait, until `until` at the latest. Deliveries created from now on wake it, so
    /// look for work once more before [`Sleep::wait`].
    pub fn fall_asleep(&self, until: Timestamp) -> Result<Sleep<'_>> {
        let watcher = match &self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(server) => {
                server.listen()?;
                self.insert("INSERT INTO watchers (asleep_until) VALUES ($1)", params![until])?
            }
        };
        Ok(Sleep { store: self, watcher })
    }

    /// Wakes waiting processes. In a transaction it takes no round trip of its own.
    pub fn wake_sleepers(&self, now: Timestamp) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(_) => self.execute_each(WAKE, [values![now]]),
        }
    }
}

/// Wakes a thread in [`Sleep::wait`] from another thread. The waiting thread then looks for work itself.
#[derive(Clone, Debug)]
pub enum Ringer {
    Thread(thread::Thread),
    Bell(Option<Arc<Bell>>),
}

impl Ringer {
    pub fn ring(&self) {
        match self {
            Ringer::Thread(thread) => thread.unpark(),
            Ringer::Bell(bell) => bell.iter().for_each(|bell| bell.ring()),
        }
    }
}

impl Store {
    /// The handle that wakes this thread.
    pub fn ringer(&self) -> Ringer {
        match &self.engine {
            Engine::Sqlite(_) => Ringer::Thread(thread::current()),
            Engine::Postgres(server) => Ringer::Bell(server.bell()),
        }
    }
}

impl Sleep<'_> {
    /// Waits until there may be work, `pause` has passed, or `is_over` returns true.
    pub fn wait(&self, pause: Duration, is_over: impl Fn() -> bool) -> Result<()> {
        let started = Instant::now();
        loop {
            let left = pause.saturating_sub(started.elapsed());
            if left.is_zero() || is_over() {
                return Ok(());
            }
            match &self.store.engine {
                Engine::Sqlite(_) => thread::park_timeout(left.min(GLANCE)),
                Engine::Postgres(server) if server.wait_for_bell(left.min(GLANCE))? => return Ok(()),
                Engine::Postgres(_) => {}
            }
        }
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        if let Some(watcher) = self.watcher {
            // If the server is gone, the row stays and expires.
            let _ = self.store.execute("DELETE FROM watchers WHERE id = $1", params![watcher]);
        }
    }
}

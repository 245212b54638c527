//! Waking a drain that waits for work. A server wakes it as soon as there is some; over a file it looks again after its pause.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use super::postgres::Bell;
use super::value::{params, values};
use super::{Engine, Result, Store};
use crate::domain::time::Timestamp;

/// A stop is noticed within this time.
const GLANCE: Duration = Duration::from_millis(100);

/// Wakes those who wait, if somebody does. A part of the transaction that makes work for them.
const WAKE: &str = "SELECT pg_notify('hookctl', '') FROM (SELECT 1 FROM watchers WHERE asleep_until > $1 LIMIT 1) w";

/// This process waits, as others see; until it is dropped.
#[derive(Debug)]
pub struct Sleep<'a> {
    store: &'a Store,
    watcher: Option<i64>,
}

impl Store {
    /// Says that this process is about to wait, until `until` at the latest. What is accepted from now on wakes it: look once
    /// more for work before [`Sleep::wait`].
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

    /// Wakes the processes that wait. Nothing where nobody does, at the cost of no round trip in a transaction.
    pub fn wake_sleepers(&self, now: Timestamp) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(_) => Ok(()),
            Engine::Postgres(_) => self.execute_each(WAKE, [values![now]]),
        }
    }
}

/// Wakes this thread from [`Sleep::wait`], from another one. Whoever waits looks at what it waits for by itself.
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
    /// What wakes this thread.
    pub fn ringer(&self) -> Ringer {
        match &self.engine {
            Engine::Sqlite(_) => Ringer::Thread(thread::current()),
            Engine::Postgres(server) => Ringer::Bell(server.bell()),
        }
    }
}

impl Sleep<'_> {
    /// Waits until there may be work, `pause` is over, or `is_over` says so.
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
            // One that stays because the server is gone ends by its time.
            let _ = self.store.execute("DELETE FROM watchers WHERE id = $1", params![watcher]);
        }
    }
}

//! Deleting from the log in short transactions with pauses between them, so that nobody waits long for the lock.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::signals::Stop;
use crate::store::{PRUNE_START, PruneFilter, Removed, Store, StoreError};

/// So many rows go in one transaction.
const GROUP: u64 = 200;
/// The same where each may make the next one needless.
const SMALL_GROUP: u64 = 50;
/// After each transaction the lock is free for so long, and at least for as long as the transaction took: others that wait for
/// it look for it about as often.
const PAUSE: Duration = Duration::from_millis(5);

pub struct Pruning<'a> {
    store: &'a Store,
    stop: &'a Stop,
    /// When to leave the rest for another time.
    end: Option<Instant>,
    pub removed: Removed,
}

impl<'a> Pruning<'a> {
    pub fn new(store: &'a Store, stop: &'a Stop, end: Option<Instant>) -> Pruning<'a> {
        Pruning { store, stop, end, removed: Removed::default() }
    }

    /// Whether it ended before everything was deleted.
    pub fn is_cut(&self) -> bool {
        self.stop.is_asked() || self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Deletes the deliveries that a filter means, and what is in the events that lost their last one.
    pub fn deliveries(&mut self, filter: &PruneFilter, mut show: impl FnMut(u64)) -> Result<()> {
        let mut cursor = PRUNE_START;
        while !self.is_cut() {
            // Looked for without the lock; whoever was retried since is not finished any more, and stays.
            let (ids, last) = self.store.prunable_deliveries(filter, cursor, GROUP)?;
            if ids.is_empty() {
                break;
            }
            cursor = last;
            self.slice(|store| store.prune_deliveries(&ids))?;
            show(self.removed.deliveries);
        }
        Ok(())
    }

    /// Deletes what is in the events accepted before `before` that have no delivery.
    pub fn events(&mut self, before: Timestamp) -> Result<()> {
        let mut cursor = PRUNE_START;
        while !self.is_cut() {
            let (events, last) = self.store.bare_events(before, cursor, GROUP)?;
            if events.is_empty() {
                break;
            }
            cursor = last;
            self.slice(|store| store.prune_events(&events))?;
        }
        Ok(())
    }

    /// Deletes what a policy lets go at `now`.
    pub fn apply(&mut self, policy: Policy, now: Timestamp) -> Result<()> {
        for (statuses, before) in policy.by_age(now) {
            self.deliveries(&PruneFilter { before, statuses }, |_| {})?;
        }
        if let Some(keep) = policy.keep_ms {
            self.events(now.plus_millis(-keep))?;
        }
        if let Some(most) = policy.max_bytes {
            self.shrink_to(most as u64, now)?;
        }
        Ok(())
    }

    /// Deletes the oldest finished deliveries, and then the oldest events without any, while the database holds more.
    fn shrink_to(&mut self, most: u64, now: Timestamp) -> Result<()> {
        let filter = PruneFilter { before: now.plus_millis(1), statuses: Vec::new() };
        let (mut cursor, mut bare_cursor) = (PRUNE_START, PRUNE_START);
        while !self.is_cut() && self.store.used_bytes()?.is_some_and(|used| used > most) {
            let (ids, last) = self.store.prunable_deliveries(&filter, cursor, SMALL_GROUP)?;
            if !ids.is_empty() {
                cursor = last;
                self.slice(|store| store.prune_deliveries(&ids))?;
                continue;
            }
            let (events, last) = self.store.bare_events(filter.before, bare_cursor, SMALL_GROUP)?;
            if events.is_empty() {
                break;
            }
            bare_cursor = last;
            self.slice(|store| store.prune_events(&events))?;
        }
        Ok(())
    }

    fn slice(&mut self, work: impl FnOnce(&Store) -> Result<Removed, StoreError>) -> Result<()> {
        let began = Instant::now();
        let removed = self.store.transaction(|| work(self.store))?;
        self.removed.deliveries += removed.deliveries;
        self.removed.events += removed.events;
        std::thread::sleep(began.elapsed().max(PAUSE));
        Ok(())
    }
}

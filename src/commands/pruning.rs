//! Deletes from the log in short transactions with pauses between them, so that the lock is held for a short time.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::domain::policy::Policy;
use crate::domain::time::Timestamp;
use crate::signals::Stop;
use crate::store::{PRUNE_START, PruneFilter, Removed, Store, StoreError};

/// How many rows one transaction deletes.
const GROUP: u64 = 200;
/// The same when the database is to shrink to a size.
const SMALL_GROUP: u64 = 50;
/// The pause after each transaction, and at least as long as the transaction took: other processes poll for the lock about
/// this often.
const PAUSE: Duration = Duration::from_millis(5);

pub struct Pruning<'a> {
    store: &'a Store,
    stop: &'a Stop,
    /// When to stop.
    end: Option<Instant>,
    pub removed: Removed,
}

impl<'a> Pruning<'a> {
    pub fn new(store: &'a Store, stop: &'a Stop, end: Option<Instant>) -> Pruning<'a> {
        Pruning { store, stop, end, removed: Removed::default() }
    }

    /// Whether it was stopped before everything was deleted.
    pub fn is_cut(&self) -> bool {
        self.stop.is_asked() || self.end.is_some_and(|end| Instant::now() >= end)
    }

    /// Deletes the deliveries that match a filter, and the contents of events that lost their last one.
    pub fn deliveries(&mut self, filter: &PruneFilter, mut show: impl FnMut(u64)) -> Result<()> {
        let mut cursor = PRUNE_START;
        while !self.is_cut() {
            // Read without the lock; a delivery that was retried since then is not finished, and is kept.
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

    /// Deletes the contents of events without a delivery that were accepted before `before`.
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

    /// Deletes the oldest finished deliveries, then the oldest events without any, until the database is small enough.
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

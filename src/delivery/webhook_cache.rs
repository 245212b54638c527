//! Webhooks made ready for sending, kept while their settings stay as they are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::prepared::{Clients, Prepared};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::store::{StateRead, Store, StoreError};

/// A webhook is made ready anew after this long: secrets end with their overlap.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// The webhooks of a run, made ready for sending.
#[derive(Debug)]
pub(super) struct WebhookCache {
    clients: Clients,
    snapshots: HashMap<i64, WebhookSnapshot>,
    /// Webhooks that were to be made ready, and whose key is not there.
    locked_out: HashMap<i64, StoreError>,
}

#[derive(Debug)]
struct WebhookSnapshot {
    webhook: Arc<Prepared>,
    made_at: Instant,
}

impl WebhookCache {
    pub(super) fn new(clients: Clients) -> WebhookCache {
        WebhookCache { clients, snapshots: HashMap::new(), locked_out: HashMap::new() }
    }

    /// The webhook with its settings and secrets of that version. `None` when it was deleted.
    pub(super) fn get(
        &mut self,
        store: &Store,
        id: i64,
        version: i64,
        now: Timestamp,
    ) -> Result<Option<Arc<Prepared>>, StoreError> {
        if !self.is_ready(id, version) && !self.locked_out.contains_key(&id) {
            self.load(store, &[id], now)?;
        }
        self.prepared(id)
    }

    /// Whether the webhook is ready, with its settings and secrets of that version.
    pub(super) fn is_ready(&self, id: i64, version: i64) -> bool {
        let snapshot = self.snapshots.get(&id);
        snapshot.is_some_and(|snapshot| snapshot.webhook.version == version && snapshot.made_at.elapsed() < KEPT_FOR)
    }

    /// A webhook that [`WebhookCache::load`] was to make ready; `None` when it was deleted.
    pub(super) fn prepared(&mut self, id: i64) -> Result<Option<Arc<Prepared>>, StoreError> {
        match self.locked_out.remove(&id) {
            Some(error) => Err(error),
            None => Ok(self.snapshots.get(&id).map(|snapshot| Arc::clone(&snapshot.webhook))),
        }
    }

    /// Makes webhooks ready with their settings and secrets of now; those that were deleted are forgotten. Gives the states that
    /// they were found in.
    pub(super) fn load(&mut self, store: &Store, ids: &[i64], now: Timestamp) -> Result<Vec<StateRead>, StoreError> {
        // Its connections are closed with the snapshot, when no other webhook shares them.
        ids.iter().for_each(|id| drop(self.snapshots.remove(id)));
        let mut states = Vec::with_capacity(ids.len());
        for outgoing in store.outgoing(ids, now)? {
            let Webhook { id, version, health, .. } = &outgoing.webhook;
            let id = *id;
            states.push((id, health.clone(), *version));
            match Prepared::new(outgoing, &mut self.clients) {
                Ok(webhook) => {
                    let snapshot = WebhookSnapshot { webhook: Arc::new(webhook), made_at: Instant::now() };
                    self.snapshots.insert(id, snapshot);
                }
                Err(error) => drop(self.locked_out.insert(id, error)),
            }
        }
        Ok(states)
    }

    /// Forgets webhooks that were made ready long ago, and closes connections that were idle for too long.
    pub(super) fn tidy(&mut self) {
        self.snapshots.retain(|_, snapshot| snapshot.made_at.elapsed() < KEPT_FOR);
        self.clients.tidy();
    }

    /// The version of the settings by which a webhook's deliveries are claimed now.
    pub(super) fn version(&self, id: i64) -> Option<i64> {
        Some(self.snapshots.get(&id)?.webhook.version)
    }
}

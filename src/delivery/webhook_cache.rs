//! Webhooks made ready for sending, kept while their settings stay as they are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::prepared::{Clients, Prepared};
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

/// A webhook is made ready anew after this long: secrets end with their overlap.
const KEPT_FOR: Duration = Duration::from_secs(60);

/// The webhooks of a run, made ready for sending.
#[derive(Debug)]
pub(super) struct WebhookCache {
    clients: Clients,
    snapshots: HashMap<i64, WebhookSnapshot>,
}

#[derive(Debug)]
struct WebhookSnapshot {
    webhook: Arc<Prepared>,
    made_at: Instant,
}

impl WebhookCache {
    pub(super) fn new(clients: Clients) -> WebhookCache {
        WebhookCache { clients, snapshots: HashMap::new() }
    }

    /// The webhook with its settings and secrets of that version. `None` when it was deleted.
    pub(super) fn get(
        &mut self,
        store: &Store,
        id: i64,
        version: i64,
        now: Timestamp,
    ) -> Result<Option<Arc<Prepared>>, StoreError> {
        if let Some(snapshot) = self.snapshots.get(&id)
            && snapshot.webhook.version == version
            && snapshot.made_at.elapsed() < KEPT_FOR
        {
            return Ok(Some(Arc::clone(&snapshot.webhook)));
        }
        self.fresh(store, id, now)
    }

    /// The webhook with its settings and secrets of now.
    pub(super) fn fresh(
        &mut self,
        store: &Store,
        id: i64,
        now: Timestamp,
    ) -> Result<Option<Arc<Prepared>>, StoreError> {
        // Its connections are closed with the snapshot, when no other webhook shares them.
        self.snapshots.remove(&id);
        let Some(webhook) = store.webhook(id)? else { return Ok(None) };
        let webhook = Arc::new(Prepared::new(store, webhook, &mut self.clients, now)?);
        self.snapshots.insert(id, WebhookSnapshot { webhook: Arc::clone(&webhook), made_at: Instant::now() });
        Ok(Some(webhook))
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

//! What deliveries make of their webhooks, in one transaction: read once, changed in memory, written once.

use std::collections::BTreeMap;

use crate::domain::webhook::{Counters, Health};
use crate::store::{HealthChange, Store, StoreError};

/// A webhook's state as a transaction found it and changed it.
#[derive(Clone, Debug)]
pub(super) struct WebhookState {
    pub health: Health,
    /// The version of its settings and secrets.
    pub version: i64,
    /// What is added to its counters.
    pub counted: Counters,
    is_changed: bool,
}

/// The states of the webhooks that a transaction touches, by id; those that were deleted are missing.
#[derive(Debug, Default)]
pub(super) struct WebhookStates(BTreeMap<i64, Option<WebhookState>>);

impl WebhookStates {
    /// Reads the states of those webhooks that were not read yet.
    pub(super) fn load(&mut self, store: &Store, ids: impl IntoIterator<Item = i64>) -> Result<(), StoreError> {
        let mut missing: Vec<i64> = ids.into_iter().filter(|id| !self.0.contains_key(id)).collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        self.0.extend(missing.iter().map(|id| (*id, None)));
        for (id, health, version) in store.healths(&missing)? {
            let state = WebhookState { health, version, counted: Counters::default(), is_changed: false };
            self.0.insert(id, Some(state));
        }
        Ok(())
    }

    /// The state of a webhook that was loaded; `None` when it was deleted.
    pub(super) fn get(&self, id: i64) -> Option<&WebhookState> {
        self.0.get(&id)?.as_ref()
    }

    /// The same, to be changed and saved.
    pub(super) fn change(&mut self, id: i64) -> Option<&mut WebhookState> {
        let state = self.0.get_mut(&id)?.as_mut()?;
        state.is_changed = true;
        Some(state)
    }

    /// Writes what was changed, in the order of ids.
    pub(super) fn save(&self, store: &Store) -> Result<(), StoreError> {
        let changed = self.0.iter().filter_map(|(id, state)| Some((*id, state.as_ref()?)));
        let changes: Vec<HealthChange<'_>> = changed
            .filter(|(_, state)| state.is_changed)
            .map(|(id, state)| HealthChange { webhook_id: id, health: &state.health, counted: state.counted })
            .collect();
        store.save_healths(&changes)
    }
}

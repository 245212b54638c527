//! The states of webhooks during one transaction: read once, changed in memory, written once.

use std::collections::BTreeMap;

use crate::domain::webhook::{Counters, Health};
use crate::store::{HealthChange, StateRead};

/// A webhook's state, with the changes of the transaction.
#[derive(Debug)]
pub(super) struct WebhookState {
    pub health: Health,
    /// As it was found.
    before: Health,
    /// The version of its settings and secrets.
    pub version: i64,
    /// What is added to its counters.
    pub counted: Counters,
    is_changed: bool,
}

/// The states of the webhooks of a transaction, by id. Deleted webhooks are not in it.
#[derive(Debug, Default)]
pub(super) struct WebhookStates(BTreeMap<i64, WebhookState>);

impl WebhookStates {
    pub(super) fn new(read: impl IntoIterator<Item = StateRead>) -> WebhookStates {
        let state = |(id, health, version): StateRead| {
            let before = health.clone();
            (id, WebhookState { health, before, version, counted: Counters::default(), is_changed: false })
        };
        WebhookStates(read.into_iter().map(state).collect())
    }

    /// The state of a webhook that was read; `None` if it was deleted.
    pub(super) fn get(&self, id: i64) -> Option<&WebhookState> {
        self.0.get(&id)
    }

    /// The same for changing it: it will be saved.
    pub(super) fn change(&mut self, id: i64) -> Option<&mut WebhookState> {
        let state = self.0.get_mut(&id)?;
        state.is_changed = true;
        Some(state)
    }

    /// All of them, as this transaction leaves them.
    pub(super) fn reads(&self) -> impl Iterator<Item = StateRead> {
        self.0.iter().map(|(id, state)| (*id, state.health.clone(), state.version))
    }

    /// The changed states, in the order of ids.
    pub(super) fn changes(&self) -> Vec<HealthChange<'_>> {
        let changed = self.0.iter().filter(|(_, state)| state.is_changed);
        changed
            .map(|(id, state)| HealthChange {
                webhook_id: *id,
                health: &state.health,
                before: &state.before,
                counted: state.counted,
            })
            .collect()
    }
}

//! The states of webhooks as this process last saw them. Where they still stand when results are recorded, nothing has to be
//! read first.

use std::collections::BTreeMap;

use super::job::EndedJob;
use super::webhook_states::WebhookStates;
use crate::store::StateRead;

/// States by webhook.
#[derive(Debug, Default)]
pub(super) struct KnownStates(BTreeMap<i64, StateRead>);

impl KnownStates {
    pub(super) fn learn(&mut self, states: impl IntoIterator<Item = StateRead>) {
        self.0.extend(states.into_iter().map(|state| (state.0, state)));
    }

    /// The states of all webhooks that a group is about, in the order of ids; `None` where one is not known.
    pub(super) fn of(&self, group: &[EndedJob]) -> Option<Vec<StateRead>> {
        let mut webhooks: Vec<i64> = group.iter().map(|ended| ended.job.claimed.webhook_id).collect();
        webhooks.sort_unstable();
        webhooks.dedup();
        webhooks.into_iter().map(|id| self.0.get(&id).cloned()).collect()
    }

    /// Follows what a transaction made of them. What claims cost some of these webhooks only the store knows.
    pub(super) fn follow(&mut self, states: &WebhookStates, charged: &[i64]) {
        self.learn(states.reads());
        charged.iter().for_each(|id| drop(self.0.remove(id)));
    }

    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

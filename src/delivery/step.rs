//! One write transaction of a run.

use super::webhook_states::WebhookStates;
use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::random::Random;
use crate::store::Store;

/// What recording and claiming in one transaction share.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub store: &'a Store,
    pub random: &'a mut Random,
    pub clock: Clock,
    pub states: WebhookStates,
}

impl Step<'_> {
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

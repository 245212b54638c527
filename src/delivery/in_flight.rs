//! Deliveries in flight: claimed and not yet recorded.

use std::collections::HashMap;

use super::job::Job;

/// Counts the deliveries in flight, by webhook, and the bytes of their payloads.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    by_webhook: HashMap<i64, usize>,
    total: usize,
    bytes: usize,
}

impl InFlight {
    pub(super) fn enter(&mut self, job: &Job) {
        *self.by_webhook.entry(job.claimed.webhook_id).or_default() += 1;
        self.total += 1;
        self.bytes += job.payload.bytes.len();
    }

    pub(super) fn leave(&mut self, job: &Job) {
        let id = job.claimed.webhook_id;
        let Some(count) = self.by_webhook.get_mut(&id) else { return };
        *count -= 1;
        if *count == 0 {
            self.by_webhook.remove(&id);
        }
        self.total -= 1;
        self.bytes -= job.payload.bytes.len();
    }

    pub(super) fn of(&self, webhook_id: i64) -> usize {
        self.by_webhook.get(&webhook_id).copied().unwrap_or(0)
    }

    pub(super) fn webhooks(&self) -> impl Iterator<Item = i64> {
        self.by_webhook.keys().copied()
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.total == 0
    }
}

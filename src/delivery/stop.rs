//! Ending early: what was claimed and not begun is given back, what is under way is waited for, or recorded as cut off.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::claim::is_blocked;
use super::engine::{Engine, Gates, STOP_GRACE};
use super::prepared::{failed, millis};
use super::queue::Job;
use super::record::{EndedJob, Ending};
use crate::domain::attempt::{Attempt, ErrorType};
use crate::store::StoreError;

/// How long a worker may take to hand in a result that it has.
const HAND_IN: Duration = Duration::from_millis(200);

impl Engine<'_> {
    /// The program was asked to stop: records what comes in within a moment, and the rest as cut off.
    pub(super) fn stop(&mut self, mut group: Vec<EndedJob>) -> Result<(), StoreError> {
        let end = Instant::now() + STOP_GRACE;
        self.give_back(None, Vec::new())?;
        while self.in_flight.values().sum::<usize>() > group.len() {
            match self.results.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(ended) => group.push(ended),
                Err(_) => break,
            }
        }
        for (job, since) in self.queue.abandon_running() {
            let attempt = self.cut_off(&job, since);
            group.push(EndedJob { job, ending: Ending::Interrupted(attempt) });
        }
        // Workers that were done but had not yet handed in what they brought: a matter of microseconds.
        let end = Instant::now() + HAND_IN;
        while self.in_flight.values().sum::<usize>() > group.len() {
            match self.results.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(ended) => group.push(ended),
                Err(_) => break,
            }
        }
        self.lanes.clear();
        self.draining = None;
        self.record_only(&group)
    }

    /// Gives back the jobs that no worker has begun, of all webhooks or of one, and records `group` with them.
    pub(super) fn give_back(&mut self, webhook_id: Option<i64>, mut group: Vec<EndedJob>) -> Result<(), StoreError> {
        let unsent = self.queue.take_back(webhook_id);
        group.extend(unsent.into_iter().map(|job| EndedJob { job, ending: Ending::Unsent }));
        if group.is_empty() {
            return Ok(());
        }
        self.record_only(&group)
    }

    /// After a group: a webhook that was disabled, held or paused by it gets back what it had claimed ahead.
    pub(super) fn take_back_blocked(&mut self, group: &[EndedJob]) -> Result<(), StoreError> {
        if self.setup.gates == Gates::Ignore {
            return Ok(());
        }
        let now = self.setup.clock.now();
        let is_failure = |ended: &&EndedJob| match &ended.ending {
            Ending::Attempted(attempt) => attempt.outcome.error.is_some(),
            Ending::Interrupted(_) | Ending::Unsent => false,
        };
        let mut failing: Vec<_> = group.iter().filter(is_failure).map(|ended| &ended.job.webhook).collect();
        failing.dedup_by_key(|webhook| webhook.webhook_id);
        for webhook in failing {
            let id = webhook.webhook_id;
            if !self.in_flight.contains_key(&id) {
                continue;
            }
            if self.store.health(id)?.is_some_and(|(health, _)| is_blocked(webhook, &health, now)) {
                self.give_back(Some(id), Vec::new())?;
            }
        }
        Ok(())
    }

    /// Takes back what was claimed ahead for webhooks that were disabled, deleted or changed since, by anybody: nothing goes
    /// out by settings that no longer count.
    pub(super) fn take_back_outdated(&mut self) -> Result<(), StoreError> {
        let now = self.setup.clock.now();
        let webhooks: Vec<i64> = self.in_flight.keys().copied().collect();
        for id in webhooks {
            let Some((webhook, _)) = self.prepared.get(&id) else { continue };
            let webhook = Arc::clone(webhook);
            let health = self.store.health(id)?;
            let is_gone = health.is_none();
            let is_changed = health.as_ref().is_some_and(|(_, version)| *version != webhook.version);
            let is_stopped = self.setup.gates == Gates::Respect
                && health.is_some_and(|(health, _)| is_blocked(&webhook, &health, now));
            if is_gone || is_changed || is_stopped {
                let unsent = self.queue.take_back(Some(id));
                let group: Vec<EndedJob> =
                    unsent.into_iter().map(|job| EndedJob { job, ending: Ending::Unsent }).collect();
                if group.is_empty() {
                    continue;
                }
                self.record_only(&group)?;
                if is_changed {
                    self.want_again(&group);
                }
            }
        }
        Ok(())
    }

    fn cut_off(&self, job: &Job, since: Instant) -> Attempt {
        let duration_ms = millis(since.elapsed());
        let completed_at = self.setup.clock.now();
        Attempt {
            number: job.claimed.attempt_number,
            trigger: job.claimed.trigger,
            started_at: if self.setup.clock.is_fixed() { completed_at } else { completed_at.plus_millis(-duration_ms) },
            completed_at,
            duration_ms,
            outcome: failed(
                ErrorType::UnknownError,
                "cut off: hookctl was asked to stop before the answer came; the receiver may have seen the request"
                    .to_owned(),
            ),
        }
    }
}

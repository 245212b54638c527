//! Recording what attempts brought: one group, one transaction.

use std::collections::HashMap;

use serde_json::json;

use super::accept::Announcer;
use super::queue::Job;
use crate::domain::attempt::Attempt;
use crate::domain::delivery::{self, Ended, Settlement, Status};
use crate::domain::event_type::{DELIVERY_FAILED, WEBHOOK_DISABLED, WEBHOOK_TEST};
use crate::domain::statistics::duration_bound;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, Health};
use crate::random::Random;
use crate::store::{AttemptCount, Recorded, Store, StoreError};

/// A job that a worker, or the end of the run, is done with.
#[derive(Debug)]
pub(super) struct EndedJob {
    /// The job.
    pub job: Job,
    /// How it ended.
    pub ending: Ending,
}

impl EndedJob {
    /// Whether the receiver answered, whatever it said.
    pub(super) fn is_answered(&self) -> bool {
        matches!(&self.ending, Ending::Attempted(attempt) if attempt.outcome.answer.is_some())
    }
}

/// How a job ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// With an attempt.
    Attempted(Attempt),
    /// With an attempt that was cut off because the program was asked to stop: due again at once, at no retry's cost.
    Interrupted(Attempt),
    /// Unsent: its lease had become too short.
    Unsent,
}

/// How many deliveries a group moved to which status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub succeeded: u64,
    pub retrying: u64,
    pub failed: u64,
    /// Given back without an attempt.
    pub released: u64,
    /// Results that came after their lease.
    pub lost: u64,
}

/// Writes a group of results with all that follows from them. Runs in the caller's transaction.
pub(super) fn record(
    store: &Store,
    group: &[EndedJob],
    random: &mut Random,
    now: Timestamp,
) -> Result<Tally, StoreError> {
    let mut group_record = GroupRecord { store, random, now, tally: Tally::default(), webhooks: HashMap::new() };
    for ended in group {
        group_record.record(ended)?;
    }
    group_record.save()
}

struct GroupRecord<'a> {
    store: &'a Store,
    random: &'a mut Random,
    now: Timestamp,
    tally: Tally,
    webhooks: HashMap<i64, WebhookRecord>,
}

struct WebhookRecord {
    health: Health,
    name: String,
    was_active: bool,
    counted: Counters,
    /// The group's attempts, by outcome and bucket of durations.
    attempts: Vec<AttemptCount>,
}

impl WebhookRecord {
    fn count_attempt(&mut self, webhook_id: i64, attempt: &Attempt) {
        let outcome = attempt.outcome.error.as_ref().map_or("success", |error| error.error_type.as_str());
        let bound_ms = duration_bound(attempt.duration_ms);
        let duration_ms = attempt.duration_ms.max(0);
        let alike = |count: &&mut AttemptCount| count.bound_ms == bound_ms && count.outcome == outcome;
        if let Some(count) = self.attempts.iter_mut().find(alike) {
            count.attempts += 1;
            count.duration_ms += duration_ms;
        } else {
            let outcome = outcome.to_owned();
            self.attempts.push(AttemptCount { webhook_id, outcome, bound_ms, attempts: 1, duration_ms });
        }
    }
}

impl GroupRecord<'_> {
    fn record(&mut self, ended: &EndedJob) -> Result<(), StoreError> {
        let job = &ended.job;
        let (attempt, is_interrupted) = match &ended.ending {
            Ending::Unsent => {
                self.tally.released += 1;
                self.give_probe_back(job)?;
                return self.store.release(&job.claimed, self.now);
            }
            Ending::Attempted(attempt) => (attempt, false),
            Ending::Interrupted(attempt) => (attempt, true),
        };
        if self.webhook(job)?.is_none() {
            self.tally.lost += 1;
            return Ok(());
        }
        let retry_count = job.claimed.retry_count;
        let settlement = if is_interrupted && job.claimed.is_test {
            Settlement { status: Status::Failed, due_at: None, retry_count }
        } else if is_interrupted {
            self.give_probe_back(job)?;
            Settlement { status: Status::Retrying, due_at: Some(attempt.completed_at), retry_count }
        } else {
            let ended = Ended {
                outcome: &attempt.outcome,
                at: attempt.completed_at,
                retry_count,
                jitter: 0.0,
                is_test: job.claimed.is_test,
            };
            let jitter = self.random.next_jitter();
            let webhook = self.webhooks.get_mut(&job.claimed.webhook_id).expect("loaded above");
            delivery::settle(&job.webhook.settings, &mut webhook.health, &Ended { jitter, ..ended })
        };
        match self.store.record(&job.claimed, attempt, &settlement)? {
            Recorded::LeaseLost => self.tally.lost += 1,
            Recorded::Written(status) => self.count(job, attempt, status)?,
        }
        Ok(())
    }

    /// A probe that told nothing lets the next one go at once: it holds nothing until the end of its lease.
    fn give_probe_back(&mut self, job: &Job) -> Result<(), StoreError> {
        let now = self.now;
        if job.is_probe
            && let Some(webhook) = self.webhook(job)?
        {
            webhook.health.breaker = webhook.health.breaker.with_probe_allowed(now);
        }
        Ok(())
    }

    /// The state of a job's webhook, read once per group. `None` when the webhook was deleted.
    fn webhook(&mut self, job: &Job) -> Result<Option<&mut WebhookRecord>, StoreError> {
        let id = job.claimed.webhook_id;
        if !self.webhooks.contains_key(&id) {
            let Some((health, _)) = self.store.health(id)? else { return Ok(None) };
            let was_active = health.is_active;
            let name = job.webhook.settings.name.clone();
            let (counted, attempts) = (Counters::default(), Vec::new());
            self.webhooks.insert(id, WebhookRecord { health, name, was_active, counted, attempts });
        }
        Ok(self.webhooks.get_mut(&id))
    }

    fn count(&mut self, job: &Job, attempt: &Attempt, status: Status) -> Result<(), StoreError> {
        let id = job.claimed.webhook_id;
        let webhook = self.webhooks.get_mut(&id).expect("loaded before the attempt was recorded");
        if !job.claimed.is_test {
            webhook.count_attempt(id, attempt);
        }
        match status {
            Status::Success => {
                self.tally.succeeded += 1;
                webhook.counted.successful += i64::from(!job.claimed.is_test);
            }
            Status::Failed => {
                self.tally.failed += 1;
                webhook.counted.failed += i64::from(!job.claimed.is_test);
                self.announce_failed(job, attempt)?;
            }
            Status::Pending | Status::Retrying | Status::Cancelled => self.tally.retrying += 1,
        }
        Ok(())
    }

    fn announce_failed(&mut self, job: &Job, attempt: &Attempt) -> Result<(), StoreError> {
        let about = &job.payload.event_type;
        if job.claimed.is_test || [WEBHOOK_DISABLED, DELIVERY_FAILED, WEBHOOK_TEST].contains(&about.as_str()) {
            return Ok(()); // two receivers that fail would announce each other's failures for ever
        }
        let error = attempt.outcome.error.as_ref();
        let data = json!({
            "delivery_id": job.claimed.id,
            "webhook_id": job.claimed.webhook_id,
            "webhook": job.webhook.settings.name,
            "event_id": job.payload.event_id,
            "event_type": about,
            "attempts": attempt.number,
            "response_status_code": attempt.outcome.answer.as_ref().map(|answer| answer.status),
            "error_type": error.map(|error| error.error_type),
            "error_message": error.map(|error| &error.message),
        });
        let announcer = Announcer { store: self.store, now: self.now };
        announcer.announce(self.random, DELIVERY_FAILED, job.claimed.webhook_id, &data)
    }

    fn save(self) -> Result<Tally, StoreError> {
        for (id, webhook) in self.webhooks {
            self.store.save_health(id, &webhook.health, webhook.counted)?;
            webhook.attempts.iter().try_for_each(|count| self.store.count_attempts(count))?;
            if webhook.was_active && !webhook.health.is_active {
                let data = json!({
                    "webhook_id": id,
                    "webhook": webhook.name,
                    "reason": webhook.health.disabled_reason,
                });
                let announcer = Announcer { store: self.store, now: self.now };
                announcer.announce(self.random, WEBHOOK_DISABLED, id, &data)?;
            }
        }
        Ok(self.tally)
    }
}

//! Decides what the results of a group of attempts change: deliveries, states of webhooks, counters, announcements.

use serde_json::json;

use super::accept::announce;
use super::announcement::{Announcement, FailedDelivery};
use super::job::{EndedJob, Ending, Job};
use super::run::Summary;
use super::step::Step;
use crate::domain::attempt::{Attempt, Trigger};
use crate::domain::delivery::{self, Ended, Settlement, Status};
use crate::domain::event_type::{WEBHOOK_DISABLED, WEBHOOK_FAILING, WEBHOOK_RECOVERED};
use crate::domain::statistics::duration_bound;
use crate::domain::webhook::{FAILURES_TO_REPORT, Health, Order};
use crate::store::{AttemptCount, AttemptResult, ClaimStanding, Claimed, StoreError};

/// The changes that a group of results makes, before they are written. Those of the webhooks' states are in the step.
#[derive(Debug, Default)]
pub(super) struct Recorded<'a> {
    /// Of this group alone.
    pub summary: Summary,
    pub results: Vec<AttemptResult<'a>>,
    pub released: Vec<&'a Claimed>,
    /// Those that could not be sent without a key: they are due again a moment later, behind what can.
    pub locked: Vec<&'a Claimed>,
    pub attempt_counts: Vec<AttemptCount>,
    /// Deliveries that are finished and may have been the head of a line.
    pub ended: Vec<i64>,
    announcements: Vec<Announcement>,
}

/// Settles a group of results. A result whose claim no longer holds changes nothing: the process that holds the delivery
/// now decides.
pub(super) fn settle<'a>(step: &mut Step<'_>, group: &'a [EndedJob]) -> Recorded<'a> {
    let mut recorded = Recorded::default();
    for (ended, standing) in group.iter().zip(std::mem::take(&mut step.standings)) {
        recorded.settle(step, ended, standing);
    }
    recorded
}

impl<'a> Recorded<'a> {
    /// Stores the operational events of the group.
    pub(super) fn store_announcements(&self, step: &mut Step<'_>) -> Result<(), StoreError> {
        let now = step.now();
        announce(step.store, step.random, now, &self.announcements)
    }

    fn settle(&mut self, step: &mut Step<'_>, ended: &'a EndedJob, standing: ClaimStanding) {
        let job = &ended.job;
        let (attempt, is_interrupted) = match &ended.ending {
            Ending::Unsent | Ending::Local(_) | Ending::Locked(_) => return self.give_back(step, ended, standing),
            Ending::Attempted(attempt) => (attempt, false),
            Ending::Interrupted(attempt) => (attempt, true),
        };
        match standing {
            ClaimStanding::Lost => {
                self.summary.lost += 1;
                return;
            }
            ClaimStanding::Recorded(status) => return self.summary.count(status),
            ClaimStanding::Held | ClaimStanding::Cancelled => {}
        }
        let settlement = match is_interrupted {
            true => settle_interrupted(step, job, attempt),
            false => self.settle_attempt(step, job, attempt),
        };
        let Some(settlement) = settlement else {
            self.summary.lost += 1; // the webhook was deleted
            return;
        };
        let settlement = match standing {
            ClaimStanding::Cancelled => settlement.of_cancelled(),
            _ => settlement,
        };
        if settlement.due_at.is_none() && may_be_in_line(step, job) {
            self.ended.push(job.claimed.id);
        }
        self.results.push(AttemptResult { claimed: &job.claimed, attempt, settlement });
        self.count(step, job, attempt, settlement.status);
    }

    /// Settles one attempt and updates the state of its webhook; `None` if the webhook was deleted.
    fn settle_attempt(&mut self, step: &mut Step<'_>, job: &Job, attempt: &Attempt) -> Option<Settlement> {
        let id = job.claimed.webhook_id;
        let jitter = step.random.next_jitter();
        let state = step.states.change(id)?;
        let before = state.health.clone();
        let ended = Ended {
            outcome: &attempt.outcome,
            at: attempt.completed_at,
            retry_count: job.claimed.retry_count,
            free_attempts: free_attempts(&job.claimed),
            jitter,
            is_test: job.claimed.is_test,
        };
        let settlement = delivery::settle(&job.webhook.settings, &mut state.health, &ended);
        let after = state.health.clone();
        self.announce_change(job, attempt, &before, &after);
        Some(settlement)
    }

    /// Announces changes of the webhook's state: failing, recovered, disabled. Each change once.
    fn announce_change(&mut self, job: &Job, attempt: &Attempt, before: &Health, after: &Health) {
        let (id, webhook) = (job.claimed.webhook_id, &job.webhook.settings.name);
        if before.failures < FAILURES_TO_REPORT && after.failures >= FAILURES_TO_REPORT {
            let error = attempt.outcome.error.as_ref();
            let data = json!({
                "webhook_id": id,
                "webhook": webhook,
                "failures": after.failures,
                "failing_since": after.failing_since,
                "response_status_code": attempt.outcome.answer.as_ref().map(|answer| answer.status),
                "error_type": error.map(|error| error.error_type),
                "error_message": error.map(|error| &error.message),
            });
            self.announce(job, WEBHOOK_FAILING, data);
        }
        if before.failures >= FAILURES_TO_REPORT && after.failures == 0 {
            let (failures, since) = (before.failures, before.failing_since);
            let data = json!({ "webhook_id": id, "webhook": webhook, "failures": failures, "failing_since": since });
            self.announce(job, WEBHOOK_RECOVERED, data);
        }
        if before.is_active && !after.is_active {
            let data = json!({ "webhook_id": id, "webhook": webhook, "reason": after.disabled_reason });
            self.announce(job, WEBHOOK_DISABLED, data);
        }
    }

    fn give_back(&mut self, step: &mut Step<'_>, ended: &'a EndedJob, standing: ClaimStanding) {
        if !matches!(standing, ClaimStanding::Held | ClaimStanding::Cancelled) {
            return;
        }
        give_probe_back(step, &ended.job);
        match ended.ending {
            Ending::Locked(_) => self.locked.push(&ended.job.claimed),
            _ => self.released.push(&ended.job.claimed),
        }
    }

    fn count(&mut self, step: &mut Step<'_>, job: &Job, attempt: &Attempt, status: Status) {
        self.summary.count(status);
        let is_counted = !job.claimed.is_test;
        if is_counted {
            self.count_attempt(job.claimed.webhook_id, attempt);
        }
        let is_final = matches!(status, Status::Success | Status::Failed);
        if is_counted
            && is_final
            && let Some(state) = step.states.change(job.claimed.webhook_id)
        {
            state.counted.successful += i64::from(status == Status::Success);
            state.counted.failed += i64::from(status == Status::Failed);
        }
        if is_counted && status == Status::Failed {
            self.announce_failed(job, attempt);
        }
    }

    fn count_attempt(&mut self, webhook_id: i64, attempt: &Attempt) {
        let outcome = attempt.outcome.error.as_ref().map_or("success", |error| error.error_type.as_str());
        let bound_ms = duration_bound(attempt.duration_ms);
        let duration_ms = attempt.duration_ms.max(0);
        let alike = |count: &&mut AttemptCount| {
            count.webhook_id == webhook_id && count.bound_ms == bound_ms && count.outcome == outcome
        };
        if let Some(count) = self.attempt_counts.iter_mut().find(alike) {
            count.attempts += 1;
            count.duration_ms += duration_ms;
        } else {
            let outcome = outcome.to_owned();
            self.attempt_counts.push(AttemptCount { webhook_id, outcome, bound_ms, attempts: 1, duration_ms });
        }
    }

    fn announce_failed(&mut self, job: &Job, attempt: &Attempt) {
        let settings = &job.webhook.settings;
        let failed = FailedDelivery {
            id: job.claimed.id,
            webhook_id: job.claimed.webhook_id,
            webhook: &settings.name,
            owner: settings.owner.as_deref(),
            event_id: &job.payload.event_id,
            event_type: &job.payload.event_type,
            attempts: attempt.number,
            status_code: attempt.outcome.answer.as_ref().map(|answer| answer.status),
            error: attempt.outcome.error.as_ref(),
        };
        self.announcements.extend(failed.announcement());
    }

    fn announce(&mut self, job: &Job, event_type: &'static str, data: serde_json::Value) {
        let (webhook_id, owner) = (job.claimed.webhook_id, job.webhook.settings.owner.clone());
        self.announcements.push(Announcement { event_type, webhook_id, owner, data });
    }
}

/// Whether other deliveries may wait behind this one: if its webhook orders by keys, or was changed since the claim.
fn may_be_in_line(step: &Step<'_>, job: &Job) -> bool {
    let state = step.states.get(job.claimed.webhook_id);
    job.webhook.settings.order == Order::Key || state.is_some_and(|state| state.version != job.webhook.version)
}

/// Earlier attempts that did not count as retries. A retry by hand starts at zero.
fn free_attempts(claimed: &Claimed) -> u32 {
    match claimed.trigger {
        Trigger::Manual | Trigger::Test => 0,
        Trigger::Scheduled => claimed.attempt_number.saturating_sub(1 + claimed.retry_count),
    }
}

/// An interrupted attempt costs no retry: its delivery is due again at once. A test is never retried.
fn settle_interrupted(step: &mut Step<'_>, job: &Job, attempt: &Attempt) -> Option<Settlement> {
    step.states.get(job.claimed.webhook_id)?;
    let retry_count = job.claimed.retry_count;
    if job.claimed.is_test {
        return Some(Settlement { status: Status::Failed, due_at: None, retry_count });
    }
    give_probe_back(step, job);
    Some(Settlement { status: Status::Retrying, due_at: Some(attempt.completed_at), retry_count })
}

/// After a probe without a result the next one may be sent at once, not only when the lease of this one expires.
fn give_probe_back(step: &mut Step<'_>, job: &Job) {
    let now = step.now();
    if job.is_probe
        && let Some(state) = step.states.change(job.claimed.webhook_id)
    {
        state.health.breaker = state.health.breaker.with_probe_allowed(now);
    }
}

//! Recording what became of claims, a group at a time: results, releases, and what they make of their webhooks.

use rusqlite::named_params;

use super::claims::Claimed;
use super::columns::to_json;
use super::{Result, Store};
use crate::domain::attempt::{Attempt, Trigger};
use crate::domain::delivery::Settlement;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, Health};

/// Whether a claim still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimStanding {
    Held,
    /// It holds, and the delivery was cancelled meanwhile.
    Cancelled,
    /// Its lease ended and another process claimed the delivery, or the delivery is gone.
    Lost,
}

/// An attempt, and what becomes of its delivery.
#[derive(Clone, Copy, Debug)]
pub struct AttemptResult<'a> {
    pub claimed: &'a Claimed,
    pub attempt: &'a Attempt,
    pub settlement: Settlement,
}

/// What deliveries made of a webhook, and what is added to its counters.
#[derive(Clone, Copy, Debug)]
pub struct HealthChange<'a> {
    pub webhook_id: i64,
    pub health: &'a Health,
    pub counted: Counters,
}

impl Store {
    /// Whether claims still hold, in their order.
    pub fn claim_standings(&self, claims: &[&Claimed]) -> Result<Vec<ClaimStanding>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT status = 'cancelled' FROM deliveries WHERE id = :id AND claim_token = :token")?;
        let standing = |claimed: &&Claimed| {
            let mut rows = statement.query((claimed.id, claimed.token))?;
            Ok(match rows.next()?.map(|row| row.get(0)).transpose()? {
                Some(true) => ClaimStanding::Cancelled,
                Some(false) => ClaimStanding::Held,
                None => ClaimStanding::Lost,
            })
        };
        claims.iter().map(standing).collect()
    }

    /// Writes attempts and moves their deliveries on. Their claims hold: [`Store::claim_standings`] said so in this
    /// transaction.
    pub fn record_results(&self, results: &[AttemptResult<'_>]) -> Result<()> {
        results.iter().try_for_each(|result| {
            self.move_on(result)?;
            self.insert_attempt(result.claimed, result.attempt)
        })
    }

    /// Gives claims back unused: their deliveries are due again at `due_at`, at the cost of no attempt.
    pub fn release(&self, claims: &[&Claimed], due_at: Timestamp) -> Result<()> {
        if claims.is_empty() {
            return Ok(());
        }
        let mut statement = self.connection.prepare_cached(
            "UPDATE deliveries SET due_at = CASE WHEN due_at IS NULL THEN NULL ELSE :due END, claim_token = NULL
             WHERE id = :id AND claim_token = :token",
        )?;
        claims.iter().try_for_each(|claimed| {
            statement.execute(named_params! { ":id": claimed.id, ":token": claimed.token, ":due": due_at })?;
            Ok(())
        })
    }

    /// What deliveries made of webhooks, each with the version of its settings. Those that were deleted are left out.
    pub fn healths(&self, ids: &[i64]) -> Result<Vec<(i64, Health, i64)>> {
        let mut healths = Vec::with_capacity(ids.len());
        for id in ids {
            healths.extend(self.health(*id)?.map(|(health, version)| (*id, health, version)));
        }
        Ok(healths)
    }

    /// Writes what deliveries made of webhooks.
    pub fn save_healths(&self, changes: &[HealthChange<'_>]) -> Result<()> {
        changes.iter().try_for_each(|change| self.save_health(change.webhook_id, change.health, change.counted))
    }

    fn move_on(&self, result: &AttemptResult<'_>) -> Result<()> {
        let AttemptResult { claimed, attempt, settlement } = result;
        let error = attempt.outcome.error.as_ref();
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET status = :status, due_at = :due_at, claim_token = NULL,
                    attempt_count = :number, retry_count = :retry_count, is_manual = 0,
                    started_at = :started_at, completed_at = :completed_at, duration_ms = :duration,
                    response_status_code = :code, error_type = :error_type, error_message = :error_message
                 WHERE id = :id AND claim_token = :token",
            )?
            .execute((
                settlement.status,
                settlement.due_at,
                attempt.number,
                settlement.retry_count,
                attempt.started_at,
                attempt.completed_at,
                attempt.duration_ms,
                attempt.outcome.answer.as_ref().map(|answer| answer.status),
                error.map(|error| error.error_type),
                error.map(|error| &error.message),
                claimed.id,
                claimed.token,
            ))?;
        Ok(())
    }

    fn insert_attempt(&self, claimed: &Claimed, attempt: &Attempt) -> Result<()> {
        let answer = attempt.outcome.answer.as_ref();
        let error = attempt.outcome.error.as_ref();
        self.connection
            .prepare_cached(
                "INSERT INTO attempts (delivery_id, attempt_number, is_manual, started_at, completed_at, duration_ms,
                    response_status_code, response_headers, response_body, response_truncated, is_resent, error_type, error_message)
                 VALUES (:delivery, :number, :manual, :started_at, :completed_at, :duration, :code, :headers, :body,
                    :truncated, :resent, :error_type, :error_message)",
            )?
            .execute((
                claimed.id,
                attempt.number,
                attempt.trigger == Trigger::Manual,
                attempt.started_at,
                attempt.completed_at,
                attempt.duration_ms,
                answer.map(|answer| answer.status),
                answer.map(|answer| to_json(&answer.headers)),
                answer.map(|answer| &answer.body),
                answer.is_some_and(|answer| answer.truncated),
                attempt.outcome.resent,
                error.map(|error| error.error_type),
                error.map(|error| &error.message),
            ))?;
        Ok(())
    }
}

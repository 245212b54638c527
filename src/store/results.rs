//! Recording what became of claims, a group at a time: results, releases, and what they make of their webhooks.

use super::claims::{Claimed, Lease};
use super::row::one;
use super::value::{Json, Value, values};
use super::{Result, Store};
use crate::domain::attempt::Attempt;
use crate::domain::delivery::{Settlement, Status};
use crate::domain::time::Timestamp;

/// Whether a claim still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimStanding {
    Held,
    /// It holds, and the delivery was cancelled meanwhile.
    Cancelled,
    /// Its lease ended and another process claimed the delivery, or the delivery is gone.
    Lost,
    /// Its result is recorded already, and the delivery is this now.
    Recorded(Status),
}

/// An attempt, and what becomes of its delivery.
#[derive(Clone, Copy, Debug)]
pub struct AttemptResult<'a> {
    pub claimed: &'a Claimed,
    pub attempt: &'a Attempt,
    pub settlement: Settlement,
}

impl Store {
    /// Whether claims still hold, in their order.
    pub fn claim_standings(&self, claims: &[&Claimed]) -> Result<Vec<ClaimStanding>> {
        let sql = format!(
            "SELECT status = 'cancelled' FROM deliveries WHERE id = $1 AND claim_token = $2 {}",
            self.dialect().for_update()
        );
        let cancelled = self.first_each(&sql, claims.iter().map(|claimed| values![claimed.id, claimed.token]), one)?;
        let standing = |is_cancelled| match is_cancelled {
            Some(true) => ClaimStanding::Cancelled,
            Some(false) => ClaimStanding::Held,
            None => ClaimStanding::Lost,
        };
        Ok(cancelled.into_iter().map(standing).collect())
    }

    /// Writes attempts and moves their deliveries on. Their claims hold: [`Store::claim_standings`] said so in this
    /// transaction.
    pub fn record_results(&self, results: &[AttemptResult<'_>]) -> Result<()> {
        self.execute_each(MOVE_ON, results.iter().map(moved_on))?;
        self.execute_each(INSERT_ATTEMPT, results.iter().map(|result| logged(result.claimed, result.attempt)))
    }

    /// What deliveries are now whose attempts are recorded just so; `None` for the others.
    pub fn recorded(&self, attempts: &[(&Claimed, &Attempt)]) -> Result<Vec<Option<Status>>> {
        let sql = "SELECT d.status FROM attempts a JOIN deliveries d ON d.id = a.delivery_id
             WHERE a.delivery_id = $1 AND a.attempt_number = $2 AND a.started_at = $3 AND a.completed_at = $4";
        let values = |(claimed, attempt): &(&Claimed, &Attempt)| {
            values![claimed.id, attempt.number, attempt.started_at, attempt.completed_at]
        };
        self.first_each(sql, attempts.iter().map(values), one)
    }

    /// Gives back what was claimed by these leases, each given with its webhook.
    pub fn release_leases(&self, leases: &[(i64, Lease)], due_at: Timestamp) -> Result<()> {
        let queued = self.dialect().queued();
        self.execute_each(
            &format!(
                "UPDATE deliveries SET due_at = $1, claim_token = NULL
                 WHERE webhook_id = $2 AND due_at = $3 AND claim_token = $4 AND {queued} IS NOT NULL"
            ),
            leases.iter().map(|(webhook_id, lease)| values![due_at, webhook_id, lease.until, lease.token]),
        )
    }

    /// Gives claims back unused: their deliveries are due again at `due_at`, at the cost of no attempt.
    pub fn release(&self, claims: &[&Claimed], due_at: Timestamp) -> Result<()> {
        self.execute_each(
            "UPDATE deliveries SET due_at = CASE WHEN due_at IS NULL THEN due_at ELSE $1 END, claim_token = NULL
             WHERE id = $2 AND claim_token = $3",
            claims.iter().map(|claimed| values![due_at, claimed.id, claimed.token]),
        )
    }
}

const MOVE_ON: &str = "UPDATE deliveries SET status = $1, due_at = $2, claim_token = NULL, attempt_count = $3,
        retry_count = $4, is_manual = FALSE, started_at = $5, completed_at = $6, duration_ms = $7,
        response_status_code = $8, error_type = $9, error_message = $10
    WHERE id = $11 AND claim_token = $12";

pub(super) fn moved_on<'a>(result: &AttemptResult<'a>) -> [Value<'a>; 12] {
    let AttemptResult { claimed, attempt, settlement } = result;
    let error = attempt.outcome.error.as_ref();
    values![
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
        claimed.token
    ]
}

const INSERT_ATTEMPT: &str = "INSERT INTO attempts (delivery_id, attempt_number, is_manual, started_at, completed_at,
        duration_ms, response_status_code, response_headers, response_body, response_truncated, is_resent, error_type,
        error_message)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

pub(super) fn logged<'a>(claimed: &Claimed, attempt: &'a Attempt) -> [Value<'a>; 13] {
    let answer = attempt.outcome.answer.as_ref();
    let error = attempt.outcome.error.as_ref();
    values![
        claimed.id,
        attempt.number,
        attempt.trigger,
        attempt.started_at,
        attempt.completed_at,
        attempt.duration_ms,
        answer.map(|answer| answer.status),
        answer.map(|answer| Json(&answer.headers)),
        answer.map(|answer| &answer.body),
        answer.is_some_and(|answer| answer.truncated),
        attempt.outcome.resent,
        error.map(|error| error.error_type),
        error.map(|error| &error.message)
    ]
}

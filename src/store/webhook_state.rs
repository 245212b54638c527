//! The table of what deliveries change about webhooks: whether they go out, what holds them back, how many there were.
//!
//! It is apart from the settings so that traffic rewrites none of them. The engine reads and writes it for each group of
//! deliveries, each time in one statement.

use super::row::Row;
use super::value::{params, values};
use super::{Result, Store};
use crate::domain::breaker::Breaker;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, Health};

/// What [`health`] reads.
pub(super) const HEALTH_COLUMNS: &str =
    "is_active, disabled_reason, disabled_at, paused_at, failures, failing_since, held_until,
    breaker_failures, breaker_open_until, breaker_pause_ms, breaker_probing, rate_next_us, last_delivery_at,
    last_success_at, last_failure_at, version";

/// A webhook, its state, and the version of its settings and secrets.
pub type StateRead = (i64, Health, i64);

/// What deliveries made of a webhook, and what is added to its counters.
#[derive(Clone, Copy, Debug)]
pub struct HealthChange<'a> {
    pub webhook_id: i64,
    pub health: &'a Health,
    /// What it was before. Of two transactions that expected one state, neither takes back when the other had an attempt.
    pub before: &'a Health,
    pub counted: Counters,
}

impl Store {
    /// The state of a new webhook.
    pub(super) fn insert_state(&self, webhook_id: i64, is_active: bool, now: Timestamp) -> Result<()> {
        let disabled_at = (!is_active).then_some(now);
        let sql = "INSERT INTO webhook_state (webhook_id, is_active, disabled_at) VALUES ($1, $2, $3)";
        self.execute(sql, params![webhook_id, is_active, disabled_at]).map(drop)
    }

    /// Keeps the deliveries of an active webhook back, while events are owed to it as before.
    pub fn pause_webhook(&self, id: i64, now: Timestamp) -> Result<()> {
        let sql = "UPDATE webhook_state SET paused_at = $1 WHERE webhook_id = $2 AND is_active AND paused_at IS NULL";
        let paused = self.execute(sql, params![now, id])?;
        if paused > 0 { self.touch(id, now) } else { Ok(()) }
    }

    /// Lets the deliveries of a paused webhook go.
    pub fn resume_webhook(&self, id: i64, now: Timestamp) -> Result<()> {
        let sql = "UPDATE webhook_state SET paused_at = NULL WHERE webhook_id = $1 AND paused_at IS NOT NULL";
        let resumed = self.execute(sql, params![id])?;
        if resumed > 0 { self.touch(id, now) } else { Ok(()) }
    }

    /// Makes a webhook active with a clean slate: no hold, breaker closed, failures forgotten.
    pub fn enable_webhook(&self, id: i64, now: Timestamp) -> Result<()> {
        self.execute(
            "UPDATE webhook_state SET is_active = TRUE, disabled_reason = NULL, disabled_at = NULL,
                paused_at = NULL, failures = 0, failing_since = NULL, held_until = NULL, breaker_failures = 0, breaker_open_until = NULL,
                breaker_pause_ms = 0, breaker_probing = FALSE
             WHERE webhook_id = $1",
            params![id],
        )?;
        self.touch(id, now)
    }

    /// Stops a webhook, for a reason that people read. One that is stopped keeps its reason.
    pub fn disable_webhook(&self, id: i64, reason: &str, now: Timestamp) -> Result<()> {
        let disabled = self.execute(
            "UPDATE webhook_state SET is_active = FALSE, disabled_reason = $1, disabled_at = $2, paused_at = NULL
             WHERE webhook_id = $3 AND is_active",
            params![reason, now, id],
        )?;
        if disabled > 0 { self.touch(id, now) } else { Ok(()) }
    }

    /// Lets the next request of a held or paused webhook go at once, as a retry by hand asks.
    pub fn lift_pause(&self, id: i64, now: Timestamp) -> Result<()> {
        let Some((_, health, _)) = self.lock_group(&[], &[id])?.states.pop() else { return Ok(()) };
        let lifted = Health { held_until: None, breaker: health.breaker.with_probe_allowed(now), ..health.clone() };
        if lifted == health {
            return Ok(());
        }
        self.save_healths(&[HealthChange {
            webhook_id: id,
            health: &lifted,
            before: &health,
            counted: Counters::default(),
        }])
    }

    /// What deliveries made of a webhook, and the version of its settings.
    #[cfg(test)]
    pub fn health(&self, id: i64) -> Result<Option<(Health, i64)>> {
        Ok(self.healths(&[id])?.pop().map(|(_, health, version)| (health, version)))
    }

    /// What deliveries made of webhooks, each with the version of its settings. Those that were deleted are left out.
    pub fn healths(&self, ids: &[i64]) -> Result<Vec<StateRead>> {
        let sql = format!("SELECT {HEALTH_COLUMNS} FROM webhook_state WHERE webhook_id = $1");
        let found = self.first_each(&sql, ids.iter().map(|id| values![id]), health)?;
        let with_id =
            |(id, found): (&i64, Option<(Health, i64)>)| found.map(|(health, version)| (*id, health, version));
        Ok(ids.iter().zip(found).filter_map(with_id).collect())
    }

    /// Writes what deliveries made of webhooks, and adds to their counters.
    pub fn save_healths<'a>(&self, changes: &[HealthChange<'a>]) -> Result<()> {
        let values = |HealthChange { webhook_id, health, before, counted }: &HealthChange<'a>| {
            values![
                health.is_active,
                &health.disabled_reason,
                health.disabled_at,
                health.failures,
                health.failing_since,
                health.held_until,
                health.breaker.failures,
                health.breaker.open_until,
                health.breaker.pause_ms,
                health.breaker.probing,
                health.rate_next_us,
                changed(health.last_delivery_at, before.last_delivery_at),
                changed(health.last_success_at, before.last_success_at),
                changed(health.last_failure_at, before.last_failure_at),
                counted.total,
                counted.successful,
                counted.failed,
                webhook_id
            ]
        };
        self.execute_each(
            "UPDATE webhook_state SET is_active = $1, disabled_reason = $2, disabled_at = $3, failures = $4,
                failing_since = $5, held_until = $6, breaker_failures = $7, breaker_open_until = $8,
                breaker_pause_ms = $9, breaker_probing = $10, rate_next_us = $11,
                last_delivery_at = coalesce($12, last_delivery_at), last_success_at = coalesce($13, last_success_at),
                last_failure_at = coalesce($14, last_failure_at), total_deliveries = total_deliveries + $15,
                successful_deliveries = successful_deliveries + $16, failed_deliveries = failed_deliveries + $17
             WHERE webhook_id = $18",
            changes.iter().map(values),
        )
    }
}

/// A time that is another one now.
fn changed(now: Option<Timestamp>, before: Option<Timestamp>) -> Option<Timestamp> {
    now.filter(|_| now != before)
}

/// The health and the version of the settings from [`HEALTH_COLUMNS`].
pub(super) fn health(row: &mut Row<'_>) -> Result<(Health, i64)> {
    let health = Health {
        is_active: row.next()?,
        disabled_reason: row.next()?,
        disabled_at: row.next()?,
        paused_at: row.next()?,
        failures: row.next()?,
        failing_since: row.next()?,
        held_until: row.next()?,
        breaker: Breaker {
            failures: row.next()?,
            open_until: row.next()?,
            pause_ms: row.next()?,
            probing: row.next()?,
        },
        rate_next_us: row.next()?,
        last_delivery_at: row.next()?,
        last_success_at: row.next()?,
        last_failure_at: row.next()?,
    };
    Ok((health, row.next()?))
}

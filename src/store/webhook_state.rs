//! The table of what deliveries change about webhooks: whether they go out, what holds them back, how many there were.
//!
//! It is apart from the settings so that traffic rewrites none of them. The engine reads and writes it for each group of
//! deliveries, each time in one statement.

use rusqlite::{OptionalExtension, named_params};

use super::columns::InOrder;
use super::{Result, Store};
use crate::domain::breaker::Breaker;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, Health};

/// What [`health`] reads, and the counters after it.
pub(super) const COLUMNS: &str = "is_active, disabled_reason, disabled_at, failing_since, held_until,
    breaker_failures, breaker_open_until, breaker_pause_ms, breaker_probing, rate_next_us, last_delivery_at,
    last_success_at, last_failure_at, version, total_deliveries, successful_deliveries, failed_deliveries";

impl Store {
    /// The state of a new webhook.
    pub(super) fn insert_state(&self, webhook_id: i64, is_active: bool) -> Result<()> {
        self.connection
            .prepare_cached("INSERT INTO webhook_state (webhook_id, is_active) VALUES (:id, :active)")?
            .execute(named_params! { ":id": webhook_id, ":active": is_active })?;
        Ok(())
    }

    /// Resumes a webhook with a clean slate: no hold, breaker closed, failures forgotten.
    pub fn enable_webhook(&self, id: i64, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhook_state SET is_active = 1, disabled_reason = NULL, disabled_at = NULL,
                    failing_since = NULL, held_until = NULL, breaker_failures = 0, breaker_open_until = NULL,
                    breaker_pause_ms = 0, breaker_probing = 0
                 WHERE webhook_id = :id",
            )?
            .execute(named_params! { ":id": id })?;
        self.touch(id, now)
    }

    /// Stops a webhook, for a reason that people read. One that is stopped keeps its reason.
    pub fn disable_webhook(&self, id: i64, reason: &str, now: Timestamp) -> Result<()> {
        let disabled = self
            .connection
            .prepare_cached(
                "UPDATE webhook_state SET is_active = 0, disabled_reason = :reason, disabled_at = :now
                 WHERE webhook_id = :id AND is_active = 1",
            )?
            .execute(named_params! { ":id": id, ":reason": reason, ":now": now })?;
        if disabled > 0 { self.touch(id, now) } else { Ok(()) }
    }

    /// Lets the next request of a held or paused webhook go at once, as a retry by hand asks.
    pub fn lift_pause(&self, id: i64, now: Timestamp) -> Result<()> {
        let Some((health, _)) = self.health(id)? else { return Ok(()) };
        let lifted = Health { held_until: None, breaker: health.breaker.with_probe_allowed(now), ..health.clone() };
        if lifted == health { Ok(()) } else { self.save_health(id, &lifted, Counters::default()) }
    }

    /// What deliveries made of a webhook, and the version of its settings.
    pub fn health(&self, id: i64) -> Result<Option<(Health, i64)>> {
        Ok(self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM webhook_state WHERE webhook_id = :id"))?
            .query_row(named_params! { ":id": id }, |row| health(&mut InOrder::of(row)))
            .optional()?)
    }

    /// Writes what deliveries made of a webhook, and adds to its counters.
    pub fn save_health(&self, id: i64, health: &Health, change: Counters) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhook_state SET is_active = :active, disabled_reason = :reason, disabled_at = :disabled_at,
                    failing_since = :failing_since, held_until = :held_until, breaker_failures = :breaker_failures,
                    breaker_open_until = :breaker_open_until, breaker_pause_ms = :breaker_pause,
                    breaker_probing = :breaker_probing, rate_next_us = :rate_next, last_delivery_at = :last_delivery,
                    last_success_at = :last_success, last_failure_at = :last_failure,
                    total_deliveries = total_deliveries + :total,
                    successful_deliveries = successful_deliveries + :successful,
                    failed_deliveries = failed_deliveries + :failed
                 WHERE webhook_id = :id",
            )?
            .execute(named_params! {
                ":id": id,
                ":active": health.is_active,
                ":reason": health.disabled_reason,
                ":disabled_at": health.disabled_at,
                ":failing_since": health.failing_since,
                ":held_until": health.held_until,
                ":breaker_failures": health.breaker.failures,
                ":breaker_open_until": health.breaker.open_until,
                ":breaker_pause": health.breaker.pause_ms,
                ":breaker_probing": health.breaker.probing,
                ":rate_next": health.rate_next_us,
                ":last_delivery": health.last_delivery_at,
                ":last_success": health.last_success_at,
                ":last_failure": health.last_failure_at,
                ":total": change.total,
                ":successful": change.successful,
                ":failed": change.failed,
            })?;
        Ok(())
    }

    /// Adds to a webhook's counters; the numbers may be negative.
    pub fn count_deliveries(&self, id: i64, change: Counters) -> Result<()> {
        if change == Counters::default() {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "UPDATE webhook_state SET total_deliveries = total_deliveries + :total,
                    successful_deliveries = successful_deliveries + :successful,
                    failed_deliveries = failed_deliveries + :failed
                 WHERE webhook_id = :id",
            )?
            .execute(named_params! {
                ":id": id, ":total": change.total, ":successful": change.successful, ":failed": change.failed,
            })?;
        Ok(())
    }
}

/// The health and the version of the settings from [`COLUMNS`].
pub(super) fn health(columns: &mut InOrder<'_, '_>) -> rusqlite::Result<(Health, i64)> {
    let health = Health {
        is_active: columns.next()?,
        disabled_reason: columns.next()?,
        disabled_at: columns.next()?,
        failing_since: columns.next()?,
        held_until: columns.next()?,
        breaker: Breaker {
            failures: columns.next()?,
            open_until: columns.next()?,
            pause_ms: columns.next()?,
            probing: columns.next()?,
        },
        rate_next_us: columns.next()?,
        last_delivery_at: columns.next()?,
        last_success_at: columns.next()?,
        last_failure_at: columns.next()?,
    };
    Ok((health, columns.next()?))
}

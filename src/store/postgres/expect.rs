//! What a turn expects of webhooks, instead of reading it: its transaction fails where it is not so.

use tokio_postgres::types::Type;

use super::cells::Parameter;
use super::engine::Postgres;
use super::group::PLANS;
use super::link::Request;
use super::queue::Queued;
use crate::store::value::values;
use crate::store::webhook_state::StateRead;

/// Locks the states of webhooks, and fails unless there are $15 that are as they are given here. When attempts were made is no
/// part of that; the version is, for the order of deliveries may be another one with it.
const EXPECT_STATES: &str = "SELECT 1 / CASE WHEN (SELECT count(*) FROM (SELECT 1
        FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) AS e (webhook_id, version, paused_at,
            is_active, disabled_reason, disabled_at, failures, failing_since, held_until, breaker_failures,
            breaker_open_until, breaker_pause_ms, breaker_probing, rate_next_us)
        JOIN webhook_state s ON s.webhook_id = e.webhook_id
        WHERE (s.version, s.paused_at, s.is_active, s.disabled_reason, s.disabled_at, s.failures, s.failing_since,
                s.held_until, s.breaker_failures, s.breaker_open_until, s.breaker_pause_ms, s.breaker_probing,
                s.rate_next_us)
            IS NOT DISTINCT FROM (e.version, e.paused_at, e.is_active, e.disabled_reason, e.disabled_at, e.failures,
                e.failing_since, e.held_until, e.breaker_failures, e.breaker_open_until, e.breaker_pause_ms,
                e.breaker_probing, e.rate_next_us)
        ORDER BY s.webhook_id FOR UPDATE OF s) f) = $15 THEN 1 ELSE 0 END";

impl Postgres {
    /// [`crate::store::Store::expect_group`], with what is asked next.
    pub(in crate::store) fn queue_expectations(&self, states: &[StateRead]) {
        let (int, truth, text) = (|| Type::INT8_ARRAY, || Type::BOOL_ARRAY, || Type::TEXT_ARRAY);
        let kinds =
            [int(), int(), int(), truth(), text(), int(), int(), int(), int(), int(), int(), int(), truth(), int()];
        let rows = states.iter().map(|(id, health, version)| {
            values![
                id,
                version,
                health.paused_at,
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
                health.rate_next_us
            ]
        });
        let mut expected = Parameter::columns(kinds, rows);
        expected.push(Parameter::Integer(states.len() as i64));
        let plans = Request::new(PLANS, Vec::new());
        let all = [plans, Request::new(EXPECT_STATES, expected)];
        self.queue.borrow_mut().extend(all.map(Queued::Run));
    }
}

//! Recording a group on a server: one statement for each kind of row.

use tokio_postgres::types::Type;

use super::cells::Parameter;
use super::engine::Postgres;
use super::link::Request;
use super::queue::Queued;
use crate::store::group::GroupChange;
use crate::store::results;
use crate::store::value::values;

/// Fails where claims are expected to hold ($14) and not all of them ($13) do.
const MOVE_ON: &str = "WITH moved AS (UPDATE deliveries d SET status = r.status, due_at = r.due_at, claim_token = NULL,
        attempt_count = r.attempt_count, retry_count = r.retry_count, is_manual = FALSE, started_at = r.started_at,
        completed_at = r.completed_at, duration_ms = r.duration_ms, response_status_code = r.code,
        error_type = r.error_type, error_message = r.error_message
    FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS r (status, due_at, attempt_count, retry_count,
        started_at, completed_at, duration_ms, code, error_type, error_message, id, token)
    WHERE d.id = r.id AND d.claim_token = r.token AND NOT ($14 AND d.status = 'cancelled') RETURNING 1)
    SELECT 1 / CASE WHEN $14 AND (SELECT count(*) FROM moved) <> $13 THEN 0 ELSE 1 END";

/// What `Dialect::wait_for_recorders` waits for.
const RECORDER: &str = "SELECT pg_advisory_xact_lock_shared(1752133483, 2)";

const INSERT_ATTEMPTS: &str = "INSERT INTO attempts (delivery_id, attempt_number, is_manual, started_at, completed_at,
        duration_ms, response_status_code, response_headers, response_body, response_truncated, is_resent, error_type,
        error_message)
    SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

/// Fails as [`MOVE_ON`] does.
const RELEASE: &str = "WITH released AS (
        UPDATE deliveries d SET due_at = CASE WHEN d.due_at IS NULL THEN d.due_at ELSE $1 END, claim_token = NULL
        FROM unnest($2, $3) AS r (id, token) WHERE d.id = r.id AND d.claim_token = r.token RETURNING 1)
    SELECT 1 / CASE WHEN $5 AND (SELECT count(*) FROM released) <> $4 THEN 0 ELSE 1 END";

impl Postgres {
    /// Records by arrays, with what is asked next.
    pub(in crate::store) fn queue_results(&self, change: &GroupChange<'_>) {
        let (int, text, truth, bytes) = (Type::INT8_ARRAY, Type::TEXT_ARRAY, Type::BOOL_ARRAY, Type::BYTEA_ARRAY);
        let mut queue = self.queue.borrow_mut();
        let expected = |count: usize| [Parameter::Integer(count as i64), Parameter::Bool(change.is_expected)];
        let mut put = |sql, parameters| queue.push(Queued::Run(Request::new(sql, parameters)));
        if !change.results.is_empty() {
            let i = || int.clone();
            let kinds = [text.clone(), i(), i(), i(), i(), i(), i(), i(), text.clone(), text.clone(), i(), i()];
            let mut parameters = Parameter::columns(kinds, change.results.iter().map(results::moved_on));
            parameters.extend(expected(change.results.len()));
            put(MOVE_ON, parameters);
            let kinds = [
                i(),
                i(),
                truth.clone(),
                i(),
                i(),
                i(),
                i(),
                text.clone(),
                bytes,
                truth.clone(),
                truth,
                text.clone(),
                text,
            ];
            put(RECORDER, Vec::new());
            let rows = change.results.iter().map(|result| results::logged(result.claimed, result.attempt));
            put(INSERT_ATTEMPTS, Parameter::columns(kinds, rows));
        }
        if !change.released.is_empty() {
            let rows = change.released.iter().map(|claimed| values![claimed.id, claimed.token]);
            let mut parameters = vec![Parameter::Integer(change.now.millis())];
            parameters.extend(Parameter::columns([int.clone(), int], rows));
            parameters.extend(expected(change.released.len()));
            put(RELEASE, parameters);
        }
    }
}

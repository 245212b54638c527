//! What became of deliveries that a run attempted.

use crate::domain::attempt::{Attempt, AttemptError};
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;
use crate::store::AttemptResult;

/// A delivery after its attempt, as it was recorded.
#[derive(Clone, Debug)]
pub struct Settled {
    pub status: Status,
    /// When it is tried again.
    pub next_retry_at: Option<Timestamp>,
    pub response_status_code: Option<u16>,
    pub error: Option<AttemptError>,
}

impl Settled {
    /// With the delivery's id.
    pub(super) fn of(result: &AttemptResult<'_>) -> (i64, Settled) {
        let AttemptResult { claimed, attempt: Attempt { outcome, .. }, settlement } = result;
        let settled = Settled {
            status: settlement.status,
            next_retry_at: settlement.due_at.filter(|_| settlement.status == Status::Retrying),
            response_status_code: outcome.answer.as_ref().map(|answer| answer.status),
            error: outcome.error.clone(),
        };
        (claimed.id, settled)
    }
}

//! The log of attempts.

use super::row::{Row, one, pair};
use super::value::params;
use super::{Result, Store};
use crate::domain::attempt::{Answer, Attempt, AttemptError, Outcome, Trigger};

impl Store {
    /// A delivery's attempts in order.
    pub fn attempts(&self, delivery_id: i64) -> Result<Vec<Attempt>> {
        self.rows(
            "SELECT attempt_number, is_manual, (SELECT d.is_test FROM deliveries d WHERE d.id = delivery_id), started_at, completed_at, duration_ms, response_status_code,
                coalesce(response_headers, '[]'), response_body, response_truncated, is_resent, error_type, error_message
             FROM attempts WHERE delivery_id = $1 ORDER BY attempt_number",
            params![delivery_id],
            from_row,
        )
    }

    /// The row id of the newest attempt; 0 if there is none. Attempts recorded later have higher ids: a server assigns ids
    /// before transactions commit, so this waits for those that are recording.
    pub fn last_attempt_row(&self) -> Result<i64> {
        let newest = "SELECT coalesce(max(id), 0) FROM attempts";
        let Some(fence) = self.dialect().wait_for_recorders() else { return self.only(newest, &[], one) };
        self.shared_transaction(|| {
            self.each(fence, &[], |_| Ok(()))?;
            self.only(newest, &[], one)
        })
    }
}

fn from_row(row: &mut Row<'_>) -> Result<Attempt> {
    let (number, trigger) = pair(row)?;
    let trigger = if row.next()? { Trigger::Test } else { trigger };
    let (started_at, completed_at) = pair(row)?;
    let duration_ms = row.next()?;
    let status: Option<u16> = row.next()?;
    let answer = Answer {
        status: status.unwrap_or_default(),
        headers: row.next_json("attempts.response_headers")?,
        body: row.next::<Option<Vec<u8>>>()?.unwrap_or_default(),
        truncated: row.next()?,
    };
    let resent = row.next()?;
    let (error_type, message): (Option<_>, Option<String>) = pair(row)?;
    let error = error_type.map(|error_type| AttemptError { error_type, message: message.unwrap_or_default() });
    let outcome = Outcome { answer: status.map(|_| answer), error, resent };
    Ok(Attempt { number, trigger, started_at, completed_at, duration_ms, outcome })
}

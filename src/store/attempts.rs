//! The log of attempts.

use rusqlite::{Row, named_params};

use super::columns::from_json;
use super::{Result, Store, StoreError};
use crate::domain::attempt::{Answer, Attempt, AttemptError, Outcome, Trigger};

impl Store {
    /// A delivery's attempts in order.
    pub fn attempts(&self, delivery_id: i64) -> Result<Vec<Attempt>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT attempt_number, is_manual, started_at, completed_at, duration_ms, response_status_code,
                response_headers, response_body, response_truncated, is_resent, error_type, error_message
             FROM attempts WHERE delivery_id = :delivery ORDER BY attempt_number",
        )?;
        let mut rows = statement.query(named_params! { ":delivery": delivery_id })?;
        let mut attempts = Vec::new();
        while let Some(row) = rows.next()? {
            attempts.push(from_row(row)?);
        }
        Ok(attempts)
    }

    /// The newest attempt's row; 0 when there is none.
    pub fn last_attempt_row(&self) -> Result<i64> {
        Ok(self.connection.query_row("SELECT coalesce(max(id), 0) FROM attempts", [], |row| row.get(0))?)
    }
}

fn from_row(row: &Row<'_>) -> Result<Attempt> {
    let status: Option<u16> = row.get("response_status_code")?;
    let answer = match status {
        None => None,
        Some(status) => {
            let headers: Option<String> = row.get("response_headers")?;
            Some(Answer {
                status,
                headers: headers.map_or(Ok(Vec::new()), |text| from_json("attempts.response_headers", &text))?,
                body: row.get::<_, Option<Vec<u8>>>("response_body")?.unwrap_or_default(),
                truncated: row.get("response_truncated")?,
            })
        }
    };
    let message: Option<String> = row.get("error_message")?;
    let error = row
        .get::<_, Option<_>>("error_type")?
        .map(|error_type| AttemptError { error_type, message: message.unwrap_or_default() });
    Ok::<_, StoreError>(Attempt {
        number: row.get("attempt_number")?,
        trigger: if row.get("is_manual")? { Trigger::Manual } else { Trigger::Scheduled },
        started_at: row.get("started_at")?,
        completed_at: row.get("completed_at")?,
        duration_ms: row.get("duration_ms")?,
        outcome: Outcome { answer, error, resent: row.get("is_resent")? },
    })
}

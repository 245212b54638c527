//! The last run of `drain`, for monitoring.

use serde::Serialize;

use super::value::values;
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// A finished drain, counted in deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LastDrain {
    pub ended_at: Timestamp,
    pub attempted: i64,
    pub succeeded: i64,
}

impl Store {
    /// Stores a drain, replacing the one before.
    pub fn record_drain(&self, drain: LastDrain) -> Result<()> {
        let sql = "INSERT INTO last_drain (id, ended_at, attempted, succeeded) VALUES (1, $1, $2, $3)
             ON CONFLICT (id) DO UPDATE SET ended_at = excluded.ended_at, attempted = excluded.attempted,
                succeeded = excluded.succeeded";
        self.execute_each(sql, [values![drain.ended_at, drain.attempted, drain.succeeded]])
    }

    pub fn last_drain(&self) -> Result<Option<LastDrain>> {
        self.first("SELECT ended_at, attempted, succeeded FROM last_drain WHERE id = 1", &[], |row| {
            Ok(LastDrain { ended_at: row.next()?, attempted: row.next()?, succeeded: row.next()? })
        })
    }
}

//! Numbered migrations, recorded in `user_version`.

use crate::store::{Result, Store, StoreError};

/// Every migration in order; the schema version is how many have run.
const MIGRATIONS: [&str; 1] = [include_str!("../migrations/0001_first.sql")];

/// The schema version that this program writes.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// "hook" in ASCII: marks the file as ours (`PRAGMA application_id`).
pub(super) const APPLICATION_ID: i64 = 0x686F_6F6B;

impl Store {
    /// The schema version of the file; 0 when it is new.
    pub fn schema_version(&self) -> Result<i64> {
        Ok(self.connection.query_row("PRAGMA user_version", [], |row| row.get(0))?)
    }

    /// Brings the file to the newest version, each step whole or not at all. Two processes at once do it once: the version is
    /// read again under the write lock.
    pub(super) fn migrate(&self) -> Result<()> {
        if self.schema_version()? == NEWEST {
            return Ok(());
        }
        self.transaction(|| {
            let version = self.schema_version()?;
            for (index, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
                self.connection.execute_batch(migration)?;
                self.connection.pragma_update(None, "user_version", index as i64 + 1)?;
            }
            if version == 0 {
                self.connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            }
            Ok::<(), StoreError>(())
        })
    }
}

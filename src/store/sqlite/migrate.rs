//! Numbered migrations, recorded in `user_version`.

use crate::store::dialect::Dialect;
use crate::store::migrations::{MIGRATIONS, NEWEST};
use crate::store::{Engine, Result, Store, StoreError};

/// "hook" in ASCII: marks the file as ours (`PRAGMA application_id`).
pub(super) const APPLICATION_ID: i64 = 0x686F_6F6B;

impl Store {
    /// The schema version of the database; 0 when it is new.
    pub fn schema_version(&self) -> Result<i64> {
        match &self.engine {
            Engine::Sqlite(file) => file.user_version(),
            Engine::Postgres(server) => server.schema_version(),
        }
    }

    /// Brings the file to the newest version, each step whole or not at all. Two processes at once do it once: the version is
    /// read again under the write lock.
    pub(super) fn migrate(&self) -> Result<()> {
        if self.schema_version()? == NEWEST {
            return Ok(());
        }
        let connection = &self.file()?.connection;
        self.transaction(|| {
            let version = self.schema_version()?;
            for (index, migration) in MIGRATIONS.iter().enumerate().skip(version as usize) {
                connection.execute_batch(&Dialect::Sqlite.schema(migration))?;
                connection.pragma_update(None, "user_version", index as i64 + 1)?;
            }
            if version == 0 {
                connection.pragma_update(None, "application_id", APPLICATION_ID)?;
            }
            Ok::<(), StoreError>(())
        })
    }
}

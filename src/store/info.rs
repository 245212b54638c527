//! Figures about the whole database.

use super::backlog::Backlog;
use super::migrations::TABLES;
use super::row::one;
use super::{Result, Store};
use crate::domain::time::Timestamp;

/// Figures that both engines have.
#[derive(Clone, Debug)]
pub struct Info {
    pub schema_version: i64,
    pub rows: Vec<(&'static str, u64)>,
    /// Open deliveries.
    pub backlog: Backlog,
}

impl Store {
    /// Reads all figures on one snapshot.
    pub fn info(&self, now: Timestamp) -> Result<Info> {
        self.snapshot(|| {
            let count =
                |table: &&'static str| Ok((*table, self.only(&format!("SELECT count(*) FROM {table}"), &[], one)?));
            let rows = TABLES.iter().map(count).collect::<Result<_>>()?;
            Ok(Info { rows, backlog: self.backlog(now)?, schema_version: self.schema_version()? })
        })
    }
}

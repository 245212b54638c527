//! Whose the schema is.

use crate::store::row::one;
use crate::store::value::params;
use crate::store::{Result, Store};

/// Sequences go with their tables.
const STATEMENTS: &str = "SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, $1) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'hookctl' AND c.relkind IN ('r', 'v')
    UNION ALL SELECT format('ALTER SCHEMA hookctl OWNER TO %I', $1)";

impl Store {
    /// Gives the schema and all that is in it to a role that this one is a member of.
    pub fn give_to(&self, role: &str) -> Result<()> {
        self.transaction(|| {
            let statements: Vec<String> = self.rows(STATEMENTS, params![role], one)?;
            statements.iter().try_for_each(|sql| self.execute(sql, &[]).map(drop))
        })
    }
}

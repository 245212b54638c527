//! Whose the schema is, and who may emit into it.

use crate::store::row::one;
use crate::store::value::params;
use crate::store::{Result, Store};

/// To call a function, its schema must be seen; no table is readable by that.
const GRANTS: &str = "SELECT format('GRANT USAGE ON SCHEMA hookctl TO %I', $1)
    UNION ALL SELECT format('GRANT EXECUTE ON FUNCTION %s TO %I', p.oid::regprocedure, $1) FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'hookctl' AND p.proname = 'emit'";

/// The schema comes first: what is in it can be given only to a role that may make something there. Sequences go with their
/// tables.
const STATEMENTS: &str = "SELECT format('ALTER SCHEMA hookctl OWNER TO %I', $1)
    UNION ALL SELECT format('ALTER TABLE %s OWNER TO %I', c.oid::regclass, $1) FROM pg_class c
        JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'hookctl' AND c.relkind IN ('r', 'v')
    UNION ALL SELECT format('ALTER FUNCTION %s OWNER TO %I', p.oid::regprocedure, $1) FROM pg_proc p
        JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'hookctl'";

impl Store {
    /// Gives the schema and all that is in it to a role that this one is a member of.
    pub fn give_to(&self, role: &str) -> Result<()> {
        self.run_all(STATEMENTS, role)
    }

    /// Lets a role call `hookctl.emit`, and do nothing else.
    pub fn grant_emit(&self, role: &str) -> Result<()> {
        self.run_all(GRANTS, role)
    }

    fn run_all(&self, statements: &str, role: &str) -> Result<()> {
        self.transaction(|| {
            let statements: Vec<String> = self.rows(statements, params![role], one)?;
            statements.iter().try_for_each(|sql| self.execute(sql, &[]).map(drop))
        })
    }
}

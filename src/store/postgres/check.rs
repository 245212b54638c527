//! Whether the schema on a server is what the migrations make. The pages under its rows are the server's own to keep, and so are
//! references, but for those of attempts.

use std::collections::BTreeSet;

use super::migrate::MORE;
use crate::store::check::{Check, Finding};
use crate::store::dialect::Dialect;
use crate::store::migrations::MIGRATIONS;
use crate::store::row::one;
use crate::store::{Result, Store};

impl Store {
    /// What is missing of the schema.
    pub(in crate::store) fn missing_on_server(&self) -> Result<Vec<Finding>> {
        let finding = |statement: &Made| Finding {
            check: Check::Schema,
            message: format!("the {} {} is missing", statement.kind, statement.name),
            is_fixable: statement.kind == "index",
        };
        Ok(self.missing_parts()?.iter().map(finding).collect())
    }

    /// Makes the indexes that are missing.
    pub(in crate::store) fn repair_on_server(&self) -> Result<()> {
        let missing = self.missing_parts()?.into_iter().filter(|made| made.kind == "index");
        missing.into_iter().try_for_each(|made| self.execute(&made.sql, &[]).map(drop))
    }

    fn missing_parts(&self) -> Result<Vec<Made>> {
        let names = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
             WHERE n.nspname = 'hookctl' AND c.relkind IN ('r', 'i')";
        let found: BTreeSet<String> = self.rows(names, &[], one)?.into_iter().collect();
        Ok(made().into_iter().filter(|made| !found.contains(&made.name)).collect())
    }
}

/// A table or an index that the migrations make.
#[derive(Debug)]
struct Made {
    kind: &'static str,
    name: String,
    sql: String,
}

/// An index that a server has in other words is made in those.
fn made() -> Vec<Made> {
    let mut made = statements(&MIGRATIONS.map(|migration| Dialect::Postgres.schema(migration)).concat());
    let otherwise = statements(MORE);
    for made in &mut made {
        if let Some(other) = otherwise.iter().find(|other| other.name == made.name) {
            made.sql.clone_from(&other.sql);
        }
    }
    made
}

fn statements(text: &str) -> Vec<Made> {
    let lines = text.lines().map(|line| line.split_once("--").map_or(line, |(code, _)| code.trim_end()));
    let statement = |sql: &str| {
        let sql = sql.trim().to_owned();
        let (kind, rest) = sql
            .strip_prefix("CREATE TABLE ")
            .map(|rest| ("table", rest))
            .or_else(|| sql.strip_prefix("CREATE INDEX ").map(|rest| ("index", rest)))?;
        let name = rest.split(' ').next()?.to_owned();
        Some(Made { kind, name, sql: sql.clone() })
    };
    lines.collect::<Vec<_>>().join("\n").split(';').filter_map(statement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrations::TABLES;

    #[test]
    fn every_table_and_index_of_the_migrations_is_looked_for() {
        let made = made();
        let named = |kind: &'static str| made.iter().filter(move |made| made.kind == kind).map(|made| &made.name);
        let tables = named("table").map(String::as_str).collect::<BTreeSet<_>>();
        assert_eq!(tables, TABLES.into_iter().collect());
        let migrations = MIGRATIONS.concat();
        assert_eq!(named("index").count(), migrations.matches("CREATE INDEX ").count());
    }

    #[test]
    fn an_index_that_a_server_has_in_other_words_is_made_in_those() {
        let due = made().into_iter().find(|made| made.name == "deliveries_due").unwrap();
        assert_eq!(
            due.sql,
            "CREATE INDEX deliveries_due ON deliveries (webhook_id, queued_at) WHERE queued_at IS NOT NULL"
        );
    }
}

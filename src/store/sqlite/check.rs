//! Damage that only a file of SQLite can have.

use std::collections::BTreeMap;

use crate::store::check::{Check, Finding};
use crate::store::row::{one, pair};
use crate::store::{Result, Store};

impl Store {
    pub(in crate::store) fn check_journal(&self) -> Result<Vec<Finding>> {
        let finding = Finding {
            check: Check::Journal,
            message: "what was deleted is still in the write-ahead log, which another process was reading; the next \
                      command that writes removes it"
                .to_owned(),
            is_fixable: true,
        };
        Ok(self.file()?.has_unerased().then_some(finding).into_iter().collect())
    }

    pub(in crate::store) fn check_integrity(&self) -> Result<Vec<Finding>> {
        let lines: Vec<String> = self.rows("PRAGMA integrity_check(20)", &[], one)?;
        let finding = |message| Finding { check: Check::Integrity, message, is_fixable: false };
        Ok(lines.into_iter().filter(|line| line != "ok").map(finding).collect())
    }

    pub(in crate::store) fn check_foreign_keys(&self) -> Result<Vec<Finding>> {
        let mut orphans: BTreeMap<(String, String), u64> = BTreeMap::new();
        self.each("PRAGMA foreign_key_check", &[], |row| {
            let (table, _row): (String, Option<i64>) = pair(row)?;
            *orphans.entry((table, row.next()?)).or_default() += 1;
            Ok(())
        })?;
        let finding = |((table, parent), count)| Finding {
            check: Check::ForeignKeys,
            message: format!("{count} rows of {table} belong to rows of {parent} that are gone"),
            is_fixable: false,
        };
        Ok(orphans.into_iter().map(finding).collect())
    }

    pub(in crate::store) fn schema_findings(&self) -> Result<Vec<Finding>> {
        let finding = |(message, repair): (String, Option<String>)| Finding {
            check: Check::Schema,
            message,
            is_fixable: repair.is_some(),
        };
        Ok(self.schema_differences()?.into_iter().map(finding).collect())
    }

    /// Makes what is missing of the schema.
    pub(in crate::store) fn repair_schema(&self) -> Result<()> {
        let repairs = self.schema_differences()?.into_iter().filter_map(|(_, repair)| repair);
        repairs.into_iter().try_for_each(|repair| self.execute(&repair, &[]).map(drop))
    }

    /// What differs from the schema that the migrations make, each with the statement that mends it where one does.
    fn schema_differences(&self) -> Result<Vec<(String, Option<String>)>> {
        let (expected, mut found) = (Store::empty()?.schema()?, self.schema()?);
        let mut differences = Vec::new();
        for ((kind, name), sql) in expected {
            match found.remove(&(kind.clone(), name.clone())) {
                Some(same) if same == sql => {}
                Some(_) => differences.push((format!("the {kind} {name} is not as hookctl makes it"), None)),
                None => differences.push((format!("the {kind} {name} is missing"), Some(sql))),
            }
        }
        differences
            .extend(found.into_keys().map(|(kind, name)| (format!("the {kind} {name} is not one of hookctl's"), None)));
        Ok(differences)
    }

    fn schema(&self) -> Result<BTreeMap<(String, String), String>> {
        let sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'";
        Ok(self.rows(sql, &[], |row| Ok((pair(row)?, row.next()?)))?.into_iter().collect())
    }
}

//! The numbered migrations, one text for both engines ([`super::dialect::Dialect::schema`] spells it for each).

/// All migrations in order. The schema version is the number of those that have run.
pub(super) const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_first.sql")];

/// The schema version of this program.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

pub(super) const TABLES: [&str; 12] = [
    "webhooks",
    "webhook_state",
    "secrets",
    "credentials",
    "events",
    "bodies",
    "deliveries",
    "attempts",
    "attempt_counts",
    "policy",
    "last_drain",
    "event_types",
];

/// A table as the migrations make it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    pub name: &'static str,
    pub columns: Vec<Column>,
    /// The columns of its primary key.
    pub key: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub name: &'static str,
    pub is_boolean: bool,
}

impl Table {
    /// Whether the key is one number, `id`.
    pub fn has_ids(&self) -> bool {
        self.key == "id"
    }

    pub fn column_names(&self) -> String {
        self.columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
    }

    pub fn insert(&self) -> String {
        let values: Vec<String> = (1..=self.columns.len()).map(|number| format!("${number}")).collect();
        format!("INSERT INTO {} ({}) VALUES ({})", self.name, self.column_names(), values.join(", "))
    }
}

/// All tables, each after those that it refers to.
pub(super) fn tables() -> Vec<Table> {
    let of = |migration: &'static str| migration.split("CREATE TABLE ").skip(1).filter_map(table);
    MIGRATIONS.into_iter().flat_map(of).collect()
}

/// Parses what follows CREATE TABLE.
fn table(text: &'static str) -> Option<Table> {
    let (name, rest) = text.split_once(' ')?;
    let (body, _) = rest.split_once("\n)")?;
    let lines = || body.lines().map(str::trim);
    let columns = lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let (name, kind) = (words.next()?, words.next()?.trim_end_matches(','));
        let is_column = ["INTEGER", "BOOLEAN", "TEXT", "BLOB"].contains(&kind) && !name.starts_with("--");
        is_column.then_some(Column { name, is_boolean: kind == "BOOLEAN" })
    });
    let columns: Vec<Column> = columns.collect();
    let key = lines().find_map(|line| line.strip_prefix("PRIMARY KEY (")?.split_once(')').map(|(key, _)| key));
    Some(Table { name, key: key.or(columns.first().map(|column| column.name))?, columns })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::row::one;

    #[test]
    fn the_tables_are_read_as_the_engine_has_them() {
        let store = Store::empty().unwrap();
        assert_eq!(tables().iter().map(|table| table.name).collect::<Vec<_>>(), TABLES);
        for table in tables() {
            let sql = format!("SELECT group_concat(name, ', ') FROM pragma_table_info('{}')", table.name);
            assert_eq!(store.only::<String>(&sql, &[], one).unwrap(), table.column_names(), "{}", table.name);
            let sql = format!(
                "SELECT group_concat(name, ', ') FROM (SELECT name FROM pragma_table_info('{}') WHERE pk > 0 ORDER BY pk)",
                table.name
            );
            assert_eq!(store.only::<String>(&sql, &[], one).unwrap(), table.key, "{}", table.name);
        }
    }
}

//! Copies all content of a database into another, of the same engine or not: table by table, then reads it back.

use sha2::{Digest, Sha256};

use super::dialect::Dialect;
use super::migrations::{Table, tables};
use super::row::{Cell, FromCell, one};
use super::value::{Value, params};
use super::{Engine, Result, Store, StoreError};
use crate::domain::time::Timestamp;

/// A copied table: the number of rows, and the SHA-256 of their content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    pub table: &'static str,
    pub rows: u64,
    pub sha256: [u8; 32],
}

/// How many rows are read and written at a time.
const ROWS: usize = 1_000;
/// About how many bytes are read and written at a time: payloads are large.
const BYTES: usize = 4 * 1024 * 1024;

impl Store {
    /// Whether nothing was ever stored, so that a copy may be written here.
    pub fn is_untouched(&self) -> Result<bool> {
        if self.only("SELECT EXISTS (SELECT 1 FROM event_types WHERE NOT is_builtin)", &[], one)? {
            return Ok(false);
        }
        for table in tables().iter().filter(|table| table.name != "event_types") {
            if self.only(&format!("SELECT EXISTS (SELECT 1 FROM {})", table.name), &[], one)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Copies a snapshot of everything in one transaction of `target`, which must be empty. What was written is read back and
    /// compared before the commit. `progress` is called with the number of rows that were added.
    pub fn copy_to(&self, target: &Store, now: Timestamp, progress: &mut dyn FnMut(u64)) -> Result<Vec<CopiedTable>> {
        target.expect_large_transactions()?;
        self.snapshot(|| {
            target.transaction(|| {
                if !target.is_untouched()? {
                    return Err(StoreError::Busy);
                }
                let mut copied = Vec::new();
                for table in tables() {
                    copied.push(self.copy_table(&table, target, progress)?);
                }
                if self.dialect() == Dialect::Postgres {
                    // On a server the counters are spread over several rows.
                    target.fix(now)?;
                }
                Ok(copied)
            })
        })
    }

    fn copy_table(&self, table: &Table, target: &Store, progress: &mut dyn FnMut(u64)) -> Result<CopiedTable> {
        // The built-in event types of `target` are replaced by these.
        target.execute(&format!("DELETE FROM {}", table.name), &[])?;
        let mut group = Group::default();
        let sent = self.each_row(table, |row| {
            group.add(row);
            if group.is_full() {
                progress(group.rows.len() as u64);
                target.write_rows(table, &std::mem::take(&mut group).rows)?;
            }
            Ok(())
        })?;
        progress(group.rows.len() as u64);
        target.write_rows(table, &group.rows)?;
        if table.has_ids() {
            self.copy_last_id(table.name, target)?;
        }
        let stored = target.each_row(table, |_| Ok(()))?;
        match stored == sent {
            true => Ok(sent),
            false => Err(StoreError::Other(format!(
                "the copy of {} differs from what was read: {} of {} rows",
                table.name, stored.rows, sent.rows
            ))),
        }
    }

    /// Calls `see` for every row, in the order of the key.
    fn each_row(&self, table: &Table, mut see: impl FnMut(Vec<Owned>) -> Result<()>) -> Result<CopiedTable> {
        let (mut rows, mut hash) = (0, Sha256::new());
        let mut after = Some(i64::MIN);
        let (columns, name, key) = (table.column_names(), table.name, table.key);
        while let Some(last) = after.take() {
            let (sql, values) = match table.has_ids() {
                true => (
                    format!("SELECT {columns} FROM {name} WHERE id > $1 ORDER BY id LIMIT {ROWS}"),
                    vec![Value::Integer(last)],
                ),
                false => (format!("SELECT {columns} FROM {name} ORDER BY {key}"), Vec::new()),
            };
            let mut found = 0;
            self.each(&sql, &values, |row| {
                let cells = table.columns.iter().map(|_| row.next()).collect::<Result<Vec<Owned>>>()?;
                cells.iter().for_each(|cell| cell.feed(&mut hash));
                (rows, found) = (rows + 1, found + 1);
                if let (true, Some(Owned::Integer(id))) = (table.has_ids(), cells.first()) {
                    after = Some(*id);
                }
                see(cells)
            })?;
            if found < ROWS {
                break;
            }
        }
        Ok(CopiedTable { table: table.name, rows, sha256: hash.finalize().into() })
    }

    fn write_rows(&self, table: &Table, rows: &[Vec<Owned>]) -> Result<()> {
        let sql = table.insert();
        let mut rows = rows.iter().map(|row| {
            row.iter().zip(&table.columns).map(|(cell, column)| cell.value(column.is_boolean)).collect::<Vec<_>>()
        });
        match &self.engine {
            Engine::Sqlite(file) => rows.try_for_each(|row| file.execute(&sql, &row).map(drop)),
            Engine::Postgres(server) => server.write_rows(&sql, rows),
        }
    }

    /// Continues the ids, so that none is used twice, not even that of a row deleted before the copy.
    fn copy_last_id(&self, table: &str, target: &Store) -> Result<()> {
        let last: i64 = self.only(&self.dialect().last_id(table), &[], one)?;
        match &target.engine {
            Engine::Sqlite(_) if last == 0 => Ok(()),
            Engine::Sqlite(file) => {
                file.execute("UPDATE sqlite_sequence SET seq = $1 WHERE name = $2 AND seq < $1", params![last, table])?;
                let missing = "INSERT INTO sqlite_sequence (seq, name) SELECT $1, $2
                     WHERE $2 IN ('webhooks', 'deliveries') AND NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = $2)";
                file.execute(missing, params![last, table]).map(drop)
            }
            Engine::Postgres(_) => {
                let set = format!(
                    "SELECT setval(pg_get_serial_sequence('hookctl.{table}', 'id'), CASE WHEN $1 > 0 THEN $1 ELSE 1 END, $1 > 0)"
                );
                target.only::<i64>(&set, params![last], one).map(drop)
            }
        }
    }
}

/// Rows to be written together.
#[derive(Debug, Default)]
struct Group {
    rows: Vec<Vec<Owned>>,
    bytes: usize,
}

impl Group {
    fn add(&mut self, row: Vec<Owned>) {
        self.bytes += row.iter().map(Owned::bytes).sum::<usize>();
        self.rows.push(row);
    }

    fn is_full(&self) -> bool {
        self.rows.len() >= ROWS || self.bytes >= BYTES
    }
}

/// An owned cell.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owned {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

impl FromCell<'_> for Owned {
    fn from_cell(cell: Cell<'_>) -> Option<Owned> {
        Some(match cell {
            Cell::Null => Owned::Null,
            Cell::Integer(value) => Owned::Integer(value),
            Cell::Text(text) => Owned::Text(text.to_owned()),
            Cell::Blob(bytes) => Owned::Blob(bytes.to_owned()),
        })
    }
}

impl Owned {
    fn bytes(&self) -> usize {
        match self {
            Owned::Null | Owned::Integer(_) => 8,
            Owned::Text(text) => text.len(),
            Owned::Blob(bytes) => bytes.len(),
        }
    }

    /// Adds the cell to a hash as kind, length and content, so that different contents never give the same bytes.
    fn feed(&self, hash: &mut Sha256) {
        let (kind, number, bytes): (u8, i64, &[u8]) = match self {
            Owned::Null => (0, 0, &[]),
            Owned::Integer(value) => (1, *value, &[]),
            Owned::Text(text) => (2, text.len() as i64, text.as_bytes()),
            Owned::Blob(bytes) => (3, bytes.len() as i64, bytes),
        };
        hash.update([kind]);
        hash.update(number.to_be_bytes());
        hash.update(bytes);
    }

    fn value(&self, is_boolean: bool) -> Value<'_> {
        match self {
            Owned::Null => Value::Null,
            Owned::Integer(value) if is_boolean => Value::Bool(*value != 0),
            Owned::Integer(value) => Value::Integer(*value),
            Owned::Text(text) => text.as_str().into(),
            Owned::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::Settings;
    use crate::store::EventTypeRow;

    const NOW: Timestamp = Timestamp::START;

    fn filled() -> Store {
        let store = Store::empty().unwrap();
        let settings = Settings { name: "crm".to_owned(), ..Settings::default() };
        store.insert_webhook(&settings, true, None, NOW).unwrap();
        let row =
            EventTypeRow { name: "order.created".to_owned(), schema: Some("{}".to_owned()), ..EventTypeRow::default() };
        store.save_event_type(&row).unwrap();
        store
    }

    #[test]
    fn a_copy_holds_what_the_database_held_and_no_id_of_it_is_used_again() {
        let (store, target) = (filled(), Store::empty().unwrap());
        let gone = store.insert_webhook(&Settings { name: "gone".to_owned(), ..Settings::default() }, true, None, NOW);
        store.delete_webhook(gone.unwrap()).unwrap();
        let mut rows = 0;
        let copied = store.copy_to(&target, NOW, &mut |more| rows += more).unwrap();
        assert_eq!(copied.iter().map(|table| table.table).collect::<Vec<_>>(), crate::store::migrations::TABLES);
        assert_eq!(copied.iter().map(|table| table.rows).sum::<u64>(), rows);
        assert_eq!(target.find_webhook("crm").unwrap().unwrap().id, 1);
        assert!(target.knows_event_type("order.created").unwrap());
        let next = Settings { name: "next".to_owned(), ..Settings::default() };
        assert_eq!(target.insert_webhook(&next, true, None, NOW).unwrap(), 3);
    }

    #[test]
    fn a_database_that_holds_something_is_no_target() {
        assert!(Store::empty().unwrap().is_untouched().unwrap());
        let target = filled();
        assert!(!target.is_untouched().unwrap());
        let before = target.webhook_names().unwrap();
        assert!(matches!(filled().copy_to(&target, NOW, &mut |_| {}), Err(StoreError::Busy)));
        assert_eq!(target.webhook_names().unwrap(), before);
    }
}

//! Statements on SQLite: kept prepared, bound by position.

use std::ops::ControlFlow;

use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Statement};

use crate::store::row::{Cell, Cells, Row};
use crate::store::value::{Value, to_json};
use crate::store::{Result, StoreError};

use super::Sqlite;

impl Sqlite {
    pub(in crate::store) fn ask(
        &self,
        sql: &str,
        values: &[Value<'_>],
        see: &mut dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let mut statement = self.bound(sql, values)?;
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            if see(&mut Row::new(row))?.is_break() {
                break;
            }
        }
        Ok(())
    }

    pub(in crate::store) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        Ok(self.bound(sql, values)?.raw_execute()?)
    }

    pub(in crate::store) fn insert(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<i64>> {
        // A RETURNING clause would cost SQLite a temporary table.
        Ok((self.execute(sql, values)? == 1).then(|| self.connection.last_insert_rowid()))
    }

    pub(in crate::store) fn execute_each<'v, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<()> {
        let mut statement = None;
        for values in sets {
            let statement = self.prepared_once(&mut statement, sql)?;
            bind(statement, sql, &values)?;
            statement.raw_execute()?;
        }
        Ok(())
    }

    pub(in crate::store) fn first_each<'v, T, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
        mut read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        let mut statement = None;
        let answer = |values: [Value<'v>; N]| {
            let statement = self.prepared_once(&mut statement, sql)?;
            bind(statement, sql, &values)?;
            statement.raw_query().next()?.map(|row| read(&mut Row::new(row))).transpose()
        };
        sets.into_iter().map(answer).collect()
    }

    pub(in crate::store) fn insert_each<'v, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Vec<Option<i64>>> {
        let mut statement = None;
        let insert = |values: [Value<'v>; N]| {
            let statement = self.prepared_once(&mut statement, sql)?;
            bind(statement, sql, &values)?;
            Ok((statement.raw_execute()? == 1).then(|| self.connection.last_insert_rowid()))
        };
        sets.into_iter().map(insert).collect()
    }

    pub(in crate::store) fn is_in_transaction(&self) -> bool {
        !self.connection.is_autocommit()
    }

    pub(in crate::store) fn begin(&self, statements: &[&str]) -> Result<()> {
        let begun = statements.iter().try_for_each(|statement| self.execute(statement, &[]).map(drop));
        self.busy.leave_queue();
        begun
    }

    pub(in crate::store) fn commit(&self) -> Result<()> {
        self.execute("COMMIT", &[]).map(drop)
    }

    pub(in crate::store) fn rollback(&self) -> Result<()> {
        self.execute("ROLLBACK", &[]).map(drop)
    }

    fn bound(&self, sql: &str, values: &[Value<'_>]) -> Result<CachedStatement<'_>> {
        let mut statement = self.prepared(sql)?;
        bind(&mut statement, sql, values)?;
        Ok(statement)
    }

    /// Prepared with the first set of values: of none there is nothing to compile.
    fn prepared_once<'c, 's>(
        &'c self,
        statement: &'s mut Option<CachedStatement<'c>>,
        sql: &str,
    ) -> Result<&'s mut CachedStatement<'c>> {
        match statement {
            Some(statement) => Ok(statement),
            None => Ok(statement.insert(self.prepared(sql)?)),
        }
    }

    fn prepared(&self, sql: &str) -> Result<CachedStatement<'_>> {
        Ok(self.connection.prepare_cached(sql)?)
    }
}

fn bind(statement: &mut Statement<'_>, sql: &str, values: &[Value<'_>]) -> Result<()> {
    debug_assert_eq!(names(statement), (1..=values.len()).map(|n| format!("${n}")).collect::<Vec<_>>(), "{sql}");
    for (index, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, value)?;
    }
    Ok(())
}

/// The parameters' names by position.
fn names(statement: &Statement<'_>) -> Vec<String> {
    let name = |index| statement.parameter_name(index).unwrap_or_default().to_owned();
    (1..=statement.parameter_count()).map(name).collect()
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Value::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Value::Bool(value) => ToSqlOutput::Borrowed(ValueRef::Integer(i64::from(*value))),
            Value::Integer(value) => ToSqlOutput::Borrowed(ValueRef::Integer(*value)),
            Value::Text(text) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Value::Blob(bytes) => ToSqlOutput::Borrowed(ValueRef::Blob(bytes)),
            Value::Integers(list) => to_json(list).into(),
            Value::Texts(list) => to_json(list).into(),
        })
    }
}

impl Cells for rusqlite::Row<'_> {
    fn cell(&self, column: usize) -> Result<Cell<'_>> {
        Ok(match self.get_ref(column)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(value) => Cell::Integer(value),
            ValueRef::Text(bytes) => Cell::Text(std::str::from_utf8(bytes).map_err(rusqlite::Error::from)?),
            ValueRef::Blob(bytes) => Cell::Blob(bytes),
            ValueRef::Real(value) => {
                return Err(StoreError::Value { column: self.name(column), value: value.to_string() });
            }
        })
    }

    fn name(&self, column: usize) -> String {
        self.as_ref().column_name(column).unwrap_or_default().to_owned()
    }
}

#[cfg(test)]
impl crate::store::Store {
    /// How SQLite answers a statement, a line for each step.
    pub(in crate::store) fn plan(&self, sql: &str) -> String {
        let mut statement =
            self.file().expect("a file").connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
        let lines = statement.raw_query().mapped(|row| row.get::<_, String>(3)).collect::<rusqlite::Result<Vec<_>>>();
        lines.expect("a plan").join("\n")
    }

    /// How many steps SQLite's machine takes to run a statement: the same on any computer.
    pub(in crate::store) fn steps(&self, sql: &str, values: &[Value<'_>]) -> i32 {
        let mut statement = self.file().expect("a file").connection.prepare(sql).expect(sql);
        bind(&mut statement, sql, values).expect(sql);
        let mut rows = statement.raw_query();
        while rows.next().expect(sql).is_some() {}
        drop(rows);
        statement.get_status(rusqlite::StatementStatus::VmStep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::row::one;
    use crate::store::value::{params, values};

    fn store() -> Store {
        let store = Store::empty().unwrap();
        store.execute("CREATE TABLE numbers (id INTEGER PRIMARY KEY, number INTEGER UNIQUE, name TEXT)", &[]).unwrap();
        store
    }

    const INSERT: &str = "INSERT INTO numbers (number, name) VALUES ($1, $2) ON CONFLICT (number) DO NOTHING";

    #[test]
    fn sets_of_parameters_are_answered_in_their_order() {
        let store = store();
        let sets = [values![5_i64, "five"], values![6_i64, "six"], values![5_i64, "again"]];
        assert_eq!(store.insert_each(INSERT, sets).unwrap(), [Some(1), Some(2), None]);
        let name = "SELECT name FROM numbers WHERE number = $1";
        let names = store.first_each(name, [values![6_i64], values![7_i64], values![5_i64]], one::<String>).unwrap();
        assert_eq!(names, [Some("six".to_owned()), None, Some("five".to_owned())]);
        store.execute_each("DELETE FROM numbers WHERE number = $1", [values![5_i64], values![6_i64]]).unwrap();
        assert_eq!(store.only::<i64>("SELECT count(*) FROM numbers", &[], one).unwrap(), 0);
    }

    #[test]
    fn a_row_that_another_has_already_is_an_error_of_its_own_and_leaves_the_statement_usable() {
        let (store, insert) = (store(), "INSERT INTO numbers (number) VALUES ($1)");
        assert_eq!(store.insert(insert, params![5_i64]).unwrap(), Some(1));
        assert!(matches!(store.insert(insert, params![5_i64]), Err(StoreError::NotUnique(_))));
        assert_eq!(store.insert(insert, params![6_i64]).unwrap(), Some(2));
    }

    #[test]
    fn values_come_back_as_they_were_given() {
        let store = store();
        let read = |row: &mut Row<'_>| Ok((row.next()?, row.next()?, row.next()?, row.next()?));
        let values = params![true, "text", [0_u8, 255].as_slice(), None::<i64>];
        let found: (bool, String, Vec<u8>, Option<i64>) = store.only("SELECT $1, $2, $3, $4", values, read).unwrap();
        assert_eq!(found, (true, "text".to_owned(), vec![0, 255], None));
        let list = store.dialect().one_of("2", "$1");
        assert!(store.only::<bool>(&format!("SELECT {list}"), params![[1_i64, 2].as_slice()], one).unwrap());
    }

    #[test]
    #[should_panic(expected = "SELECT $2, $1")]
    fn parameters_that_do_not_first_stand_in_their_order_are_found() {
        drop(store().first("SELECT $2, $1", params![1_i64, 2_i64], one::<i64>));
    }

    #[test]
    fn a_streamed_answer_ends_with_the_first_error() {
        let (store, mut seen) = (store(), 0);
        let sql = "SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 'three' UNION ALL SELECT 4";
        let read = store.each(sql, &[], |row| row.next::<i64>().map(|number| seen += number));
        assert!(matches!(read, Err(StoreError::Value { .. })) && seen == 3, "{read:?} {seen}");
    }
}

//! How every method of the store asks its engine.

use std::ops::ControlFlow;

use super::row::Row;
use super::value::Value;
use super::{Engine, Result, Store};

/// Asks whichever engine runs.
macro_rules! engine {
    ($store:expr, $engine:ident => $ask:expr) => {
        match &$store.engine {
            Engine::Sqlite($engine) => $ask,
            Engine::Postgres($engine) => $ask,
        }
    };
}

/// What an engine does; all else in the store is made of this.
impl Store {
    /// Hands the rows of the answer to `see` until it breaks off. `see` asks nothing itself.
    pub(super) fn ask(
        &self,
        sql: &str,
        values: &[Value<'_>],
        see: &mut dyn FnMut(&mut Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        engine!(self, engine => engine.ask(sql, values, see))
    }

    /// Asks several questions, which are one round trip to a server, and hands the rows of each to `see` with its number. `see`
    /// asks nothing itself.
    pub(super) fn ask_all(
        &self,
        questions: &[(&str, &[Value<'_>])],
        see: &mut dyn FnMut(usize, &mut Row<'_>) -> Result<()>,
    ) -> Result<()> {
        if let Engine::Postgres(server) = &self.engine {
            return server.ask_all(questions, see);
        }
        questions
            .iter()
            .enumerate()
            .try_for_each(|(number, (sql, values))| self.each(sql, values, |row| see(number, row)))
    }

    /// Runs a statement that gives no rows back. How many it changed.
    pub(super) fn execute(&self, sql: &str, values: &[Value<'_>]) -> Result<usize> {
        engine!(self, engine => engine.execute(sql, values))
    }

    /// Runs an INSERT of one row into a table whose key is `id`. The new id; `None` where the row was there already and the
    /// statement says DO NOTHING.
    pub(super) fn insert(&self, sql: &str, values: &[Value<'_>]) -> Result<Option<i64>> {
        engine!(self, engine => engine.insert(sql, values))
    }

    /// Runs a statement that gives no rows back once for each set of parameters. To a server these go with what is asked next
    /// in the transaction, its COMMIT at the latest, which then reports what went wrong.
    pub(super) fn execute_each<'v, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<()> {
        engine!(self, engine => engine.execute_each(sql, sets))
    }

    /// What `read` makes of the first row of the answer to each set of parameters.
    pub(super) fn first_each<'v, T, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
        read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<Vec<Option<T>>> {
        engine!(self, engine => engine.first_each(sql, sets, read))
    }

    /// [`Store::insert`] for each set of parameters.
    pub(super) fn insert_each<'v, const N: usize>(
        &self,
        sql: &str,
        sets: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Result<Vec<Option<i64>>> {
        engine!(self, engine => engine.insert_each(sql, sets))
    }

    pub(super) fn is_in_transaction(&self) -> bool {
        engine!(self, engine => engine.is_in_transaction())
    }

    /// Begins a transaction by these statements; a server gets them with the first statement in it.
    pub(super) fn begin(&self, statements: &[&'static str]) -> Result<()> {
        match &self.engine {
            Engine::Sqlite(engine) => engine.begin(statements),
            Engine::Postgres(engine) => {
                engine.begin(statements);
                Ok(())
            }
        }
    }

    pub(super) fn commit(&self) -> Result<()> {
        engine!(self, engine => engine.commit())
    }

    pub(super) fn rollback(&self) -> Result<()> {
        engine!(self, engine => engine.rollback())
    }
}

impl Store {
    /// What `read` makes of every row of the answer.
    pub(super) fn rows<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&mut Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut rows = Vec::new();
        self.each(sql, values, |row| {
            rows.push(read(row)?);
            Ok(())
        })?;
        Ok(rows)
    }

    /// What `read` makes of the first row; `None` where the answer is empty.
    pub(super) fn first<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        let (mut read, mut first) = (Some(read), None);
        self.ask(sql, values, &mut |row| {
            first = read.take().map(|read| read(row)).transpose()?;
            Ok(ControlFlow::Break(()))
        })?;
        Ok(first)
    }

    /// What `read` makes of the only row of a query that always has one: a count, a sum, an EXISTS.
    pub(super) fn only<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&mut Row<'_>) -> Result<T>,
    ) -> Result<T> {
        Ok(self.first(sql, values, read)?.expect("an aggregate always has one row"))
    }

    /// Hands every row of the answer to `see` as it comes, so that a long answer is never in memory at once.
    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        mut see: impl FnMut(&mut Row<'_>) -> Result<()>,
    ) -> Result<()> {
        self.ask(sql, values, &mut |row| see(row).map(ControlFlow::Continue))
    }
}

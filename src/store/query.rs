//! How every method of the store asks its engine.

use std::ops::ControlFlow;

use super::row::Row;
use super::value::Value;
use super::{Result, Store};

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

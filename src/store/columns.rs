//! Conversions between columns and the domain's types.

use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::de::DeserializeOwned;

use super::{Result, StoreError};
use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

impl ToSql for Timestamp {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.millis().into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Timestamp> {
        i64::column_result(value).map(Timestamp::from_millis)
    }
}

impl ToSql for Status {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Status> {
        Status::from_name(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

impl ToSql for ErrorType {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for ErrorType {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<ErrorType> {
        ErrorType::from_name(value.as_str()?).ok_or(FromSqlError::InvalidType)
    }
}

/// Reads the columns of a row one after the other, in the order in which the statement names them: to look each up by its name
/// takes longer than to read it.
pub(super) struct InOrder<'r, 's> {
    row: &'r Row<'s>,
    at: usize,
}

impl<'r, 's> InOrder<'r, 's> {
    /// Begins at the first column.
    pub(super) fn of(row: &'r Row<'s>) -> InOrder<'r, 's> {
        InOrder { row, at: 0 }
    }

    /// The next column.
    pub(super) fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        self.at += 1;
        self.row.get(self.at - 1)
    }

    /// What the next column, of JSON, holds; errors name it `column`.
    pub(super) fn next_json<T: DeserializeOwned>(&mut self, column: &'static str) -> Result<T> {
        self.at += 1;
        from_json(column, self.row.get_ref(self.at - 1)?.as_str().map_err(rusqlite::Error::from)?)
    }
}

pub(super) use super::value::to_json;

/// What a JSON column holds.
pub(super) fn from_json<T: DeserializeOwned>(column: &'static str, text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Value { column: column.to_owned(), value: text.chars().take(80).collect() })
}

//! Parameters as PostgreSQL takes them, and rows as it gives them, in its binary form.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

use crate::store::row::{Cell, Cells};
use crate::store::value::Value;
use crate::store::{Result, StoreError};

/// A parameter that outlives the call, for it may be sent later.
#[derive(Clone, Debug)]
pub enum Parameter {
    Null,
    Bool(bool),
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
    Integers(Vec<i64>),
    Texts(Vec<String>),
    /// A column of many rows, with the type of its array.
    Column(Type, Vec<Parameter>),
}

impl Parameter {
    /// Rows as one array for each of their columns, whose types are given.
    pub fn columns<'v, const N: usize>(
        kinds: [Type; N],
        rows: impl IntoIterator<Item = [Value<'v>; N]>,
    ) -> Vec<Parameter> {
        let mut columns = kinds.map(|kind| (kind, Vec::new()));
        for row in rows {
            for ((_, column), value) in columns.iter_mut().zip(&row) {
                column.push(Parameter::from(value));
            }
        }
        columns.into_iter().map(|(kind, column)| Parameter::Column(kind, column)).collect()
    }
}

impl From<&Value<'_>> for Parameter {
    fn from(value: &Value<'_>) -> Parameter {
        match value {
            Value::Null => Parameter::Null,
            Value::Bool(value) => Parameter::Bool(*value),
            Value::Integer(value) => Parameter::Integer(*value),
            Value::Text(text) => Parameter::Text(text.clone().into_owned()),
            Value::Blob(bytes) => Parameter::Blob((*bytes).to_owned()),
            Value::Integers(list) => Parameter::Integers((*list).to_owned()),
            Value::Texts(list) => Parameter::Texts(list.iter().map(|text| (*text).to_owned()).collect()),
        }
    }
}

impl Parameter {
    /// The type that the statement is told; of a NULL the server finds it out.
    pub fn kind(&self) -> Type {
        match self {
            Parameter::Null => Type::UNKNOWN,
            Parameter::Bool(_) => Type::BOOL,
            Parameter::Integer(_) => Type::INT8,
            Parameter::Text(_) => Type::TEXT,
            Parameter::Blob(_) => Type::BYTEA,
            Parameter::Integers(_) => Type::INT8_ARRAY,
            Parameter::Texts(_) => Type::TEXT_ARRAY,
            Parameter::Column(kind, _) => kind.clone(),
        }
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Parameter::Null => return Ok(IsNull::Yes),
            Parameter::Bool(value) => out.put_u8(u8::from(*value)),
            // What was prepared with a NULL may have been taken for a narrower one.
            Parameter::Integer(value) => match *kind {
                Type::INT4 => out.put_i32(i32::try_from(*value)?),
                Type::INT2 => out.put_i16(i16::try_from(*value)?),
                _ => out.put_i64(*value),
            },
            Parameter::Text(text) => out.put_slice(text.as_bytes()),
            Parameter::Blob(bytes) => out.put_slice(bytes),
            Parameter::Integers(list) => return list.to_sql(&Type::INT8_ARRAY, out),
            Parameter::Texts(list) => return list.to_sql(&Type::TEXT_ARRAY, out),
            Parameter::Column(kind, column) => return column.to_sql(kind, out),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A column as it was received.
struct Raw<'r>(Cell<'r>);

impl<'r> FromSql<'r> for Raw<'r> {
    fn from_sql(kind: &Type, raw: &'r [u8]) -> std::result::Result<Raw<'r>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(match *kind {
            Type::BOOL => Cell::Integer(bool::from_sql(kind, raw)?.into()),
            Type::INT8 => Cell::Integer(i64::from_sql(kind, raw)?),
            Type::INT4 => Cell::Integer(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => Cell::Integer(i16::from_sql(kind, raw)?.into()),
            Type::OID => Cell::Integer(u32::from_sql(kind, raw)?.into()),
            // What sum() makes of whole numbers.
            Type::NUMERIC => Cell::Integer(whole_number(raw).ok_or("no whole number of 64 bits")?),
            Type::BYTEA => Cell::Blob(raw),
            _ => Cell::Text(<&str>::from_sql(&Type::TEXT, raw)?),
        }))
    }

    fn from_sql_null(_: &Type) -> std::result::Result<Raw<'r>, Box<dyn Error + Sync + Send>> {
        Ok(Raw(Cell::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// A NUMERIC without a fraction: how many digits, the exponent of the first, the sign, the scale, and the digits, to base
/// 10,000, of two bytes each. `numeric_send` in PostgreSQL's src/backend/utils/adt/numeric.c.
fn whole_number(raw: &[u8]) -> Option<i64> {
    let mut words = raw.chunks_exact(2).map(|word| i16::from_be_bytes([word[0], word[1]]));
    let (count, weight, sign, _scale) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let digits: Vec<i16> = words.collect();
    if digits.len() != count as usize || count > weight + 1 {
        return None;
    }
    let mut number: i64 = 0;
    for place in 0..=weight.max(-1) {
        let digit = digits.get(place as usize).copied().unwrap_or_default();
        number = number.checked_mul(10_000)?.checked_add(digit.into())?;
    }
    match sign {
        0 => Some(number),
        0x4000 => Some(-number),
        _ => None,
    }
}

impl Cells for Row {
    fn cell(&self, column: usize) -> Result<Cell<'_>> {
        match self.try_get::<_, Raw<'_>>(column) {
            Ok(Raw(cell)) => Ok(cell),
            Err(error) => Err(StoreError::Value { column: Cells::name(self, column), value: error.to_string() }),
        }
    }

    fn name(&self, column: usize) -> String {
        self.columns().get(column).map_or_else(String::new, |column| column.name().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_whole(words: &[u16], expected: Option<i64>) {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(whole_number(&bytes), expected, "{words:?}");
    }

    #[test]
    fn a_sum_of_whole_numbers_is_one() {
        assert_whole(&[0, 0, 0, 0], Some(0));
        assert_whole(&[1, 0, 0, 0, 42], Some(42));
        assert_whole(&[1, 0, 0x4000, 0, 42], Some(-42));
        assert_whole(&[2, 1, 0, 0, 12, 3456], Some(123_456));
        assert_whole(&[1, 1, 0, 0, 12], Some(120_000));
        assert_whole(&[1, 0xFFFF, 0, 1, 5000], None);
        assert_whole(&[0, 0, 0xC000, 0], None);
        assert_whole(&[5, 4, 0, 0, 9999, 9999, 9999, 9999, 9999], None);
        assert_whole(&[2, 1, 0, 0, 12], None);
    }
}

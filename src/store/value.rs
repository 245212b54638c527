//! Parameters of statements, in the few types that every engine takes.
//!
//! A statement names its parameters `$1`, `$2`, … in the order in which they first stand in its text, and gets them in that
//! order: SQLite takes `$1` for a name and numbers names as it meets them.

use std::borrow::Cow;

use serde::Serialize;

use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::time::Timestamp;

/// A parameter. The lists are for [`super::dialect::one_of`] alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Text(Cow<'a, str>),
    Blob(&'a [u8]),
    Integers(Cow<'a, [i64]>),
    Texts(Vec<&'a str>),
}

/// What can be a parameter.
pub trait ToValue {
    fn to_value(&self) -> Value<'_>;
}

/// The parameters of a statement: `params![id, &name, now]`.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::store::value::ToValue::to_value(&$value)),*] };
}
pub(super) use params;

/// A list or map as the JSON text of its column.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("lists and maps with string keys always serialise")
}

impl<T: ToValue + ?Sized> ToValue for &T {
    fn to_value(&self) -> Value<'_> {
        (**self).to_value()
    }
}

impl<T: ToValue> ToValue for Option<T> {
    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, ToValue::to_value)
    }
}

impl ToValue for bool {
    fn to_value(&self) -> Value<'_> {
        Value::Bool(*self)
    }
}

macro_rules! integers {
    ($($type:ty),*) => { $(impl ToValue for $type {
        fn to_value(&self) -> Value<'_> {
            Value::Integer(i64::from(*self))
        }
    })* };
}
integers!(i64, u32, u16);

impl ToValue for Timestamp {
    fn to_value(&self) -> Value<'_> {
        Value::Integer(self.millis())
    }
}

impl ToValue for str {
    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }
}

impl ToValue for String {
    fn to_value(&self) -> Value<'_> {
        self.as_str().to_value()
    }
}

impl ToValue for Status {
    fn to_value(&self) -> Value<'_> {
        self.as_str().to_value()
    }
}

impl ToValue for ErrorType {
    fn to_value(&self) -> Value<'_> {
        self.as_str().to_value()
    }
}

impl ToValue for [u8] {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl ToValue for Vec<u8> {
    fn to_value(&self) -> Value<'_> {
        Value::Blob(self)
    }
}

impl ToValue for [i64] {
    fn to_value(&self) -> Value<'_> {
        Value::Integers(Cow::Borrowed(self))
    }
}

impl ToValue for Vec<i64> {
    fn to_value(&self) -> Value<'_> {
        self.as_slice().to_value()
    }
}

impl ToValue for [Status] {
    fn to_value(&self) -> Value<'_> {
        Value::Texts(self.iter().map(|status| status.as_str()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_values(values: &[Value<'_>], expected: &[Value<'_>]) {
        assert_eq!(values, expected);
    }

    #[test]
    fn what_the_domain_holds_becomes_one_of_few_types() {
        let text = |text: &'static str| Value::Text(Cow::Borrowed(text));
        assert_values(params![1_i64, 2_u32, true], &[Value::Integer(1), Value::Integer(2), Value::Bool(true)]);
        assert_values(params!["a".to_owned(), "b", Some("c")], &[text("a"), text("b"), text("c")]);
        assert_values(params![None::<i64>, Timestamp::from_millis(5)], &[Value::Null, Value::Integer(5)]);
        assert_values(params![Status::Failed, ErrorType::Timeout], &[text("failed"), text("timeout")]);
        assert_values(params![vec![1_u8], [2_u8].as_slice()], &[Value::Blob(&[1]), Value::Blob(&[2])]);
        assert_values(params![vec![3_i64, 4]], &[Value::Integers(Cow::Borrowed(&[3, 4]))]);
        assert_values(params![[Status::Pending].as_slice()], &[Value::Texts(vec!["pending"])]);
    }
}

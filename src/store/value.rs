//! Parameters of statements, in the few types that both engines take.
//!
//! Parameters are `$1`, `$2`, … in the order of their first use in the statement, and are passed in that order: to SQLite
//! `$1` is a name, and names are numbered by their first use.

use std::borrow::Cow;

use serde::Serialize;

use crate::domain::attempt::{ErrorType, Trigger};
use crate::domain::delivery::Status;
use crate::domain::presets::Preset;
use crate::domain::secret::KeyKind;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Order;

/// A parameter. The lists are for [`super::dialect::Dialect::one_of`] alone.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    Text(Cow<'a, str>),
    Blob(&'a [u8]),
    Integers(&'a [i64]),
    Texts(Vec<&'a str>),
}

/// The parameters of a statement, as an array: `values![id, &name, now]`.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::store::value::Value::from($value)),*] };
}

/// The same as a slice.
macro_rules! params {
    ($($value:expr),* $(,)?) => { &$crate::store::value::values![$($value),*] };
}
pub(super) use {params, values};

/// A list or map, for a column of JSON.
#[derive(Clone, Copy, Debug)]
pub struct Json<'a, T: ?Sized>(pub &'a T);

/// A list or map as the JSON text of its column.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).expect("lists and maps with string keys always serialise")
}

/// How text stands in a JSON string.
pub fn in_json(text: &str) -> String {
    to_json(text).trim_matches('"').to_owned()
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Value<'a> {
        value.map_or(Value::Null, Into::into)
    }
}

impl<'a> From<&'a Option<String>> for Value<'a> {
    fn from(text: &'a Option<String>) -> Value<'a> {
        text.as_deref().into()
    }
}

/// Conversions of `Copy` types.
macro_rules! copied {
    ($($type:ty: $value:ident => $into:expr;)*) => { $(
        impl From<$type> for Value<'_> {
            fn from($value: $type) -> Self {
                $into
            }
        }

        impl From<&$type> for Value<'_> {
            fn from(value: &$type) -> Self {
                (*value).into()
            }
        }
    )* };
}
copied! {
    bool: value => Value::Bool(value);
    i64: value => Value::Integer(value);
    u32: value => Value::Integer(value.into());
    u16: value => Value::Integer(value.into());
    Timestamp: value => Value::Integer(value.millis());
    Status: value => Value::from(value.as_str());
    ErrorType: value => Value::from(value.as_str());
    Trigger: value => Value::Bool(value == Trigger::Manual);
    KeyKind: value => Value::Bool(value == KeyKind::Ed25519);
    Order: value => value.name().into();
    Preset: value => value.name().into();
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Value<'a> {
        Value::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(text: &'a String) -> Value<'a> {
        text.as_str().into()
    }
}

impl<'a> From<Cow<'a, str>> for Value<'a> {
    fn from(text: Cow<'a, str>) -> Value<'a> {
        Value::Text(text)
    }
}

impl<'a, T: Serialize + ?Sized> From<Json<'a, T>> for Value<'a> {
    fn from(json: Json<'a, T>) -> Value<'a> {
        Value::Text(Cow::Owned(to_json(json.0)))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(bytes: &'a [u8]) -> Value<'a> {
        Value::Blob(bytes)
    }
}

impl<'a> From<&'a Vec<u8>> for Value<'a> {
    fn from(bytes: &'a Vec<u8>) -> Value<'a> {
        Value::Blob(bytes)
    }
}

impl<'a> From<&'a [i64]> for Value<'a> {
    fn from(list: &'a [i64]) -> Value<'a> {
        Value::Integers(list)
    }
}

impl<'a> From<&'a [Status]> for Value<'a> {
    fn from(list: &'a [Status]) -> Value<'a> {
        Value::Texts(list.iter().map(|status| status.as_str()).collect())
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
        assert_values(params![&"a".to_owned(), "b", Some("c")], &[text("a"), text("b"), text("c")]);
        assert_values(params![None::<i64>, Timestamp::from_millis(5)], &[Value::Null, Value::Integer(5)]);
        assert_values(params![&Some("d".to_owned()), &None::<String>], &[text("d"), Value::Null]);
        assert_values(params![Status::Failed, ErrorType::Timeout], &[text("failed"), text("timeout")]);
        assert_values(params![Trigger::Manual, Trigger::Scheduled], &[Value::Bool(true), Value::Bool(false)]);
        assert_values(params![&vec![1_u8], [2_u8].as_slice()], &[Value::Blob(&[1]), Value::Blob(&[2])]);
        assert_values(params![[3_i64, 4].as_slice()], &[Value::Integers(&[3, 4])]);
        assert_values(params![[Status::Pending].as_slice()], &[Value::Texts(vec!["pending"])]);
        assert_values(params![Json(&["x"])], &[text("[\"x\"]")]);
    }
}

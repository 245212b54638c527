//! JSON read into jq's values and written from them.

use std::fmt;

use jaq_core::ValT;
use jaq_json::{Map, Num, Rc, Val};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::domain::json::DEEPEST;

/// Integers of more digits are calculated with as floating-point numbers: exact ones take time that grows with the square.
const INTEGER_DIGITS: usize = 1000;

/// A value read from JSON. The library's own reader takes more than JSON and turns `-0` into `0`.
pub struct Node(pub Val);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        node(text).map(Node).map_err(D::Error::custom)
    }
}

fn node(text: &str) -> serde_json::Result<Val> {
    Ok(match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<Members>(text)?.0,
        Some(b'[') => serde_json::from_str::<Vec<Node>>(text)?.into_iter().map(|Node(value)| value).collect(),
        Some(b'"') => Val::from(serde_json::from_str::<String>(text)?),
        Some(b't' | b'f') => Val::from(text == "true"),
        Some(b'n') | None => Val::Null,
        Some(_) if text == "-0" || text.len() > INTEGER_DIGITS => Val::Num(Num::Dec(Rc::new(text.to_owned()))),
        Some(_) => Val::from_num(text).map_err(|error| serde_json::Error::custom(error.to_string()))?,
    })
}

/// The members of an object in their order; of a key that stands twice the last value counts.
struct Members(Val);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
                let mut members = Map::default();
                while let Some((key, Node(value))) = access.next_entry::<String, Node>()? {
                    members.insert(Val::from(key), value);
                }
                Ok(Members(Val::obj(members)))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// jq knows values that JSON has no spelling for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotJson {
    #[error("the result is not JSON: it holds bytes that are no text")]
    Bytes,
    #[error("the result is not JSON: a key of an object is not a string")]
    Key,
    #[error("the result is nested deeper than {DEEPEST} levels")]
    TooDeep,
}

/// On one line.
pub fn write(value: &Val) -> Result<String, NotJson> {
    let mut json = String::new();
    append(value, 0, &mut json)?;
    Ok(json)
}

fn append(value: &Val, depth: usize, json: &mut String) -> Result<(), NotJson> {
    if depth > DEEPEST {
        return Err(NotJson::TooDeep);
    }
    match value {
        Val::Null => json.push_str("null"),
        Val::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
        Val::Num(number) => json.push_str(&spelled(number)),
        Val::TStr(text) => json.push_str(&quoted(&String::from_utf8_lossy(text))),
        Val::BStr(_) => return Err(NotJson::Bytes),
        Val::Arr(values) => {
            json.push('[');
            for (index, value) in values.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                append(value, depth + 1, json)?;
            }
            json.push(']');
        }
        Val::Obj(members) => {
            json.push('{');
            for (index, (key, value)) in members.iter().enumerate() {
                json.push_str(if index == 0 { "" } else { "," });
                if !matches!(key, Val::TStr(_)) {
                    return Err(NotJson::Key);
                }
                append(key, depth + 1, json)?;
                json.push(':');
                append(value, depth + 1, json)?;
            }
            json.push('}');
        }
    }
    Ok(())
}

/// A number as it was spelled; one that was calculated as jq writes it.
fn spelled(number: &Num) -> String {
    match number {
        Num::Int(_) | Num::BigInt(_) => number.to_string(),
        Num::Float(value) => float(*value),
        // `"+1.0" | fromjson` gives a spelling that is not JSON's.
        Num::Dec(text) => match serde_json::from_str::<&RawValue>(text) {
            Ok(_) => text.to_string(),
            Err(_) => float(text.parse().unwrap_or(f64::NAN)),
        },
    }
}

fn float(value: f64) -> String {
    match value {
        value if value.is_nan() => "null".to_owned(),
        value if value.is_infinite() => float(f64::MAX.copysign(value)),
        // jq writes 12, not 12.0, as long as each digit counts.
        value if value.fract() == 0.0 && value.abs() < 1e17 => format!("{value:.0}"),
        value => serde_json::Value::from(value).to_string(),
    }
}

pub fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

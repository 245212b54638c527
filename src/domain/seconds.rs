//! Milliseconds, written in JSON as seconds, without a fraction if they are whole. For `#[serde(with = "seconds")]`.

use serde::de::{Deserialize, Deserializer, Error, Unexpected};
use serde::ser::Serializer;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
pub fn serialize<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    match millis % 1_000 {
        0 => serializer.serialize_i64(millis / 1_000),
        _ => serializer.serialize_f64(*millis as f64 / 1_000.0),
    }
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let seconds = f64::deserialize(deserializer)?;
    let millis = (seconds * 1_000.0).round();
    // Above this, a number of JSON is not exact.
    match (0.0..9e15).contains(&millis) {
        true => Ok(millis as i64),
        false => Err(D::Error::invalid_value(Unexpected::Float(seconds), &"a number of seconds")),
    }
}

//! A line of the log: `time message key=value…`, or a JSON object.

use std::fmt::Write as _;
use std::io::Write as _;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::escape::escape;
use super::json;
use crate::domain::time::Timestamp;
use crate::log::{Entry, Field};

/// Writes an entry to stderr in one call, from any thread. An error is ignored.
pub fn write(entry: &Entry<'_>, time: Timestamp, is_json: bool) {
    let line = if is_json { json_line(entry, time) } else { text_line(entry, time) };
    let _ = std::io::stderr().lock().write_all(&line);
}

fn text_line(entry: &Entry<'_>, time: Timestamp) -> Vec<u8> {
    let mut line = format!("{} {}", time.rfc3339(), escape(entry.message));
    for (name, field) in entry.fields {
        let _ = match field {
            Field::Number(number) => write!(line, " {name}={number}"),
            Field::Text(text) if text.is_empty() || text.contains([' ', '"', '=']) => {
                write!(line, " {name}=\"{}\"", escape(text).replace('"', "\\\""))
            }
            Field::Text(text) => write!(line, " {name}={}", escape(text)),
        };
    }
    line.push('\n');
    line.into_bytes()
}

pub fn json_line(entry: &Entry<'_>, time: Timestamp) -> Vec<u8> {
    let mut line = Vec::new();
    let _ = json::compact(&mut line, &Object { entry, time });
    line.push(b'\n');
    line
}

struct Object<'a> {
    entry: &'a Entry<'a>,
    time: Timestamp,
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("time", &self.time)?;
        map.serialize_entry("level", self.entry.level.as_str())?;
        map.serialize_entry("message", self.entry.message)?;
        for (name, field) in self.entry.fields {
            match field {
                Field::Text(text) => map.serialize_entry(name, text)?,
                Field::Number(number) => map.serialize_entry(name, number)?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Level;

    #[test]
    fn a_line_is_one_line_in_both_forms_whatever_it_holds() {
        let fields = [
            ("webhook", Field::Text("a \"b\"\n\u{1b}")),
            ("result", Field::Text("success")),
            ("took", Field::Number(7)),
        ];
        let entry = Entry { level: Level::Info, message: "attempt", fields: &fields };
        let text = String::from_utf8(text_line(&entry, Timestamp::START)).unwrap();
        assert_eq!(text, "1970-01-01T00:00:00.000Z attempt webhook=\"a \\\"b\\\"\\n\\u{1b}\" result=success took=7\n");
        let json = String::from_utf8(json_line(&entry, Timestamp::START)).unwrap();
        assert_eq!(json.matches('\n').count(), 1);
        let object: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            [&object["level"], &object["message"], &object["webhook"], &object["took"]],
            [&"info".into(), &"attempt".into(), &"a \"b\"\n\u{1b}".into(), &7.into()] as [&serde_json::Value; 4]
        );
    }
}

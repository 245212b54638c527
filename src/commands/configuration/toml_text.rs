//! Writes values as TOML 1.0. The library would leave unsafe characters unescaped; here every string is a basic one.

use std::fmt::Write as _;

use serde_json::Value;

use crate::output::is_unsafe;

/// `key = value`; a text of several lines is written as such.
pub fn assignment(key: &str, value: &Value) -> String {
    match value {
        Value::String(text) if text.contains('\n') => {
            let lines: Vec<String> = text.split('\n').map(escaped).collect();
            format!("{key} = \"\"\"\n{}\"\"\"", lines.join("\n"))
        }
        value => format!("{key} = {}", inline(value)),
    }
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(text) => format!("\"{}\"", escaped(text)),
        Value::Array(items) => format!("[{}]", items.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Object(members) if members.is_empty() => "{}".to_owned(),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("\"{}\" = {}", escaped(key), inline(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        // TOML has no null; it does not occur.
        Value::Null => "\"\"".to_owned(),
        value @ (Value::Bool(_) | Value::Number(_)) => value.to_string(),
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => safe.extend(['\\', c]),
            '\n' => safe += "\\n",
            '\t' => safe += "\\t",
            c if is_unsafe(c) => write!(safe, "\\U{:08x}", u32::from(c)).expect("writing to a String cannot fail"),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_is_read_back_exactly() {
        let hostile = "quote \" back \\ tab \t esc \u{1b} bidi \u{202e} sep \u{2028} end";
        let values = [
            json!("plain"),
            json!(hostile),
            json!("two\nlines\n"),
            json!("\r\n\"\"\" \\"),
            json!(["a", "b,c"]),
            json!([]),
            json!({}),
            json!({"X-A": "1", "odd \" key": hostile}),
            json!(12),
            json!(0.25),
            json!(true),
        ];
        for value in values {
            let text = assignment("key", &value);
            assert!(!text.contains(|c| is_unsafe(c) && c != '\n'), "{text:?}");
            let back: Value = toml::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(back["key"], value, "{text}");
        }
    }
}

//! The same JSON in the layouts that libraries write: for people, and to find out that a body was re-serialised on its way.

use std::fmt::Write as _;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// JSON indented for people; only white space is changed.
pub fn indented(json: &RawValue) -> Vec<u8> {
    let json = json.get().as_bytes();
    Layout::Indented(2).laid_out(json, usize::MAX).unwrap_or_default()
}

/// How a library writes JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Without blanks: JavaScript, Go, PHP, Rust.
    Compact,
    /// A blank after each comma and colon: Python.
    Spaced,
    /// A line for each item, indented by this many spaces a level.
    Indented(usize),
    /// As it is, with all but ASCII written as `\uxxxx`: Python, PHP, Meta.
    Escaped,
}

/// A layout larger than this many times the original, and a little more, is not worth trying; deep nesting gets there.
const MOST_GROWTH: usize = 8;

impl Layout {
    pub const ALL: [Layout; 5] =
        [Layout::Compact, Layout::Spaced, Layout::Indented(2), Layout::Indented(4), Layout::Escaped];

    /// `body` in this layout, its numbers, escapes and order of fields as they are; `None` if it is not JSON.
    pub fn of(self, body: &[u8]) -> Option<Vec<u8>> {
        serde_json::from_slice::<IgnoredAny>(body).ok()?;
        match self {
            Layout::Escaped => escaped(body),
            _ => self.laid_out(body, body.len() * MOST_GROWTH + 1_024),
        }
    }

    /// `None` if there would be more than `limit` bytes.
    fn laid_out(self, body: &[u8], limit: usize) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(body.len() * 2);
        let mut depth = 0;
        let mut rest = body.trim_ascii();
        while let [byte, after @ ..] = rest {
            let next = after.trim_ascii_start();
            rest = next;
            match byte {
                b'"' => {
                    let (string, after_string) = split_string(after);
                    out.push(b'"');
                    out.extend_from_slice(string);
                    rest = after_string.trim_ascii_start();
                }
                b'{' | b'[' => {
                    out.push(*byte);
                    if !matches!(next, [b'}' | b']', ..]) {
                        depth += 1;
                        self.break_line(depth, &mut out);
                    } else if let [close, after_close @ ..] = next {
                        out.push(*close);
                        rest = after_close.trim_ascii_start();
                    }
                }
                b'}' | b']' => {
                    depth -= 1;
                    self.break_line(depth, &mut out);
                    out.push(*byte);
                }
                b',' => {
                    out.push(b',');
                    match self {
                        Layout::Spaced => out.push(b' '),
                        _ => self.break_line(depth, &mut out),
                    }
                }
                b':' => out.extend_from_slice(if self == Layout::Compact { b":" } else { b": " }),
                _ => out.push(*byte),
            }
            if out.len() > limit {
                return None;
            }
        }
        Some(out)
    }

    fn break_line(self, depth: usize, out: &mut Vec<u8>) {
        if let Layout::Indented(width) = self {
            out.push(b'\n');
            out.resize(out.len() + depth * width, b' ');
        }
    }
}

/// A string's bytes to its closing quote included, and what follows it; `text` begins after the opening quote.
fn split_string(text: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    let end = text.iter().position(|byte| {
        let closes = *byte == b'"' && !escaped;
        escaped = *byte == b'\\' && !escaped;
        closes
    });
    text.split_at(end.map_or(text.len(), |quote| quote + 1))
}

/// With everything outside ASCII as lower-case `\uxxxx` escapes; `None` when there is nothing to escape.
fn escaped(body: &[u8]) -> Option<Vec<u8>> {
    let text = str::from_utf8(body).ok().filter(|text| !text.is_ascii())?;
    let mut out = String::with_capacity(body.len() * 2);
    for character in text.chars() {
        match character {
            '\0'..='\x7f' => out.push(character),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").expect("writing to a String cannot fail");
                }
            }
        }
    }
    Some(out.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITTEN: &str = " {\"a\" :[1.50, -2e3,{ } ,[]],\n\"b\\\"} ,\": \"x : y,\"}\n";

    fn of(layout: Layout, text: &str) -> String {
        String::from_utf8(layout.of(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn each_layout_is_what_its_library_writes() {
        assert_eq!(of(Layout::Compact, WRITTEN), r#"{"a":[1.50,-2e3,{},[]],"b\"} ,":"x : y,"}"#);
        assert_eq!(of(Layout::Spaced, WRITTEN), r#"{"a": [1.50, -2e3, {}, []], "b\"} ,": "x : y,"}"#);
        assert_eq!(of(Layout::Indented(2), r#"{"a":[1,{}],"b":{"c":null}}"#), serde_pretty());
    }

    fn serde_pretty() -> String {
        serde_json::to_string_pretty(&serde_json::json!({"a": [1, {}], "b": {"c": null}})).unwrap()
    }

    #[test]
    fn indented_json_keeps_all_but_the_blanks() {
        let indented = |json| String::from_utf8(indented(serde_json::from_str(json).unwrap())).unwrap();
        let expected =
            "{\n  \"a\": [\n    1.0,\n    -0,\n    {},\n    []\n  ],\n  \"b\\\"{\\\\\": \"x, y: [\",\n  \"c\": null\n}";
        assert_eq!(indented(r#"{"a":[1.0, -0,{}, [ ]],"b\"{\\":"x, y: [","c":null}"#), expected);
        assert_eq!(indented(" \"a\" "), "\"a\"");
    }

    #[test]
    fn escapes_are_lower_case_and_by_utf16_unit() {
        assert_eq!(of(Layout::Escaped, "{\"é\":\"😀\"}"), r#"{"\u00e9":"\ud83d\ude00"}"#);
        assert_eq!(Layout::Escaped.of(b"{}"), None);
    }

    #[test]
    fn what_is_not_json_has_no_layout() {
        for text in ["", "{", "a: b", "{}{}", "\"\\"] {
            assert_eq!(Layout::Compact.of(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn deep_nesting_is_not_blown_up() {
        let deep = [vec![b'['; 50_000], vec![b']'; 50_000]].concat();
        assert_eq!(Layout::Indented(4).of(&deep), None);
    }
}

//! Writes JSON in which unsafe characters are `\uXXXX`, so that the parsed value is exact.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeSeq as _, Serializer as _};
use serde_json::Serializer;
use serde_json::ser::PrettyFormatter;

use super::closed::write_error;
use super::escape::is_unsafe;

/// Writes one value on one line, without a line feed.
pub fn compact<T: Serialize + ?Sized>(out: &mut impl Write, value: &T) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::new(Escaping { out, has_lines: false }))?)
}

/// Writes one value indented, without a final line feed.
pub fn pretty<T: Serialize + ?Sized>(out: &mut impl Write, value: &T) -> io::Result<()> {
    Ok(value.serialize(&mut indented(out))?)
}

/// Writes raw JSON on one line and escapes the unsafe characters in its strings.
pub fn escaped(out: &mut impl Write, json: &str) -> io::Result<()> {
    Escaping { out, has_lines: false }.write_all(json.as_bytes())
}

/// Writes the values as one indented array, streamed, without a final line feed.
pub fn array<T: Serialize>(
    out: &mut impl Write,
    values: impl IntoIterator<Item = anyhow::Result<T>>,
) -> anyhow::Result<()> {
    let mut serializer = indented(out);
    let mut array = serializer.serialize_seq(None).map_err(write_error)?;
    for value in values {
        array.serialize_element(&value?).map_err(write_error)?;
    }
    array.end().map_err(write_error)
}

fn indented<W: Write>(out: &mut W) -> Serializer<Escaping<'_, W>, PrettyFormatter<'static>> {
    Serializer::with_formatter(Escaping { out, has_lines: true }, PrettyFormatter::new())
}

/// Escapes serialised JSON.
///
/// serde_json escapes the C0 characters in strings, so the remaining ones are white space of raw JSON. All other unsafe
/// characters can only be in a string.
struct Escaping<'a, W> {
    out: &'a mut W,
    /// Whether line feeds are kept.
    has_lines: bool,
}

impl<W: Write> Write for Escaping<'_, W> {
    /// serde_json writes whole characters.
    fn write(&mut self, json: &[u8]) -> io::Result<usize> {
        let text = std::str::from_utf8(json).map_err(io::Error::other)?;
        let mut written = 0;
        for (index, character) in text.match_indices(is_unsafe) {
            self.out.write_all(&json[written..index])?;
            match character {
                "\n" if self.has_lines => self.out.write_all(b"\n")?,
                "\n" | "\r" | "\t" => self.out.write_all(b" ")?,
                _ => character.encode_utf16().try_for_each(|unit| write!(self.out, "\\u{unit:04x}"))?,
            }
            written = index + character.len();
        }
        self.out.write_all(&json[written..])?;
        Ok(json.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::value::RawValue;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn unsafe_characters_are_escaped_and_read_back_exactly() {
        let hostile: String = ('\u{0}'..='\u{e007f}').filter(|c| is_unsafe(*c)).collect();
        let json = text(|out| compact(out, &hostile).unwrap());
        assert!(!json.contains(is_unsafe), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
    }

    #[test]
    fn keys_are_escaped_too() {
        let map = std::collections::BTreeMap::from([("a\u{202e}\u{9b}", 1)]);
        assert_eq!(text(|out| compact(out, &map).unwrap()), r#"{"a\u202e\u009b":1}"#);
    }

    #[test]
    fn json_taken_over_keeps_its_numbers_and_keys_on_one_line() {
        let raw: Box<RawValue> =
            serde_json::from_str("{\n\t\"a\": 12345678901234567890.10,\r\n\"a\": \"\u{7f}\u{2028}\"}").unwrap();
        let json = text(|out| compact(out, &raw).unwrap());
        assert_eq!(json, "{  \"a\": 12345678901234567890.10,  \"a\": \"\\u007f\\u2028\"}");
    }

    #[test]
    fn indented_json_that_was_taken_over_holds_no_return_and_no_tab() {
        let raw: Box<RawValue> = serde_json::from_str("[\r\n\t\"\u{9b}\"]").unwrap();
        assert_eq!(text(|out| pretty(out, &raw).unwrap()), "[ \n \"\\u009b\"]");
    }

    #[test]
    fn an_empty_array_is_two_brackets() {
        assert_eq!(text(|out| array(out, Vec::<anyhow::Result<u8>>::new()).unwrap()), "[]");
    }

    #[test]
    fn an_array_is_indented() {
        assert_eq!(text(|out| array(out, [Ok(1), Ok(2)]).unwrap()), "[\n  1,\n  2\n]");
    }
}

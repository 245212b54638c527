//! JSON whose strings hold no raw unsafe character: each is a `\uXXXX`, so the parsed value is exact.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeSeq as _, Serializer as _};
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};

use super::closed::write_error;
use super::escape::is_unsafe;

/// Writes one value on one line, without the line's end.
pub fn compact<T: Serialize + ?Sized>(out: &mut impl Write, value: &T) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Safe(CompactFormatter)))?)
}

/// Writes one value indented, without the last line's end.
pub fn pretty<T: Serialize + ?Sized>(out: &mut impl Write, value: &T) -> io::Result<()> {
    Ok(value.serialize(&mut Serializer::with_formatter(out, Safe(PrettyFormatter::new())))?)
}

/// Writes the values as one indented array, each as it comes, without the last line's end.
pub fn array<T: Serialize>(
    out: &mut impl Write,
    values: impl IntoIterator<Item = anyhow::Result<T>>,
) -> anyhow::Result<()> {
    let mut serializer = Serializer::with_formatter(out, Safe(PrettyFormatter::new()));
    let mut array = serializer.serialize_seq(None).map_err(write_error)?;
    for value in values {
        array.serialize_element(&value?).map_err(write_error)?;
    }
    array.end().map_err(write_error)
}

/// A layout (compact or indented) with unsafe characters escaped.
struct Safe<F>(F);

impl<F: Formatter> Formatter for Safe<F> {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        write_escaped(out, fragment)
    }

    /// JSON taken over as it is: its strings can hold unsafe characters other than C0, and C0 occurs only as the
    /// white space between its parts, which would break a line.
    fn write_raw_fragment<W: Write + ?Sized>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        for (index, part) in fragment.split(['\n', '\r', '\t']).enumerate() {
            if index > 0 {
                out.write_all(b" ")?;
            }
            write_escaped(out, part)?;
        }
        Ok(())
    }

    fn begin_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_array(out)
    }

    fn end_array<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array(out)
    }

    fn begin_array_value<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_array_value(out, first)
    }

    fn end_array_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_array_value(out)
    }

    fn begin_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object(out)
    }

    fn end_object<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object(out)
    }

    fn begin_object_key<W: Write + ?Sized>(&mut self, out: &mut W, first: bool) -> io::Result<()> {
        self.0.begin_object_key(out, first)
    }

    fn begin_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.begin_object_value(out)
    }

    fn end_object_value<W: Write + ?Sized>(&mut self, out: &mut W) -> io::Result<()> {
        self.0.end_object_value(out)
    }
}

fn write_escaped<W: Write + ?Sized>(out: &mut W, text: &str) -> io::Result<()> {
    let mut written = 0;
    for (index, c) in text.match_indices(is_unsafe) {
        out.write_all(&text.as_bytes()[written..index])?;
        for unit in c.encode_utf16() {
            write!(out, "\\u{unit:04x}")?;
        }
        written = index + c.len();
    }
    out.write_all(&text.as_bytes()[written..])
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
    fn an_empty_array_is_two_brackets() {
        assert_eq!(text(|out| array(out, Vec::<anyhow::Result<u8>>::new()).unwrap()), "[]");
    }

    #[test]
    fn an_array_is_indented() {
        assert_eq!(text(|out| array(out, [Ok(1), Ok(2)]).unwrap()), "[\n  1,\n  2\n]");
    }
}

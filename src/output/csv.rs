//! CSV (RFC 4180 with `\n` line ends) for spreadsheets and scripts: the columns are the keys of the JSON output.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::ser::Serialize;
use serde_json::value::RawValue;

use super::escape::{escape, is_unsafe};
use super::json;
use crate::domain::members::Members;

/// Writes rows; the header is that of the first one.
#[derive(Default)]
pub struct Table {
    header: Option<Vec<String>>,
    row: Vec<u8>,
}

impl Table {
    /// Writes one row, and the header before the first. A key that the first row does not have gets no column.
    pub fn row<T: Serialize>(&mut self, out: &mut impl Write, value: &T) -> io::Result<()> {
        self.row.clear();
        json::compact(&mut self.row, value)?;
        let Members(fields) = serde_json::from_slice::<Members<&RawValue>>(&self.row)?;
        if self.header.is_none() {
            write_record(out, fields.iter().map(|(key, _)| guard(key)))?;
        }
        let header = self.header.get_or_insert_with(|| fields.iter().map(|(key, _)| key.clone()).collect());
        let cells = header.iter().enumerate().map(|(index, key)| match value_of(&fields, index, key) {
            Some(value) => cell(value),
            None => Cow::Borrowed(""),
        });
        write_record(out, cells)
    }
}

fn value_of<'a>(fields: &[(String, &'a RawValue)], index: usize, key: &str) -> Option<&'a str> {
    let here = fields.get(index).filter(|(name, _)| name == key);
    here.or_else(|| fields.iter().find(|(name, _)| name == key)).map(|(_, value)| value.get())
}

/// A JSON value as a cell: text without quotes, nothing for null, anything else as JSON.
fn cell(value: &str) -> Cow<'_, str> {
    match value.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(value) {
            Ok(text) => Cow::Owned(guard(&text).into_owned()),
            // Raw JSON with a lone surrogate, which a Rust string cannot hold.
            Err(_) => Cow::Borrowed(value),
        },
        Some(b'n') => Cow::Borrowed(""),
        _ => Cow::Borrowed(value),
    }
}

/// Escapes the text and prefixes a quote if a spreadsheet would read it as a formula.
fn guard(text: &str) -> Cow<'_, str> {
    let begins_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
    if begins_formula && !is_plain_number(text) {
        return Cow::Owned(format!("'{}", escape(text)));
    }
    escape(text)
}

fn is_plain_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
}

fn write_record<'a>(out: &mut impl Write, cells: impl Iterator<Item = Cow<'a, str>>) -> io::Result<()> {
    for (index, cell) in cells.enumerate() {
        debug_assert!(!cell.contains(is_unsafe));
        if index > 0 {
            out.write_all(b",")?;
        }
        if cell.contains(['"', ',']) {
            write!(out, "\"{}\"", cell.replace('"', "\"\""))?;
        } else {
            out.write_all(cell.as_bytes())?;
        }
    }
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::*;

    fn csv<T: Serialize>(rows: &[T]) -> String {
        let (mut out, mut table) = (Vec::new(), Table::default());
        for row in rows {
            table.row(&mut out, row).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[derive(Serialize, Default)]
    struct Sample {
        zeta: &'static str,
        alpha: Option<i64>,
        nested: Vec<&'static str>,
        on: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        extra: Option<u8>,
    }

    #[test]
    fn the_header_is_the_keys_in_order_and_null_is_empty() {
        let rows = [Sample { zeta: "z", ..Sample::default() }];
        assert_eq!(csv(&rows), "zeta,alpha,nested,on\nz,,[],false\n");
    }

    #[test]
    fn nested_values_are_json_and_commas_and_quotes_are_quoted() {
        let rows = [Sample { zeta: "say \"hi\", twice", alpha: Some(7), nested: vec!["a", "b"], ..Sample::default() }];
        assert_eq!(csv(&rows).lines().nth(1).unwrap(), r#""say ""hi"", twice",7,"[""a"",""b""]",false"#);
    }

    #[test]
    fn a_row_with_other_keys_stays_under_the_header() {
        let rows = [Sample { extra: Some(1), ..Sample::default() }, Sample::default()];
        assert_eq!(csv(&rows), "zeta,alpha,nested,on,extra\n,,[],false,1\n,,[],false,\n");
    }

    #[test]
    fn a_cell_that_would_begin_a_formula_gets_a_quote() {
        for text in ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "=", "-", "-1.", "-5e3", "＝1"] {
            assert_eq!(guard(text), format!("'{text}"));
        }
        assert_eq!(guard("\t=1"), "'\\t=1");
    }

    #[test]
    fn plain_numbers_and_ordinary_text_stay_as_they_are() {
        for text in ["-5", "-5.25", "+49", "12", "a=b", "", "2026-01-31"] {
            assert_eq!(guard(text), text);
        }
        assert_eq!(csv(&[Sample { alpha: Some(-5), ..Sample::default() }]).lines().nth(1).unwrap(), ",-5,[],false");
    }

    #[test]
    fn a_value_that_is_no_object_is_an_error() {
        assert!(Table::default().row(&mut Vec::new(), &"text").is_err());
    }
}

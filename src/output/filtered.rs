//! `--jq`: JSON filtered by an expression; one result a line, strings without quotes.

use std::io::Write;

use anyhow::Result;

use super::closed::write_error;
use super::escape::escape;
use super::json;
use crate::error::{Failure, Kind};
use crate::jq::{Expression, Output};

/// Writes the results of the expression for a JSON value, also those before an error.
pub fn write(out: &mut impl Write, expression: &Expression, value: &[u8]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| Failure::new(Kind::Failed, format!("--jq: {error}"));
    for result in expression.run(value).map_err(|error| failed(&error))? {
        match result.map_err(|error| failed(&error))? {
            Output::Text(text) => out.write_all(shown(&text).as_bytes()).map_err(write_error)?,
            Output::Json(text) => json::escaped(out, &text).map_err(write_error)?,
        }
        out.write_all(b"\n").map_err(write_error)?;
    }
    Ok(())
}

/// The text with line feeds and tabs kept and every other unsafe character escaped.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for part in text.split_inclusive(['\n', '\t']) {
        let end = part.trim_end_matches(['\n', '\t']).len();
        shown += &escape(&part[..end]);
        shown += &part[end..];
    }
    shown
}

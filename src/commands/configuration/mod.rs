//! Webhooks and event types as a file: what `export` writes and `apply` reads.

pub mod entry;
pub mod fields;
pub mod toml_text;

use std::path::Path;

use crate::commands::arguments::read_input;
use crate::error::Failure;
use entry::Configuration;

/// The longest file, in bytes.
const LONGEST_FILE: usize = 16 * 1024 * 1024;

/// Reads a file, or stdin for `-`: JSON when it is named so or begins with a brace, else TOML.
pub fn read(name: &str) -> Result<Configuration, Failure> {
    let bytes = read_input("FILE", name, LONGEST_FILE)?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::option("FILE", "not UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let is_named_json = Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    // No TOML document begins with a brace.
    if is_named_json || text.trim_start().starts_with('{') {
        return serde_json::from_str(text).map_err(|error| broken(error.to_string()));
    }
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        broken(format!("{} at line {line}", error.message()))
    })
}

fn broken(reason: String) -> Failure {
    Failure::option("FILE", reason.replace('\n', " ")).hint("`hookctl export` shows the form and the keys")
}

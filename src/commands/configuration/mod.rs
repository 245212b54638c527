//! The configuration file, which `export` writes and `apply` reads.

pub mod entry;
pub mod place;
pub mod toml_text;

use std::path::Path;

use serde::de::DeserializeOwned;

use crate::commands::arguments::read_input;
use crate::error::Failure;
use entry::{Configuration, Tables};

/// The longest JSON file, in bytes.
const LONGEST_JSON: usize = 16 * 1024 * 1024;
/// The longest TOML file, in bytes: its parser needs about 50 times as much memory.
const LONGEST_TOML: usize = 4 * 1024 * 1024;

/// Reads a file, or stdin for `-`: JSON if its name ends in .json or it begins with a brace, else TOML.
pub fn read(name: &str) -> Result<Configuration, Failure> {
    let bytes = read_input("FILE", name, LONGEST_JSON)?;
    let text = String::from_utf8(bytes).map_err(|_| Failure::option("FILE", "not UTF-8"))?;
    let is_named_json = Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("json"));
    parse(&text, is_named_json)
}

/// Reads the text of a file.
pub fn parse(text: &str, is_named_json: bool) -> Result<Configuration, Failure> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // No TOML document begins with a brace.
    match is_named_json || text.trim_start().starts_with('{') {
        true => {
            let tables: Tables = serde_json::from_str(text).map_err(|error| broken(error.to_string()))?;
            Configuration::new(tables.without_nulls())
        }
        false => Configuration::new(from_toml(text)?),
    }
}

fn from_toml<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    if text.len() > LONGEST_TOML {
        let reason = format!("it holds more than {LONGEST_TOML} bytes of TOML, the limit");
        return Err(Failure::option("FILE", reason).hint("write it as JSON: hookctl export --format json"));
    }
    toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        broken(format!("{} at line {line}", error.message()))
    })
}

fn broken(reason: String) -> Failure {
    Failure::option("FILE", reason.replace('\n', " ")).hint("`hookctl export` shows the form and the keys")
}

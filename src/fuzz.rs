//! What is fuzzed: one function for each place where bytes come in from outside. Each panics when a promise is broken.
//! cargo-fuzz calls them from `fuzz/targets/`; `cargo test` calls them with the saved inputs and with changes of them.

#![expect(clippy::missing_panics_doc, reason = "a panic is how a fault is told")]

mod answer;
mod database;
mod shaping;
mod text;

#[cfg(test)]
mod tests;

pub use answer::answer;
pub use database::database;
pub use shaping::{expression, preset, schema};
pub use text::{apply_json, apply_toml, batch_line, headers_file, recording, url, verify};

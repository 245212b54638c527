//! `hookctl schemes`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::domain::duration;
use crate::domain::signature::{Scheme, schemes};
use crate::output::{Cell, Look, Row};

/// List the signature schemes: header, content, encoding, tolerance
///
/// Every one of them signs deliveries (`webhook create --signature`), and works with `sign` and `verify`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl schemes
  hookctl schemes -o json")]
pub struct Schemes {}

impl Schemes {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let rows = schemes::ALL.iter().map(|scheme| Ok(SchemeView::new(scheme)));
        context.out.list(rows, "there are no schemes")
    }
}

#[derive(Debug, Serialize)]
struct SchemeView {
    name: &'static str,
    title: &'static str,
    header: String,
    value: String,
    content: String,
    encoding: &'static str,
    algorithm: &'static str,
    /// The default tolerance; null if no time is signed.
    tolerance_seconds: Option<u32>,
    /// Every header that signing writes.
    headers: Vec<String>,
    aliases: &'static [&'static str],
    /// Whether --algorithm, --encoding, --prefix and --header apply.
    adjustable: bool,
}

impl SchemeView {
    fn new(scheme: &Scheme) -> SchemeView {
        SchemeView {
            name: scheme.name,
            title: scheme.title,
            header: scheme.header.to_string(),
            value: scheme.value_template(),
            content: scheme.content_template(),
            encoding: scheme.encoding.name(),
            algorithm: scheme.algorithm.name(),
            tolerance_seconds: scheme.time.map(|rule| rule.tolerance_seconds),
            headers: scheme.written_headers().map(str::to_owned).collect(),
            aliases: scheme.aliases,
            adjustable: scheme.adjustable,
        }
    }
}

impl Row for SchemeView {
    const COLUMNS: &'static [&'static str] =
        &["scheme", "sender", "header", "value", "signed content", "algorithm", "encoding", "tolerance", "also"];
    const SPARE: &'static [&'static str] = &["also", "sender", "algorithm", "encoding", "tolerance"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        let tolerance = self.tolerance_seconds.map(|seconds| duration::format(Duration::from_secs(seconds.into())));
        vec![
            Cell::id(self.name),
            self.title.into(),
            Cell::name(&self.header),
            Cell::plain(&self.value),
            Cell::plain(&self.content),
            self.algorithm.into(),
            self.encoding.into(),
            tolerance.into(),
            self.aliases.join(", ").into(),
        ]
    }
}

//! The output formats.

/// The format of the data on stdout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Columns and fields for people
    #[default]
    Table,
    /// One JSON document; a list is one array
    Json,
    /// One JSON object a line, streamed
    Jsonl,
    /// Comma-separated values with a header line
    Csv,
}

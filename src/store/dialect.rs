//! What cannot be one text for every engine, by name. Everything else in the store is spelled so that SQLite and PostgreSQL
//! read the same: `$1` parameters, bare booleans with TRUE and FALSE, qualified columns in ON CONFLICT, CASE for the lesser
//! of two values, an alias for each subquery, partial indexes in the words of the queries that they answer.

use std::borrow::Cow;

/// Which engine reads the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
}

impl Dialect {
    /// `column` is in the list that the parameter holds.
    pub fn one_of(self, column: &str, parameter: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} IN (SELECT value FROM json_each({parameter}))"),
        }
    }

    /// `column` matches the pattern in the parameter, which is a [`Dialect::pattern`].
    pub fn matches(self, column: &str, parameter: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} GLOB {parameter}"),
        }
    }

    /// A pattern of event types, in which `*` means any run of characters. To GLOB it means the same, and no other character
    /// of a pattern means anything.
    pub fn pattern(self, pattern: &str) -> Cow<'_, str> {
        match self {
            Dialect::Sqlite => Cow::Borrowed(pattern),
        }
    }

    /// After a SELECT in a write transaction: its rows stay as they were read. SQLite's transaction locks the whole file.
    pub fn for_update(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
        }
    }
}

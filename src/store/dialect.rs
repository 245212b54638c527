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
    /// Begins a transaction that writes. SQLite takes the lock of the whole file at once, so that two writers wait for each
    /// other and never deadlock.
    pub fn begin_write(self) -> &'static str {
        match self {
            Dialect::Sqlite => "BEGIN IMMEDIATE",
        }
    }

    /// Begins a transaction that reads one state of the database.
    pub fn begin_snapshot(self) -> &'static str {
        match self {
            Dialect::Sqlite => "BEGIN",
        }
    }

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

    /// What the JSON in `column` has at `key`, as text or NULL.
    pub fn setting(self, column: &str, key: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} ->> '{key}'"),
        }
    }

    /// After a SELECT in a write transaction: its rows stay as they were read. SQLite's transaction locks the whole file.
    pub fn for_update(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// What only SQLite reads, or reads otherwise, with what to write instead.
    const FOREIGN: &[(&str, &str)] = &[
        ("json_each", "Dialect::one_of"),
        (" GLOB ", "Dialect::matches"),
        ("INDEXED BY", "a condition in the words of the index, and a test of the plan"),
        ("iif(", "CASE"),
        ("PRAGMA", "a method in sqlite/"),
        ("rowid", "id, and Store::insert for the last one"),
        ("INSERT OR ", "ON CONFLICT"),
        (" IS TRUE", "the bare column"),
        ("(?", "$1"),
        ("= ?", "$1"),
        (" :now", "$1"),
        ("is_active = 1", "the bare column"),
        ("is_ordered = 1", "the bare column"),
        ("is_test = 0", "NOT and the bare column"),
    ];

    #[test]
    fn statements_are_spelled_so_that_both_engines_read_them() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store");
        let mut files = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() || path.ends_with("dialect.rs") {
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (number, line) in code.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                for (foreign, instead) in FOREIGN {
                    assert!(!line.contains(foreign), "{}:{}: write {instead}\n{line}", path.display(), number + 1);
                }
            }
        }
        assert!(files > 15, "the statements are elsewhere");
    }
}

//! What cannot be one text for every engine, by name. Everything else in the store is spelled so that SQLite and PostgreSQL
//! read the same: `$1` parameters, bare booleans with TRUE and FALSE, qualified columns in ON CONFLICT, CASE for the lesser
//! of two values, an alias for each subquery, partial indexes in the words of the queries that they answer.

use std::borrow::Cow;

/// Which engine reads the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    Sqlite,
    Postgres,
}

impl Dialect {
    /// Begins a transaction that writes alone. SQLite takes the lock of the whole file at once, so that two writers wait for
    /// each other and never deadlock; on a server those that begin in this way wait for each other.
    pub fn begin_alone(self) -> &'static [&'static str] {
        match self {
            Dialect::Sqlite => &["BEGIN IMMEDIATE"],
            // "hook" in ASCII, and the number of this lock.
            Dialect::Postgres => &["BEGIN", "SELECT pg_advisory_xact_lock(1752133483, 1)"],
        }
    }

    /// Begins a transaction that writes.
    pub fn begin_write(self) -> &'static [&'static str] {
        match self {
            Dialect::Sqlite => &["BEGIN IMMEDIATE"],
            Dialect::Postgres => &["BEGIN"],
        }
    }

    /// Begins a transaction that reads one state of the database.
    pub fn begin_snapshot(self) -> &'static [&'static str] {
        match self {
            Dialect::Sqlite => &["BEGIN"],
            Dialect::Postgres => &["BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"],
        }
    }

    /// `column` is in the list that the parameter holds.
    pub fn one_of(self, column: &str, parameter: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} IN (SELECT value FROM json_each({parameter}))"),
            Dialect::Postgres => format!("{column} = ANY({parameter})"),
        }
    }

    /// `column` matches the pattern in the parameter, which is a [`Dialect::pattern`].
    pub fn matches(self, column: &str, parameter: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} GLOB {parameter}"),
            Dialect::Postgres => format!("{column} LIKE {parameter}"),
        }
    }

    /// A pattern of event types, in which `*` means any run of characters. To GLOB it means the same, and no other character
    /// of a pattern means anything; LIKE has two others.
    pub fn pattern(self, pattern: &str) -> Cow<'_, str> {
        match self {
            Dialect::Sqlite => Cow::Borrowed(pattern),
            Dialect::Postgres => {
                let escaped = pattern.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
                Cow::Owned(escaped.replace('*', "%"))
            }
        }
    }

    /// What the JSON in `column` has at `key`, as text or NULL.
    pub fn setting(self, column: &str, key: &str) -> String {
        match self {
            Dialect::Sqlite => format!("{column} ->> '{key}'"),
            Dialect::Postgres => format!("CAST({column} AS json) ->> '{key}'"),
        }
    }

    /// How many deliveries the webhook of state `s` has had, those that were pruned included.
    pub fn total_deliveries(self) -> &'static str {
        match self {
            Dialect::Sqlite => "s.total_deliveries",
            Dialect::Postgres => {
                "(s.total_deliveries + (SELECT coalesce(sum(k.total_deliveries), 0) FROM delivery_counts k
                    WHERE k.webhook_id = s.webhook_id)::bigint)"
            }
        }
    }

    /// The column by whose indexes open deliveries are found; NULL once they are finished. On a server a claim leaves it as it
    /// was, so that it writes into no index.
    pub fn queued(self) -> &'static str {
        match self {
            Dialect::Sqlite => "due_at",
            Dialect::Postgres => "queued_at",
        }
    }

    /// Delivery `d` is due at the time that the parameter holds.
    pub fn is_due(self, parameter: &str) -> String {
        match self {
            Dialect::Sqlite => format!("d.due_at <= {parameter}"),
            Dialect::Postgres => format!("d.queued_at <= {parameter} AND d.due_at <= {parameter}"),
        }
    }

    /// Counts, from now on, the claims of a webhook that were made while their number did not matter.
    pub fn count_claims_made(self) -> Option<&'static str> {
        match self {
            Dialect::Sqlite => None,
            Dialect::Postgres => Some(
                "UPDATE deliveries SET due_before_claim = NULL WHERE webhook_id = $1 AND queued_at IS NOT NULL
                    AND claim_token IS NOT NULL AND due_before_claim IS NOT NULL",
            ),
        }
    }

    /// Takes back what was counted beside the state of webhooks.
    pub fn forget_slots(self) -> Option<&'static str> {
        match self {
            Dialect::Sqlite => None,
            Dialect::Postgres => Some("DELETE FROM delivery_counts"),
        }
    }

    /// Waits for the transactions that record attempts, each of which holds this lock beside the others.
    pub fn wait_for_recorders(self) -> Option<&'static str> {
        match self {
            Dialect::Sqlite => None,
            Dialect::Postgres => Some("SELECT pg_advisory_xact_lock(1752133483, 2)"),
        }
    }

    /// After a SELECT in a write transaction: its rows stay as they were read. SQLite's transaction locks the whole file.
    pub fn for_update(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR UPDATE",
        }
    }

    /// The same for rows that are not deleted meanwhile, whoever refers to them.
    pub fn for_change(self) -> &'static str {
        match self {
            Dialect::Sqlite => "",
            Dialect::Postgres => "FOR NO KEY UPDATE",
        }
    }

    /// Asks for the highest id that a row of the table ever had.
    pub fn last_id(self, table: &str) -> String {
        match self {
            Dialect::Sqlite => format!(
                "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{table}'), (SELECT max(id) FROM {table}), 0)"
            ),
            Dialect::Postgres => format!(
                "SELECT coalesce(pg_sequence_last_value(pg_get_serial_sequence('hookctl.{table}', 'id')),
                    (SELECT max(id) FROM {table}), 0)"
            ),
        }
    }

    /// A migration in the engine's words. It is written in SQLite's, but for the type BOOLEAN, which SQLite does not have, and
    /// `{, id}`: SQLite's indexes end in the row's id without being told.
    pub fn schema(self, migration: &str) -> String {
        let words: &[(&str, &str)] = match self {
            Dialect::Sqlite => &[("BOOLEAN", "INTEGER"), ("{, id}", "")],
            Dialect::Postgres => &[
                ("{, id}", ", id"),
                ("IN (0, 1)", "IN (FALSE, TRUE)"),
                ("BOOLEAN NOT NULL DEFAULT 0", "BOOLEAN NOT NULL DEFAULT FALSE"),
                (" STRICT, WITHOUT ROWID", ""),
                (" STRICT", ""),
                ("INTEGER PRIMARY KEY REFERENCES", "BIGINT PRIMARY KEY REFERENCES"),
                ("INTEGER PRIMARY KEY AUTOINCREMENT", "INTEGER PRIMARY KEY"),
                ("INTEGER PRIMARY KEY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
                ("INTEGER", "BIGINT"),
                ("BLOB", "BYTEA"),
                // By bytes, as SQLite compares, whatever the server's language.
                (" TEXT", " TEXT COLLATE \"C\""),
            ],
        };
        words.iter().fold(migration.to_owned(), |text, (word, meant)| text.replace(word, meant))
    }
}

#[cfg(test)]
mod tests {
    use super::Dialect;
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
        ("is_behind = 0", "NOT and the bare column"),
        ("is_test = 0", "NOT and the bare column"),
    ];

    #[test]
    fn a_pattern_means_the_same_to_both_engines() {
        assert_eq!(Dialect::Sqlite.pattern("time_entry.*"), "time_entry.*");
        assert_eq!(Dialect::Postgres.pattern("time_entry.*"), "time\\_entry.%");
        assert_eq!(Dialect::Postgres.pattern("*%\\"), "%\\%\\\\");
    }

    #[test]
    fn the_schema_is_spelled_for_each_engine() {
        for migration in crate::store::migrations::MIGRATIONS {
            let code = |text: String| -> String {
                text.lines().filter_map(|line| line.split("--").next()).collect::<Vec<_>>().join("\n")
            };
            let (sqlite, postgres) =
                (code(Dialect::Sqlite.schema(migration)), code(Dialect::Postgres.schema(migration)));
            for foreign in ["INTEGER", "BLOB", "STRICT", "AUTOINCREMENT", "ROWID", "{", "TEXT,", "TEXT NOT"] {
                assert!(!postgres.contains(foreign), "{foreign}");
            }
            for foreign in ["BOOLEAN", "{"] {
                assert!(!sqlite.contains(foreign), "{foreign}");
            }
        }
    }

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

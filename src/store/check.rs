//! Looking for damage: in the file, in its schema, and in what the rows say of each other.

use std::collections::BTreeMap;

use rusqlite::named_params;

use super::{Result, Store};
use crate::domain::time::Timestamp;
use crate::domain::webhook::LONGEST_TIMEOUT_MS;

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// SQLite's own check of every page and index.
    Integrity,
    /// Rows that point at rows that are gone.
    ForeignKeys,
    /// Tables and indexes as the migrations make them.
    Schema,
    /// The webhooks' counters against the rows and what was pruned of them.
    Counters,
    /// Statuses and due times that go together.
    Deliveries,
    /// Claims that no process can still hold.
    Claims,
    /// Each delivery's attempts, numbered without a gap.
    Attempts,
    /// Rows from the future: the clock was set back.
    Clock,
    /// The write-ahead log holds nothing that was deleted.
    Journal,
}

impl Check {
    /// Every check, in the order in which they are made.
    pub const ALL: [Check; 9] = [
        Check::Integrity,
        Check::ForeignKeys,
        Check::Schema,
        Check::Counters,
        Check::Deliveries,
        Check::Claims,
        Check::Attempts,
        Check::Clock,
        Check::Journal,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Check::Integrity => "integrity",
            Check::ForeignKeys => "foreign_keys",
            Check::Schema => "schema",
            Check::Counters => "counters",
            Check::Deliveries => "deliveries",
            Check::Claims => "claims",
            Check::Attempts => "attempts",
            Check::Clock => "clock",
            Check::Journal => "journal",
        }
    }
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Which check found it.
    pub check: Check,
    /// What is wrong, with how much of it.
    pub message: String,
    /// Whether [`Store::fix`] mends it.
    pub is_fixable: bool,
}

/// A row may be so far ahead of the clock, in milliseconds: clocks are adjusted a little all the time.
pub(super) const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// A lease never lasts longer, in milliseconds: the longest time-out and the engine's margin, generously.
const LONGEST_LEASE_MS: i64 = LONGEST_TIMEOUT_MS + 60_000;

impl Store {
    /// Makes one check on a snapshot of its own. Integrity reads the whole file.
    pub fn check(&self, check: Check, now: Timestamp) -> Result<Vec<Finding>> {
        self.snapshot(|| match check {
            Check::Integrity => self.check_integrity(),
            Check::ForeignKeys => self.check_foreign_keys(),
            Check::Schema => Ok(self
                .schema_differences()?
                .into_iter()
                .map(|(message, repair)| Finding { check, message, is_fixable: repair.is_some() })
                .collect()),
            Check::Counters => self.check_counters(),
            Check::Deliveries => self.check_rows(check, DELIVERY_RULES, now),
            Check::Claims => self.check_rows(check, CLAIM_RULES, now),
            Check::Attempts => self.check_rows(check, ATTEMPT_RULES, now),
            Check::Clock => self.check_rows(check, CLOCK_RULES, now),
            Check::Journal => Ok(self.check_journal()),
        })
    }

    /// Mends what can be mended from the rows alone. Runs in the caller's transaction.
    pub fn fix(&self, now: Timestamp) -> Result<()> {
        for repair in self.schema_differences()?.into_iter().filter_map(|(_, repair)| repair) {
            self.connection.execute_batch(&repair)?;
        }
        self.connection.execute_batch(
            "UPDATE deliveries SET due_at = NULL WHERE due_at IS NOT NULL AND status IN ('success', 'failed', 'cancelled');
             UPDATE deliveries SET claim_token = NULL WHERE claim_token IS NOT NULL AND due_at IS NULL;",
        )?;
        self.connection.execute(
            "UPDATE deliveries SET due_at = :now, claim_token = NULL
             WHERE due_at IS NULL AND status IN ('pending', 'retrying')",
            named_params! { ":now": now },
        )?;
        self.mend_clock(now)?;
        self.connection.execute_batch(
            "UPDATE webhook_state SET (total_deliveries, successful_deliveries, failed_deliveries) = (
                SELECT count(*) + pruned_total, count(*) FILTER (WHERE d.status = 'success') + pruned_successful,
                       count(*) FILTER (WHERE d.status = 'failed') + pruned_failed
                FROM deliveries d WHERE d.webhook_id = webhook_state.webhook_id AND d.is_test = 0)",
        )?;
        Ok(())
    }

    fn check_journal(&self) -> Vec<Finding> {
        let finding = Finding {
            check: Check::Journal,
            message: "what was deleted is still in the write-ahead log, which another process was reading; the next \
                      command that writes removes it"
                .to_owned(),
            is_fixable: true,
        };
        self.has_unerased().then_some(finding).into_iter().collect()
    }

    fn check_integrity(&self) -> Result<Vec<Finding>> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check(20)")?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
        let finding = |message| Finding { check: Check::Integrity, message, is_fixable: false };
        Ok(lines.into_iter().filter(|line| line != "ok").map(finding).collect())
    }

    fn check_foreign_keys(&self) -> Result<Vec<Finding>> {
        let mut statement = self.connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        let mut orphans: BTreeMap<(String, String), u64> = BTreeMap::new();
        while let Some(row) = rows.next()? {
            *orphans.entry((row.get(0)?, row.get(2)?)).or_default() += 1;
        }
        let finding = |((table, parent), count)| Finding {
            check: Check::ForeignKeys,
            message: format!("{count} rows of {table} belong to rows of {parent} that are gone"),
            is_fixable: false,
        };
        Ok(orphans.into_iter().map(finding).collect())
    }

    /// What differs from the schema that the migrations make, each with the statement that mends it where one does.
    fn schema_differences(&self) -> Result<Vec<(String, Option<String>)>> {
        let (expected, mut found) = (Store::empty()?.schema()?, self.schema()?);
        let mut differences = Vec::new();
        for ((kind, name), sql) in expected {
            match found.remove(&(kind.clone(), name.clone())) {
                Some(same) if same == sql => {}
                Some(_) => differences.push((format!("the {kind} {name} is not as hookctl makes it"), None)),
                None => differences.push((format!("the {kind} {name} is missing"), Some(sql))),
            }
        }
        differences
            .extend(found.into_keys().map(|(kind, name)| (format!("the {kind} {name} is none of hookctl's"), None)));
        Ok(differences)
    }

    fn schema(&self) -> Result<BTreeMap<(String, String), String>> {
        let mut statement = self.connection.prepare(
            "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?;
        let rows = statement.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn check_counters(&self) -> Result<Vec<Finding>> {
        let mut statement = self.connection.prepare(
            "SELECT w.name, s.total_deliveries, s.successful_deliveries, s.failed_deliveries,
                count(d.id) + s.pruned_total,
                count(d.id) FILTER (WHERE d.status = 'success') + s.pruned_successful,
                count(d.id) FILTER (WHERE d.status = 'failed') + s.pruned_failed
             FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id LEFT JOIN deliveries d ON d.webhook_id = w.id AND d.is_test = 0
             GROUP BY w.id ORDER BY w.id",
        )?;
        let mut rows = statement.query([])?;
        let mut findings = Vec::new();
        while let Some(row) = rows.next()? {
            let name: String = row.get(0)?;
            for (index, counter) in ["total", "successful", "failed"].iter().enumerate() {
                let (said, counted): (i64, i64) = (row.get(1 + index)?, row.get(4 + index)?);
                if said != counted {
                    findings.push(Finding {
                        check: Check::Counters,
                        message: format!("webhook '{name}': {counter}_deliveries says {said}, the rows say {counted}"),
                        is_fixable: true,
                    });
                }
            }
        }
        Ok(findings)
    }

    fn check_rows(&self, check: Check, rules: &[Rule], now: Timestamp) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for rule in rules {
            let ahead = now.plus_millis(CLOCK_TOLERANCE_MS);
            let longest = now.plus_millis(LONGEST_LEASE_MS);
            let mut statement = self.connection.prepare(rule.count)?;
            for (name, value) in [(":ahead", ahead), (":longest", longest)] {
                if let Some(index) = statement.parameter_index(name)? {
                    statement.raw_bind_parameter(index, value)?;
                }
            }
            let count: i64 = {
                let mut rows = statement.raw_query();
                rows.next()?.map_or(Ok(0), |row| row.get(0))?
            };
            if count > 0 {
                findings.push(Finding {
                    check,
                    message: format!("{count} {}", rule.message),
                    is_fixable: rule.is_fixable,
                });
            }
        }
        Ok(findings)
    }
}

/// A query that counts the rows which break a rule, and how that reads after the number.
struct Rule {
    count: &'static str,
    message: &'static str,
    is_fixable: bool,
}

const DELIVERY_RULES: &[Rule] = &[
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE due_at IS NULL AND status IN ('pending', 'retrying')",
        message: "deliveries wait for an attempt and are never due",
        is_fixable: true,
    },
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL AND status NOT IN ('pending', 'retrying')",
        message: "deliveries are finished and due all the same",
        is_fixable: true,
    },
];

/// A lease that ran out is none of these: the next drain takes it up.
const CLAIM_RULES: &[Rule] = &[
    Rule {
        // One that was cancelled during its attempt keeps its claim, so that a success is recorded after all.
        count: "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL AND due_at IS NULL AND status <> 'cancelled'",
        message: "finished deliveries are still claimed",
        is_fixable: true,
    },
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL AND due_at > :longest",
        message: "claims last longer than any attempt may: the clock was set back",
        is_fixable: true,
    },
];

const ATTEMPT_RULES: &[Rule] = &[Rule {
    count: "SELECT count(*) FROM (
                SELECT d.attempt_count AS said, count(a.id) AS counted, coalesce(max(a.attempt_number), 0) AS last
                FROM deliveries d LEFT JOIN attempts a ON a.delivery_id = d.id GROUP BY d.id)
            WHERE said <> counted OR counted <> last",
    message: "deliveries have a gap in the log of their attempts",
    is_fixable: false,
}];

const CLOCK_RULES: &[Rule] = &[
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE created_at > :ahead",
        message: "deliveries were created in the future: the clock was set back since",
        is_fixable: false,
    },
    Rule {
        count: "SELECT count(*) FROM attempts WHERE completed_at > :ahead",
        message: "attempts were made in the future: the clock was set back since",
        is_fixable: false,
    },
];

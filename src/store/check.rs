//! Checks for damage: of the file, its schema, and relations between rows.

use super::dialect::Dialect;
use super::row::{one, pair};
use super::value::params;
use super::{Engine, Result, Store};
use crate::domain::time::Timestamp;
use crate::domain::webhook::LONGEST_TIMEOUT_MS;

/// One kind of check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Check {
    /// SQLite's own check of every page and index.
    Integrity,
    /// Rows that refer to missing rows.
    ForeignKeys,
    /// Tables and indexes are those of the migrations.
    Schema,
    /// The webhooks' counters match the rows and the number of pruned ones.
    Counters,
    /// Statuses and due times are consistent.
    Deliveries,
    /// No claim is held longer than a lease lasts.
    Claims,
    /// The attempts of each delivery are numbered without gaps.
    Attempts,
    /// No times in the future, as after the clock was set back.
    Clock,
    /// The write-ahead log contains nothing that was deleted.
    Journal,
}

impl Check {
    /// All checks, in the order in which they run.
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

    /// Whether it is about the file: on a server these are the server's own to keep.
    fn is_of_file(self) -> bool {
        matches!(self, Check::Integrity | Check::Journal)
    }
}

/// A problem that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub check: Check,
    /// What is wrong, with the number of cases.
    pub message: String,
    /// Whether [`Store::fix`] repairs it.
    pub is_fixable: bool,
}

/// How far in the future a time may be, in milliseconds: clocks are adjusted a little all the time.
pub(super) const CLOCK_TOLERANCE_MS: i64 = 60_000;
/// More than the longest lease, in milliseconds: the longest time-out and the engine's margin.
const LONGEST_LEASE_MS: i64 = LONGEST_TIMEOUT_MS + 60_000;

impl Store {
    /// The checks that apply to this database, in their order.
    pub fn checks(&self) -> Vec<Check> {
        let is_file = matches!(self.engine, Engine::Sqlite(_));
        Check::ALL.into_iter().filter(|check| is_file || !check.is_of_file()).collect()
    }

    /// Runs one check on a snapshot of its own. `Integrity` reads the whole file.
    pub fn check(&self, check: Check, now: Timestamp) -> Result<Vec<Finding>> {
        self.snapshot(|| match check {
            Check::Integrity => self.check_integrity(),
            Check::ForeignKeys if self.dialect() == Dialect::Postgres => {
                self.check_rows(check, SERVER_REFERENCE_RULES, now)
            }
            Check::ForeignKeys => self.check_foreign_keys(),
            Check::Schema if self.dialect() == Dialect::Postgres => self.missing_on_server(),
            Check::Schema => self.schema_findings(),
            Check::Counters => self.check_counters(),
            Check::Deliveries => self.check_rows(check, DELIVERY_RULES, now),
            Check::Claims => self.check_rows(check, CLAIM_RULES, now),
            Check::Attempts => self.check_rows(check, ATTEMPT_RULES, now),
            Check::Clock => self.check_rows(check, CLOCK_RULES, now),
            Check::Journal => self.check_journal(),
        })
    }

    /// Repairs what can be derived from other rows. Runs in the caller's transaction.
    pub fn fix(&self, now: Timestamp) -> Result<()> {
        match self.dialect() {
            Dialect::Sqlite => self.repair_schema()?,
            Dialect::Postgres => self.repair_on_server()?,
        }
        for sql in [
            "UPDATE deliveries SET due_at = NULL WHERE due_at IS NOT NULL AND status IN ('success', 'failed', 'cancelled')",
            "UPDATE deliveries SET claim_token = NULL
             WHERE claim_token IS NOT NULL AND due_at IS NULL AND status <> 'cancelled'",
            // Claims find out again which deliveries are behind others.
            "UPDATE deliveries SET is_behind = FALSE WHERE is_behind",
        ] {
            self.execute(sql, &[])?;
        }
        self.execute(
            "UPDATE deliveries SET due_at = $1, claim_token = NULL
             WHERE due_at IS NULL AND status IN ('pending', 'retrying')",
            params![now],
        )?;
        self.mend_clock(now)?;
        if let Some(sql) = self.dialect().forget_slots() {
            self.execute(sql, &[])?;
        }
        self.execute(
            "UPDATE webhook_state SET (total_deliveries, successful_deliveries, failed_deliveries) = (
                SELECT count(*) + pruned_total, count(*) FILTER (WHERE d.status = 'success') + pruned_successful,
                       count(*) FILTER (WHERE d.status = 'failed') + pruned_failed
                FROM deliveries d WHERE d.webhook_id = webhook_state.webhook_id AND NOT d.is_test)",
            &[],
        )?;
        Ok(())
    }

    fn check_counters(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        let sql = format!(
            "SELECT w.name, {}, count(d.id) + s.pruned_total,
                s.successful_deliveries, count(d.id) FILTER (WHERE d.status = 'success') + s.pruned_successful,
                s.failed_deliveries, count(d.id) FILTER (WHERE d.status = 'failed') + s.pruned_failed
             FROM webhooks w JOIN webhook_state s ON s.webhook_id = w.id
             LEFT JOIN deliveries d ON d.webhook_id = w.id AND NOT d.is_test
             GROUP BY w.id, s.webhook_id ORDER BY w.id",
            self.dialect().total_deliveries()
        );
        self.each(&sql, &[], |row| {
            let name: String = row.next()?;
            for counter in ["total", "successful", "failed"] {
                let (said, counted): (i64, i64) = pair(row)?;
                if said != counted {
                    findings.push(Finding {
                        check: Check::Counters,
                        message: format!("webhook '{name}': {counter}_deliveries says {said}, the rows say {counted}"),
                        is_fixable: true,
                    });
                }
            }
            Ok(())
        })?;
        Ok(findings)
    }

    fn check_rows(&self, check: Check, rules: &[Rule], now: Timestamp) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for rule in rules {
            let latest = rule.latest_ms.map(|millis| now.plus_millis(millis).into());
            let count: u64 = self.only(rule.count, latest.as_slice(), one)?;
            if count > 0 {
                let message = format!("{count} {}", rule.message);
                findings.push(Finding { check, message, is_fixable: rule.is_fixable });
            }
        }
        Ok(findings)
    }
}

/// A query that counts the rows that break a rule, and the message that follows the number.
struct Rule {
    /// Its parameter, if it has one, is the time `latest_ms` from now.
    count: &'static str,
    latest_ms: Option<i64>,
    message: &'static str,
    is_fixable: bool,
}

const DELIVERY_RULES: &[Rule] = &[
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE due_at IS NULL AND status IN ('pending', 'retrying')",
        latest_ms: None,
        message: "deliveries wait for an attempt and are never due",
        is_fixable: true,
    },
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE due_at IS NOT NULL AND status NOT IN ('pending', 'retrying')",
        latest_ms: None,
        message: "deliveries are finished and due all the same",
        is_fixable: true,
    },
    Rule {
        count: "SELECT count(*) FROM deliveries d WHERE d.is_behind AND d.due_at IS NOT NULL AND NOT EXISTS (
                SELECT 1 FROM deliveries e WHERE e.webhook_id = d.webhook_id AND e.line = d.line AND e.due_at IS NOT NULL
                    AND e.id < d.id)",
        latest_ms: None,
        message: "deliveries are marked as waiting though none with their ordering key is before them",
        is_fixable: true,
    },
    Rule {
        count: "SELECT count(*) FROM deliveries d WHERE d.body_id IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM bodies b WHERE b.id = d.body_id AND b.event_id = d.event_id)",
        latest_ms: None,
        message: "deliveries send a body that is gone",
        is_fixable: false,
    },
];

/// An expired lease is not a problem: the next drain claims the delivery.
const CLAIM_RULES: &[Rule] = &[
    Rule {
        // A delivery that was cancelled during its attempt keeps its claim, so that a success is still recorded.
        count: "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL AND due_at IS NULL AND status <> 'cancelled'",
        latest_ms: None,
        message: "finished deliveries are still claimed",
        is_fixable: true,
    },
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL AND due_at > $1",
        latest_ms: Some(LONGEST_LEASE_MS),
        message: "claims last longer than any attempt may: the clock was set back",
        is_fixable: true,
    },
];

const ATTEMPT_RULES: &[Rule] = &[Rule {
    count: "SELECT count(*) FROM (
                SELECT d.attempt_count AS said, count(a.id) AS counted, coalesce(max(a.attempt_number), 0) AS last
                FROM deliveries d LEFT JOIN attempts a ON a.delivery_id = d.id GROUP BY d.id) r
            WHERE r.said <> r.counted OR r.counted <> r.last",
    latest_ms: None,
    message: "deliveries have a gap in the log of their attempts",
    is_fixable: false,
}];

/// A server keeps the other references itself.
const SERVER_REFERENCE_RULES: &[Rule] = &[Rule {
    count: "SELECT count(*) FROM attempts a WHERE NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.id = a.delivery_id)",
    latest_ms: None,
    message: "rows of attempts belong to rows of deliveries that are gone",
    is_fixable: false,
}];

const CLOCK_RULES: &[Rule] = &[
    Rule {
        count: "SELECT count(*) FROM deliveries WHERE created_at > $1",
        latest_ms: Some(CLOCK_TOLERANCE_MS),
        message: "deliveries were created in the future: the clock was set back since",
        is_fixable: false,
    },
    Rule {
        count: "SELECT count(*) FROM attempts WHERE completed_at > $1",
        latest_ms: Some(CLOCK_TOLERANCE_MS),
        message: "attempts were made in the future: the clock was set back since",
        is_fixable: false,
    },
];

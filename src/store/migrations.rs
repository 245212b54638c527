//! The numbered migrations, one text for both engines ([`super::dialect::Dialect::schema`] spells it for each).

/// Every migration in order; the schema version is how many have run.
pub(super) const MIGRATIONS: [&str; 1] = [include_str!("migrations/0001_first.sql")];

/// The schema version that this program writes.
pub(super) const NEWEST: i64 = MIGRATIONS.len() as i64;

/// What the migrations make.
pub(super) const TABLES: [&str; 10] = [
    "webhooks",
    "webhook_state",
    "secrets",
    "credentials",
    "events",
    "policy",
    "deliveries",
    "attempts",
    "attempt_counts",
    "event_types",
];

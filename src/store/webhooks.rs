//! The table of webhooks.

use rusqlite::{OptionalExtension, Row, named_params};

use super::columns::{InOrder, from_json, to_json};
use super::{Result, Store, StoreError};
use crate::domain::breaker::Breaker;
use crate::domain::network::AddressPolicy;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::RetryPolicy;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Counters, Health, Settings, Webhook};

/// Which webhooks a list shows.
#[derive(Clone, Debug, Default)]
pub struct WebhookFilter {
    /// Only active, or only inactive ones.
    pub is_active: Option<bool>,
    /// Only this owner's.
    pub owner: Option<String>,
    /// Only ids below this one.
    pub before: Option<i64>,
}

/// What `emit` needs to know of a webhook to decide whether it gets an event.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// Its id.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Its patterns.
    pub events: Vec<String>,
    /// Who it belongs to.
    pub owner: Option<String>,
    /// Whether it gets events now.
    pub is_active: bool,
    /// Whether its deliveries keep their order.
    pub is_ordered: bool,
}

const COLUMNS: &str = "id, name, description, url, events, http_method, content_type, headers, signature_schemes, owner,
    max_retries, retry_delay_ms, retry_schedule, timeout_ms, disable_after_ms, rate_limit, concurrency, is_ordered,
    allow_private, allow_networks, ca_cert, version, is_active, disabled_reason, disabled_at, failing_since, held_until,
    breaker_failures, breaker_open_until, breaker_pause_ms, breaker_probing, rate_next_us, last_delivery_at,
    last_success_at, last_failure_at, total_deliveries, successful_deliveries, failed_deliveries, created_at, updated_at";

impl Store {
    /// Stores a new webhook and returns its id.
    pub fn insert_webhook(&self, settings: &Settings, is_active: bool, now: Timestamp) -> Result<i64> {
        self.connection
            .prepare_cached(
                "INSERT INTO webhooks (name, description, url, events, http_method, content_type, headers,
                    signature_schemes, owner, max_retries, retry_delay_ms, retry_schedule, timeout_ms, disable_after_ms,
                    rate_limit, concurrency, is_ordered, allow_private, allow_networks, ca_cert, is_active,
                    created_at, updated_at)
                 VALUES (:name, :description, :url, :events, :method, :content_type, :headers, :schemes, :owner,
                    :max_retries, :retry_delay, :schedule, :timeout, :disable_after, :rate_limit, :concurrency, :ordered,
                    :allow_private, :allow_networks, :ca_cert, :active, :now, :now)",
            )?
            .execute(&*with_settings(settings, &[(":active", &is_active), (":now", &now)]))
            .map_err(|error| name_taken(error, &settings.name))?;
        Ok(self.connection.last_insert_rowid())
    }

    /// Changes a webhook's settings; its deliveries that still wait follow a change of order.
    pub fn update_webhook(&self, id: i64, settings: &Settings, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhooks SET name = :name, description = :description, url = :url, events = :events,
                    http_method = :method, content_type = :content_type, headers = :headers,
                    signature_schemes = :schemes, owner = :owner, max_retries = :max_retries,
                    retry_delay_ms = :retry_delay, retry_schedule = :schedule, timeout_ms = :timeout,
                    disable_after_ms = :disable_after, rate_limit = :rate_limit, concurrency = :concurrency,
                    is_ordered = :ordered, allow_private = :allow_private, allow_networks = :allow_networks,
                    ca_cert = :ca_cert, version = version + 1, updated_at = :now
                 WHERE id = :id",
            )?
            .execute(&*with_settings(settings, &[(":id", &id), (":now", &now)]))
            .map_err(|error| name_taken(error, &settings.name))?;
        self.connection
            .prepare_cached(
                "UPDATE deliveries SET is_ordered = :ordered
                 WHERE webhook_id = :id AND due_at IS NOT NULL AND is_ordered <> :ordered",
            )?
            .execute(named_params! { ":id": id, ":ordered": settings.is_ordered })?;
        Ok(())
    }

    /// Resumes a webhook with a clean slate: no hold, breaker closed, failures forgotten.
    pub fn enable_webhook(&self, id: i64, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhooks SET is_active = 1, disabled_reason = NULL, disabled_at = NULL, failing_since = NULL,
                    held_until = NULL, breaker_failures = 0, breaker_open_until = NULL, breaker_pause_ms = 0,
                    breaker_probing = 0, version = version + 1, updated_at = :now
                 WHERE id = :id",
            )?
            .execute(named_params! { ":id": id, ":now": now })?;
        Ok(())
    }

    /// Lets the next request of a held or paused webhook go at once, as a retry by hand asks.
    pub fn lift_pause(&self, id: i64, now: Timestamp) -> Result<()> {
        let Some((health, _)) = self.health(id)? else { return Ok(()) };
        let lifted = Health { held_until: None, breaker: health.breaker.with_probe_allowed(now), ..health.clone() };
        if lifted == health { Ok(()) } else { self.save_health(id, &lifted, Counters::default()) }
    }

    /// Stops a webhook, for a reason that people read. One that is stopped keeps its reason.
    pub fn disable_webhook(&self, id: i64, reason: &str, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhooks SET is_active = 0, disabled_reason = :reason, disabled_at = :now, version = version + 1,
                    updated_at = :now
                 WHERE id = :id AND is_active = 1",
            )?
            .execute(named_params! { ":id": id, ":reason": reason, ":now": now })?;
        Ok(())
    }

    /// Marks a webhook as changed, so that a running drain reads it again.
    pub(super) fn touch(&self, id: i64, now: Timestamp) -> Result<()> {
        self.connection
            .prepare_cached("UPDATE webhooks SET version = version + 1, updated_at = :now WHERE id = :id")?
            .execute(named_params! { ":id": id, ":now": now })?;
        Ok(())
    }

    /// Writes what deliveries made of a webhook, and adds to its counters, in one statement: its row is a wide one.
    pub fn save_health(&self, id: i64, health: &Health, change: Counters) -> Result<()> {
        self.connection
            .prepare_cached(
                "UPDATE webhooks SET is_active = :active, disabled_reason = :reason, disabled_at = :disabled_at,
                    failing_since = :failing_since, held_until = :held_until, breaker_failures = :breaker_failures,
                    breaker_open_until = :breaker_open_until, breaker_pause_ms = :breaker_pause,
                    breaker_probing = :breaker_probing, rate_next_us = :rate_next, last_delivery_at = :last_delivery,
                    last_success_at = :last_success, last_failure_at = :last_failure,
                    total_deliveries = total_deliveries + :total,
                    successful_deliveries = successful_deliveries + :successful,
                    failed_deliveries = failed_deliveries + :failed
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":id": id,
                ":active": health.is_active,
                ":reason": health.disabled_reason,
                ":disabled_at": health.disabled_at,
                ":failing_since": health.failing_since,
                ":held_until": health.held_until,
                ":breaker_failures": health.breaker.failures,
                ":breaker_open_until": health.breaker.open_until,
                ":breaker_pause": health.breaker.pause_ms,
                ":breaker_probing": health.breaker.probing,
                ":rate_next": health.rate_next_us,
                ":last_delivery": health.last_delivery_at,
                ":last_success": health.last_success_at,
                ":last_failure": health.last_failure_at,
                ":total": change.total,
                ":successful": change.successful,
                ":failed": change.failed,
            })?;
        Ok(())
    }

    /// What deliveries made of a webhook, and the version of its settings.
    pub fn health(&self, id: i64) -> Result<Option<(Health, i64)>> {
        Ok(self
            .connection
            .prepare_cached(
                "SELECT is_active, disabled_reason, disabled_at, failing_since, held_until, breaker_failures,
                    breaker_open_until, breaker_pause_ms, breaker_probing, rate_next_us, last_delivery_at,
                    last_success_at, last_failure_at, version FROM webhooks WHERE id = :id",
            )?
            .query_row(named_params! { ":id": id }, |row| {
                let mut columns = InOrder::of(row);
                Ok((health(&mut columns)?, columns.next()?))
            })
            .optional()?)
    }

    /// Adds to a webhook's counters; the numbers may be negative.
    pub fn count_deliveries(&self, id: i64, change: Counters) -> Result<()> {
        if change == Counters::default() {
            return Ok(());
        }
        self.connection
            .prepare_cached(
                "UPDATE webhooks SET total_deliveries = total_deliveries + :total,
                    successful_deliveries = successful_deliveries + :successful,
                    failed_deliveries = failed_deliveries + :failed
                 WHERE id = :id",
            )?
            .execute(named_params! {
                ":id": id, ":total": change.total, ":successful": change.successful, ":failed": change.failed,
            })?;
        Ok(())
    }

    /// The webhook with that id.
    pub fn webhook(&self, id: i64) -> Result<Option<Webhook>> {
        let mut statement =
            self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM webhooks WHERE id = :id"))?;
        let mut rows = statement.query(named_params! { ":id": id })?;
        rows.next()?.map(from_row).transpose()
    }

    /// The webhook of that name, or with that id.
    pub fn find_webhook(&self, name_or_id: &str) -> Result<Option<Webhook>> {
        let mut statement = self.connection.prepare_cached("SELECT id FROM webhooks WHERE name = :name")?;
        let mut rows = statement.query(named_params! { ":name": name_or_id })?;
        let id = match rows.next()? {
            Some(row) => Some(row.get(0)?),
            None if name_or_id.bytes().all(|byte| byte.is_ascii_digit()) => name_or_id.parse().ok(),
            None => None,
        };
        id.map_or(Ok(None), |id| self.webhook(id))
    }

    /// Webhooks, newest first.
    pub fn webhooks(&self, filter: &WebhookFilter) -> Result<Vec<Webhook>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM webhooks
             WHERE (:active IS NULL OR is_active = :active) AND (:owner IS NULL OR owner = :owner)
               AND id < coalesce(:before, 9223372036854775807)
             ORDER BY id DESC"
        ))?;
        let mut rows = statement.query(named_params! {
            ":active": filter.is_active, ":owner": filter.owner, ":before": filter.before,
        })?;
        let mut webhooks = Vec::new();
        while let Some(row) = rows.next()? {
            webhooks.push(from_row(row)?);
        }
        Ok(webhooks)
    }

    /// Every webhook as far as `emit` needs it, oldest first.
    pub fn subscribers(&self) -> Result<Vec<Subscriber>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT id, name, events, owner, is_active, is_ordered FROM webhooks ORDER BY id")?;
        let mut rows = statement.query([])?;
        let mut subscribers = Vec::new();
        while let Some(row) = rows.next()? {
            subscribers.push(Subscriber {
                id: row.get(0)?,
                name: row.get(1)?,
                events: from_json("webhooks.events", row.get_ref(2)?.as_str().map_err(rusqlite::Error::from)?)?,
                owner: row.get(3)?,
                is_active: row.get(4)?,
                is_ordered: row.get(5)?,
            });
        }
        Ok(subscribers)
    }

    /// The names of all webhooks, for suggestions.
    pub fn webhook_names(&self) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare_cached("SELECT name FROM webhooks ORDER BY name")?;
        let names = statement.query_map([], |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }
}

/// A row of [`COLUMNS`].
fn from_row(row: &Row<'_>) -> Result<Webhook> {
    let mut columns = InOrder::of(row);
    let bad_value = |column: &'static str, value: &str| StoreError::Value { column, value: value.to_owned() };
    Ok(Webhook {
        id: columns.next()?,
        settings: Settings {
            name: columns.next()?,
            description: columns.next()?,
            url: columns.next()?,
            events: columns.next_json("webhooks.events")?,
            http_method: columns.next()?,
            content_type: columns.next()?,
            headers: columns.next_json("webhooks.headers")?,
            signature_schemes: columns.next_json("webhooks.signature_schemes")?,
            owner: columns.next()?,
            retry: RetryPolicy {
                max_retries: columns.next()?,
                delay_ms: columns.next()?,
                schedule: columns
                    .next::<Option<String>>()?
                    .map(|text| from_json("webhooks.retry_schedule", &text))
                    .transpose()?,
            },
            timeout_ms: columns.next()?,
            disable_after_ms: columns.next()?,
            rate_limit: columns
                .next::<Option<String>>()?
                .map(|text| RateLimit::parse(&text).map_err(|_| bad_value("webhooks.rate_limit", &text)))
                .transpose()?,
            concurrency: columns.next()?,
            is_ordered: columns.next()?,
            addresses: AddressPolicy {
                allow_private: columns.next()?,
                allow_networks: columns
                    .next_json::<Vec<String>>("webhooks.allow_networks")?
                    .iter()
                    .map(|network| network.parse().map_err(|_| bad_value("webhooks.allow_networks", network)))
                    .collect::<Result<Vec<_>>>()?,
            },
            ca_cert: columns.next()?,
        },
        version: columns.next()?,
        health: health(&mut columns)?,
        counters: Counters { total: columns.next()?, successful: columns.next()?, failed: columns.next()? },
        created_at: columns.next()?,
        updated_at: columns.next()?,
    })
}

fn health(columns: &mut InOrder<'_, '_>) -> rusqlite::Result<Health> {
    Ok(Health {
        is_active: columns.next()?,
        disabled_reason: columns.next()?,
        disabled_at: columns.next()?,
        failing_since: columns.next()?,
        held_until: columns.next()?,
        breaker: Breaker {
            failures: columns.next()?,
            open_until: columns.next()?,
            pause_ms: columns.next()?,
            probing: columns.next()?,
        },
        rate_next_us: columns.next()?,
        last_delivery_at: columns.next()?,
        last_success_at: columns.next()?,
        last_failure_at: columns.next()?,
    })
}

type Parameter<'a> = (&'static str, Box<dyn rusqlite::ToSql + 'a>);

/// The parameters that insert and update share, and `more`.
fn with_settings<'a>(
    settings: &'a Settings,
    more: &[(&'static str, &'a dyn rusqlite::ToSql)],
) -> Box<[(&'static str, OwnedOrBorrowed<'a>)]> {
    let networks: Vec<String> = settings.addresses.allow_networks.iter().map(ToString::to_string).collect();
    let own: Vec<Parameter<'a>> = vec![
        (":name", Box::new(&settings.name)),
        (":description", Box::new(&settings.description)),
        (":url", Box::new(&settings.url)),
        (":events", Box::new(to_json(&settings.events))),
        (":method", Box::new(&settings.http_method)),
        (":content_type", Box::new(&settings.content_type)),
        (":headers", Box::new(to_json(&settings.headers))),
        (":schemes", Box::new(to_json(&settings.signature_schemes))),
        (":owner", Box::new(&settings.owner)),
        (":max_retries", Box::new(settings.retry.max_retries)),
        (":retry_delay", Box::new(settings.retry.delay_ms)),
        (":schedule", Box::new(settings.retry.schedule.as_ref().map(to_json))),
        (":timeout", Box::new(settings.timeout_ms)),
        (":disable_after", Box::new(settings.disable_after_ms)),
        (":rate_limit", Box::new(settings.rate_limit.map(RateLimit::text))),
        (":concurrency", Box::new(settings.concurrency)),
        (":ordered", Box::new(settings.is_ordered)),
        (":allow_private", Box::new(settings.addresses.allow_private)),
        (":allow_networks", Box::new(to_json(&networks))),
        (":ca_cert", Box::new(&settings.ca_cert)),
    ];
    own.into_iter()
        .map(|(name, value)| (name, OwnedOrBorrowed::Owned(value)))
        .chain(more.iter().map(|(name, value)| (*name, OwnedOrBorrowed::Borrowed(*value))))
        .collect()
}

/// A parameter that was made for the call, or one that the caller holds.
enum OwnedOrBorrowed<'a> {
    Owned(Box<dyn rusqlite::ToSql + 'a>),
    Borrowed(&'a dyn rusqlite::ToSql),
}

impl rusqlite::ToSql for OwnedOrBorrowed<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        match self {
            OwnedOrBorrowed::Owned(value) => value.to_sql(),
            OwnedOrBorrowed::Borrowed(value) => value.to_sql(),
        }
    }
}

fn name_taken(error: rusqlite::Error, name: &str) -> StoreError {
    let is_unique = matches!(&error, rusqlite::Error::SqliteFailure(failure, _)
        if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE);
    if is_unique { StoreError::NameTaken(name.to_owned()) } else { error.into() }
}

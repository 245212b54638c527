//! A webhook as it is shown.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::domain::duration;
use crate::domain::retry::RetryPolicy;
use crate::domain::target_url;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::output::{Cell, Look, Page, Row, Text};

/// A webhook with TimeTracker's keys and hookctl's own; never the secret, but for the one time it is created.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookView {
    id: i64,
    name: String,
    description: Option<String>,
    url: String,
    events: Vec<String>,
    http_method: String,
    content_type: String,
    headers: Headers,
    is_active: bool,
    owner: Option<String>,
    max_retries: u32,
    retry_delay_seconds: Number,
    retry_schedule: Option<Vec<String>>,
    timeout_seconds: Number,
    signature_schemes: Vec<String>,
    disable_after_seconds: Number,
    rate_limit: Option<String>,
    concurrency: Option<u32>,
    is_ordered: bool,
    allow_private: bool,
    allow_networks: Vec<String>,
    has_ca_cert: bool,
    disabled_reason: Option<String>,
    disabled_at: Option<Timestamp>,
    failing_since: Option<Timestamp>,
    held_until: Option<Timestamp>,
    breaker: BreakerView,
    total_deliveries: i64,
    successful_deliveries: i64,
    failed_deliveries: i64,
    waiting_deliveries: u64,
    last_delivery_at: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
    last_failure_at: Option<Timestamp>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Set on create only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(skip)]
    retry: RetryPolicy,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct BreakerView {
    state: &'static str,
    failures: u32,
    open_until: Option<Timestamp>,
}

/// Headers in the order they are sent, as an object.
#[derive(Clone, Debug)]
struct Headers(Vec<(String, String)>);

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

/// Seconds from milliseconds: whole where they are.
#[derive(Clone, Copy, Debug)]
struct Number(i64);

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 % 1_000 {
            0 => serializer.serialize_i64(self.0 / 1_000),
            _ => serializer.serialize_f64(self.0 as f64 / 1_000.0),
        }
    }
}

impl WebhookView {
    /// The view of a webhook of which `waiting` deliveries are not finished.
    pub fn new(webhook: &Webhook, waiting: u64) -> WebhookView {
        let (settings, health) = (&webhook.settings, &webhook.health);
        WebhookView {
            id: webhook.id,
            name: settings.name.clone(),
            description: settings.description.clone(),
            url: shown_url(&settings.url),
            events: settings.events.clone(),
            http_method: settings.http_method.clone(),
            content_type: settings.content_type.clone(),
            headers: Headers(shown_headers(&settings.headers)),
            is_active: health.is_active,
            owner: settings.owner.clone(),
            max_retries: settings.retry.limit(),
            retry_delay_seconds: Number(settings.retry.delay_ms),
            retry_schedule: settings
                .retry
                .schedule
                .as_ref()
                .map(|delays| delays.iter().map(|delay| text_of(*delay)).collect()),
            timeout_seconds: Number(settings.timeout_ms),
            signature_schemes: settings.signature_schemes.clone(),
            disable_after_seconds: Number(settings.disable_after_ms),
            rate_limit: settings.rate_limit.map(crate::domain::rate_limit::RateLimit::text),
            concurrency: settings.concurrency,
            is_ordered: settings.is_ordered,
            allow_private: settings.addresses.allow_private,
            allow_networks: settings.addresses.allow_networks.iter().map(ToString::to_string).collect(),
            has_ca_cert: settings.ca_cert.is_some(),
            disabled_reason: health.disabled_reason.clone(),
            disabled_at: health.disabled_at,
            failing_since: health.failing_since,
            held_until: health.held_until,
            breaker: BreakerView {
                state: if health.breaker.open_until.is_some() { "open" } else { "closed" },
                failures: health.breaker.failures,
                open_until: health.breaker.open_until,
            },
            total_deliveries: webhook.counters.total,
            successful_deliveries: webhook.counters.successful,
            failed_deliveries: webhook.counters.failed,
            waiting_deliveries: waiting,
            last_delivery_at: health.last_delivery_at,
            last_success_at: health.last_success_at,
            last_failure_at: health.last_failure_at,
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            secret: None,
            retry: settings.retry.clone(),
        }
    }

    fn state(&self) -> Cell {
        match (self.is_active, self.breaker.open_until) {
            (false, _) => Cell::bad("disabled"),
            (true, Some(_)) => Cell::warn("paused"),
            (true, None) => Cell::good("active"),
        }
    }

    fn describe_state(&self, text: &mut Text) {
        text.field("State", self.state());
        if let Some(reason) = &self.disabled_reason {
            let at = text.look().exact(self.disabled_at);
            text.field("Disabled", Cell::bad(reason));
            text.field("Disabled at", at);
        }
        if self.breaker.open_until.is_some() {
            let until = text.look().exact(self.breaker.open_until);
            text.field(
                "Breaker",
                Cell::warn("open: the receiver could not be reached; one probe goes out after the pause"),
            );
            text.field("Paused until", until);
        }
        if let Some(until) = self.held_until.filter(|until| *until > text.look().now()) {
            let until = text.look().exact(Some(until));
            text.field("Held until", until);
        }
        if self.failing_since.is_some() {
            let since = text.look().exact(self.failing_since);
            text.field("Failing since", since);
        }
    }

    /// The schedule as times from a first failure: `1m, 3m, 7m`.
    fn retry_times(&self) -> String {
        let mut at = 0;
        let times: Vec<String> = self
            .retry
            .delays()
            .into_iter()
            .map(|delay| {
                at += delay;
                duration::rough(Duration::from_millis(at.unsigned_abs()), 2)
            })
            .collect();
        match times.len() {
            0 => "none".to_owned(),
            count if count > 12 => format!("{} … {} ({count} retries)", times[..10].join(", "), times[count - 1]),
            _ => format!("{} after the first failure", times.join(", ")),
        }
    }
}

impl Page for WebhookView {
    fn describe(&self, text: &mut Text) {
        text.heading(&self.name);
        text.field("Id", self.id);
        if let Some(description) = &self.description {
            text.field("Description", description);
        }
        text.field("URL", &self.url);
        text.field("Events", self.events.join(", "));
        self.describe_state(text);
        text.field("Owner", self.owner.clone());
        text.blank();
        text.field("Request", format!("{}, {}", self.http_method, self.content_type));
        for (name, value) in &self.headers.0 {
            text.field("Header", format!("{name}: {value}"));
        }
        text.field(
            "Signatures",
            if self.signature_schemes.is_empty() { "none".to_owned() } else { self.signature_schemes.join(", ") },
        );
        text.field("Timeout", text_of(self.timeout_seconds.0));
        text.field("Retries", self.retry_times());
        text.field(
            "Disable after",
            if self.disable_after_seconds.0 == 0 { "never".to_owned() } else { text_of(self.disable_after_seconds.0) },
        );
        if let Some(limit) = &self.rate_limit {
            text.field("Rate limit", limit);
        }
        if let Some(concurrency) = self.concurrency {
            text.field("Concurrency", concurrency);
        }
        if self.is_ordered {
            text.field("Order", "one delivery at a time, in the order of emission");
        }
        if self.allow_private {
            text.field("Addresses", "private ones allowed");
        }
        if !self.allow_networks.is_empty() {
            text.field("Networks", self.allow_networks.join(", "));
        }
        if self.has_ca_cert {
            text.field("TLS", "trusts a certificate authority of its own");
        }
        text.blank();
        let counted = format!(
            "{} in all, {} delivered, {} failed, {} waiting",
            self.total_deliveries, self.successful_deliveries, self.failed_deliveries, self.waiting_deliveries
        );
        text.field("Deliveries", counted);
        let (success, failure) = (text.look().exact(self.last_success_at), text.look().exact(self.last_failure_at));
        text.field("Last success", success);
        text.field("Last failure", failure);
        let (created, updated) = (text.look().exact(Some(self.created_at)), text.look().exact(Some(self.updated_at)));
        text.field("Created", created);
        text.field("Updated", updated);
        if let Some(secret) = &self.secret {
            text.blank();
            text.field("Secret", Cell::id(secret));
            text.line(Cell::warn("Keep the secret: from now on only `hookctl webhook secret reveal` shows it."));
        }
    }
}

impl Row for WebhookView {
    const COLUMNS: &'static [&'static str] = &["id", "name", "state", "events", "url", "ok", "failed", "last"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::name(&self.name),
            self.state(),
            self.events.join(",").into(),
            Cell::plain(&self.url),
            Cell::number(self.successful_deliveries),
            if self.failed_deliveries > 0 { Cell::bad(self.failed_deliveries.to_string()) } else { Cell::number(0) },
            look.ago(self.last_delivery_at),
        ]
    }
}

/// A URL with its query values masked.
pub fn shown_url(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| url.to_owned(), |url| target_url::masked(&url))
}

/// Headers with the values masked that are credentials by their name.
pub fn shown_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    let is_credential = |name: &str| {
        let name = name.to_ascii_lowercase();
        ["authorization", "cookie", "token", "secret", "password", "api-key", "apikey"]
            .iter()
            .any(|part| name.contains(part))
    };
    headers
        .iter()
        .map(|(name, value)| (name.clone(), if is_credential(name) { "***".to_owned() } else { value.clone() }))
        .collect()
}

fn text_of(millis: i64) -> String {
    duration::format(Duration::from_millis(millis.unsigned_abs()))
}

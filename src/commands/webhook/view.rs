//! A webhook as it is shown.

use std::time::Duration;

use serde::Serialize;

use super::signing::ShownSecrets;
use crate::domain::duration;
use crate::domain::presets::Preset;
use crate::domain::rate_limit::RateLimit;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Condition, Order, Settings, State, Webhook};
use crate::http::client_cert_expiry;
use crate::output::{Cell, Look, Page, Row, Text};

/// A webhook with TimeTracker's keys and hookctl's own; with its secret only when it is created.
#[derive(Clone, Debug, Serialize)]
pub struct WebhookView {
    id: i64,
    #[serde(flatten)]
    settings: Settings,
    has_ca_cert: bool,
    state: State,
    condition: Option<Condition>,
    /// When the client certificate expires; null without one.
    client_cert_expires_at: Option<Timestamp>,
    is_active: bool,
    disabled_reason: Option<String>,
    disabled_at: Option<Timestamp>,
    paused_at: Option<Timestamp>,
    /// Failed attempts since the last success.
    failures: u32,
    failing_since: Option<Timestamp>,
    held_until: Option<Timestamp>,
    breaker: BreakerView,
    total_deliveries: i64,
    successful_deliveries: i64,
    failed_deliveries: i64,
    /// Deliveries that are not finished.
    waiting: u64,
    last_delivery_at: Option<Timestamp>,
    last_success_at: Option<Timestamp>,
    last_failure_at: Option<Timestamp>,
    created_by: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    /// Until when an old secret signs too. Set by `show` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous_secret_expires_at: Option<Timestamp>,
    /// Set on create only.
    #[serde(flatten)]
    pub secrets: ShownSecrets,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct BreakerView {
    state: &'static str,
    failures: u32,
    open_until: Option<Timestamp>,
}

impl WebhookView {
    /// The view at `now` of a webhook of which `waiting` deliveries are not finished.
    pub fn new(webhook: &Webhook, waiting: u64, now: Timestamp) -> WebhookView {
        let health = &webhook.health;
        let mut settings = webhook.settings.masked();
        settings.retry.max_retries = settings.retry.limit();
        settings.egress.client_cert = None;
        WebhookView {
            id: webhook.id,
            client_cert_expires_at: webhook.settings.egress.client_cert.as_deref().and_then(client_cert_expiry),
            has_ca_cert: settings.ca_cert.take().is_some(),
            settings,
            state: health.state(),
            condition: health.condition(now),
            is_active: health.is_active,
            disabled_reason: health.disabled_reason.clone(),
            disabled_at: health.disabled_at,
            paused_at: health.paused_at,
            failures: health.failures,
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
            waiting,
            last_delivery_at: health.last_delivery_at,
            last_success_at: health.last_success_at,
            last_failure_at: health.last_failure_at,
            created_by: webhook.created_by.clone(),
            created_at: webhook.created_at,
            updated_at: webhook.updated_at,
            previous_secret_expires_at: None,
            secrets: ShownSecrets::default(),
        }
    }

    fn describe_state(&self, text: &mut Text) {
        text.field("State", self.state_cell());
        if let Some(reason) = &self.disabled_reason {
            text.field("Disabled", Cell::bad(reason));
            text.time("Disabled at", self.disabled_at);
        }
        if self.paused_at.is_some() {
            text.time("Paused at", self.paused_at);
        }
        if self.breaker.open_until.is_some() {
            let reason = match self.condition {
                Some(Condition::Unreachable) => "the receiver could not be reached",
                _ => "the receiver refused many requests in a row",
            };
            text.field("Breaker", Cell::warn(format!("open: {reason}; `hookctl webhook enable` closes it")));
            text.time("Paused until", self.breaker.open_until);
        }
        if let Some(until) = self.held_until.filter(|until| *until > text.look().now()) {
            text.time("Held until", until);
        }
        if self.failing_since.is_some() {
            text.time("Failing since", self.failing_since);
        }
    }

    fn describe_request(&self, text: &mut Text) {
        let settings = &self.settings;
        text.optional("Filter", settings.shape.filter.as_ref());
        text.optional("Transform", settings.shape.transform.as_ref());
        text.optional("Preset", settings.shape.preset.map(Preset::name));
        text.field("Request", format!("{}, {}", settings.http_method, settings.content_type));
        for (name, value) in &settings.headers {
            text.field("Header", format!("{name}: {value}"));
        }
        let schemes = settings.signature_schemes.join(", ");
        text.field("Signatures", if schemes.is_empty() { "none".to_owned() } else { schemes });
        for scheme in settings.schemes().filter(|scheme| scheme.name == "hmac") {
            let (header, value) = (&scheme.header, scheme.value_template());
            text.field("hmac", format!("{header}: {value}, {}", scheme.algorithm.name()));
        }
        if self.previous_secret_expires_at.is_some() {
            text.time("Old secret until", self.previous_secret_expires_at);
        }
        text.field("Timeout", duration::of_millis(settings.timeout_ms));
        text.field("Retries", self.retry_times());
        let disable_after = match settings.disable_after_ms {
            0 => "never".to_owned(),
            millis => duration::of_millis(millis),
        };
        text.field("Disable after", disable_after);
    }

    /// The fields that only some webhooks have.
    fn describe_limits(&self, text: &mut Text) {
        let settings = &self.settings;
        text.optional("Rate limit", settings.rate_limit.map(RateLimit::text));
        text.optional("Concurrency", settings.concurrency);
        let (of, rest) = match settings.order {
            Order::None => ("", ""),
            Order::Webhook => ("", "the rest"),
            Order::Key => (" of each key", "the rest of its key"),
        };
        if settings.order.is_kept() {
            let holds = match settings.retry.limit() {
                0 => String::new(),
                _ => format!("; one that fails holds {rest} for up to {}", self.retry_span()),
            };
            text.field("Order", format!("one delivery{of} at a time, in the order of emission{holds}"));
        }
        if settings.addresses.allow_private {
            text.field("Addresses", "private ones allowed");
        }
        if !settings.addresses.allow_networks.is_empty() {
            let networks: Vec<String> = settings.addresses.allow_networks.iter().map(ToString::to_string).collect();
            text.field("Networks", networks.join(", "));
        }
        if self.has_ca_cert {
            text.field("TLS", "trusts a certificate authority of its own");
        }
        self.describe_egress(text);
    }

    fn describe_egress(&self, text: &mut Text) {
        let egress = &self.settings.egress;
        if egress.system_roots {
            text.field("System roots", "trusted too");
        }
        text.optional("Proxy", egress.proxy.as_ref().map(ToString::to_string));
        if egress.proxy_resolves {
            text.field("Names", "left to the proxy: which addresses they lead to is not checked");
        }
        if let Some(expires_at) = self.client_cert_expires_at {
            let is_over = expires_at <= text.look().now();
            let date = expires_at.rfc3339();
            let cell = if is_over { Cell::bad(format!("expired at {date}")) } else { format!("until {date}").into() };
            text.field("Client cert", cell);
        }
    }

    /// How long a failed delivery is retried.
    fn retry_span(&self) -> String {
        duration::rough(Duration::from_millis(self.settings.retry.span_ms().unsigned_abs()), 2)
    }

    /// The delay before each retry, and the total: `after 1m, then 2m, then 4m (3 in 7m)`.
    fn retry_times(&self) -> String {
        let times: Vec<String> = self
            .settings
            .retry
            .delays()
            .into_iter()
            .map(|delay| duration::rough(Duration::from_millis(delay.unsigned_abs()), 2))
            .collect();
        match times.len() {
            0 => "none".to_owned(),
            count if count > 12 => {
                let (first, last) = (times[..10].join(", then "), &times[count - 1]);
                format!("after {first} … then {last} ({count} in {})", self.retry_span())
            }
            count => format!("after {} ({count} in {})", times.join(", then "), self.retry_span()),
        }
    }
}

/// The condition of an active webhook, else its state.
pub fn state_cell(state: State, condition: Option<Condition>) -> Cell {
    match (state, condition) {
        (State::Disabled, _) => Cell::bad("disabled"),
        (State::Paused, _) => Cell::warn("paused"),
        (State::Active, Some(Condition::Unreachable)) => Cell::bad("unreachable"),
        (State::Active, Some(Condition::Failing)) => Cell::bad("failing"),
        (State::Active, Some(Condition::Held)) => Cell::warn("held"),
        (State::Active, None) => Cell::good("active"),
    }
}

impl Page for WebhookView {
    fn describe(&self, text: &mut Text) {
        let settings = &self.settings;
        text.heading(&settings.name);
        text.field("Id", self.id);
        text.optional("Description", settings.description.as_ref());
        text.field("URL", &settings.url);
        text.field("Events", settings.events.join(", "));
        self.describe_state(text);
        text.field("Owner", settings.owner.clone());
        text.field("Created by", self.created_by.clone());
        text.blank();
        self.describe_request(text);
        self.describe_limits(text);
        text.blank();
        let counted = format!(
            "{} in all, {} delivered, {} failed, {} waiting",
            self.total_deliveries, self.successful_deliveries, self.failed_deliveries, self.waiting
        );
        text.field("Deliveries", counted);
        text.time("Last success", self.last_success_at);
        text.time("Last failure", self.last_failure_at);
        text.time("Created", self.created_at);
        text.time("Updated", self.updated_at);
        if !self.secrets.is_empty() {
            text.blank();
            self.secrets.describe(text);
            text.line(Cell::warn("Keep the secret: from now on only `hookctl webhook secret reveal` shows it."));
        }
    }
}

impl Row for WebhookView {
    const COLUMNS: &'static [&'static str] =
        &["id", "name", "state", "waiting", "ok", "failed", "last", "events", "url"];
    const SPARE: &'static [&'static str] = &["url"];

    fn cells(&self, look: &Look) -> Vec<Cell> {
        vec![
            Cell::number(self.id),
            Cell::name(&self.settings.name),
            self.state_cell(),
            if self.waiting > 0 { Cell::warn(self.waiting.to_string()) } else { Cell::number(0) },
            Cell::number(self.successful_deliveries),
            if self.failed_deliveries > 0 { Cell::bad(self.failed_deliveries.to_string()) } else { Cell::number(0) },
            self.last_cell(look),
            self.settings.events.join(",").into(),
            Cell::plain(&self.settings.url),
        ]
    }
}

impl WebhookView {
    /// A webhook whose last attempt failed is not shown as healthy, even before it counts as failing.
    fn state_cell(&self) -> Cell {
        match (self.state, self.condition) {
            (State::Active, None) if self.failing_since.is_some() => Cell::warn("active"),
            (state, condition) => state_cell(state, condition),
        }
    }

    /// How the last attempt ended, and when.
    fn last_cell(&self, look: &Look) -> Cell {
        match (self.last_success_at, self.last_failure_at) {
            (success, Some(failure))
                if success.is_none_or(|success| failure > success) || self.failing_since.is_some() =>
            {
                Cell::bad(format!("failed {}", look.relative(failure)))
            }
            (Some(success), _) => Cell::good(format!("ok {}", look.relative(success))),
            (None, _) => Cell::missing(),
        }
    }
}

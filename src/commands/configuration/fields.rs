//! A webhook's settings as keys and values: what is written, and what is compared.

use std::time::Duration;

use serde_json::{Number, Value, json};

use crate::commands::webhook::view::{shown_headers, shown_url};
use crate::domain::duration;
use crate::domain::rate_limit::RateLimit;
use crate::domain::webhook::Settings;

/// A key and its value.
pub type Field = (&'static str, Value);

/// Every setting that has a value, under the key that [`super::entry::WebhookEntry`] reads it by.
pub fn fields(settings: &Settings, is_active: bool) -> Vec<Field> {
    let schedule = settings.retry.schedule.as_ref();
    let text = |millis: i64| duration::format(Duration::from_millis(millis.unsigned_abs()));
    let headers = settings.headers.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let networks: Vec<String> = settings.addresses.allow_networks.iter().map(ToString::to_string).collect();
    let fields = [
        ("name", json!(settings.name)),
        ("description", json!(settings.description)),
        ("url", json!(settings.url)),
        ("events", json!(settings.events)),
        ("http_method", json!(settings.http_method)),
        ("content_type", json!(settings.content_type)),
        ("headers", Value::Object(headers.collect())),
        ("signature_schemes", json!(settings.signature_schemes)),
        ("owner", json!(settings.owner)),
        ("max_retries", json!(settings.retry.max_retries)),
        ("retry_delay_seconds", seconds(settings.retry.delay_ms)),
        ("retry_schedule", json!(schedule.map(|delays| delays.iter().map(|delay| text(*delay)).collect::<Vec<_>>()))),
        ("timeout_seconds", seconds(settings.timeout_ms)),
        ("disable_after_seconds", seconds(settings.disable_after_ms)),
        ("rate_limit", json!(settings.rate_limit.map(RateLimit::text))),
        ("concurrency", json!(settings.concurrency)),
        ("is_ordered", json!(settings.is_ordered)),
        ("allow_private", json!(settings.addresses.allow_private)),
        ("allow_networks", json!(networks)),
        ("ca_cert", json!(settings.ca_cert)),
        ("is_active", json!(is_active)),
    ];
    fields.into_iter().filter(|(_, value)| !value.is_null()).collect()
}

/// A value as a plan shows it: credentials masked, certificates shortened.
pub fn shown(key: &str, value: &Value) -> Value {
    match (key, value) {
        ("url", Value::String(url)) => shown_url(url).into(),
        ("ca_cert", Value::String(_)) => "(a certificate)".into(),
        ("headers", Value::Object(headers)) => {
            let pairs: Vec<(String, String)> = headers
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect();
            Value::Object(shown_headers(&pairs).into_iter().map(|(name, value)| (name, value.into())).collect())
        }
        _ => value.clone(),
    }
}

/// Seconds from milliseconds: whole where they are.
fn seconds(millis: i64) -> Value {
    match millis % 1_000 {
        0 => (millis / 1_000).into(),
        _ => Number::from_f64(millis as f64 / 1_000.0).map_or(Value::Null, Value::Number),
    }
}

//! What a configuration file holds. An unknown key is an error, so that a slip of the finger is no silent default.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::Value;

use crate::commands::arguments;
use crate::commands::secret_source::SecretSource;
use crate::commands::webhook::options::Options;
use crate::domain::duration;
use crate::domain::secret::Secret;
use crate::error::Failure;

/// A whole file. A part that is not there is left alone by `apply`, by `--prune` too.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// The webhooks.
    pub webhooks: Option<Vec<WebhookEntry>>,
    /// The event types that are not built in.
    pub event_types: Option<Vec<EventTypeEntry>>,
}

/// An event type of the user's own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeEntry {
    /// Its name.
    pub name: String,
    /// What it means.
    #[serde(default)]
    pub description: String,
}

/// A webhook in the keys of `webhook show -o json`. What is not there has the default that `webhook create` gives it, but
/// for the owner, the state and the secret of a webhook that exists: those stay.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookEntry {
    /// Its name: what it is recognised by.
    pub name: String,
    url: String,
    events: Vec<String>,
    description: Option<String>,
    http_method: Option<String>,
    content_type: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    /// How it signs; an empty list is not at all.
    pub signature_schemes: Option<Vec<String>>,
    owner: Option<String>,
    max_retries: Option<i64>,
    retry_delay_seconds: Option<Length>,
    retry_schedule: Option<Vec<String>>,
    timeout_seconds: Option<Length>,
    disable_after_seconds: Option<Length>,
    rate_limit: Option<String>,
    concurrency: Option<i64>,
    is_ordered: Option<bool>,
    allow_private: Option<bool>,
    allow_networks: Option<Vec<String>>,
    /// A certificate authority, PEM.
    pub ca_cert: Option<String>,
    /// Whether it gets deliveries.
    pub is_active: Option<bool>,
    secret: Option<SecretText>,
    secret_env: Option<String>,
    secret_file: Option<String>,
}

impl WebhookEntry {
    /// Its settings as the options of `webhook create`, which check them.
    pub fn options(&self) -> Result<Options, Failure> {
        if self.events.is_empty() {
            return Err(Failure::option("--event", "a webhook needs at least one event type"));
        }
        let headers = self.headers.iter().flatten();
        if let Some((name, _)) = headers.clone().find(|(name, _)| name.contains(':')) {
            return Err(Failure::option("--header", format!("the header name {name:?} is not valid")));
        }
        let concurrency = self.concurrency.map(|number| arguments::concurrency(&number.to_string())).transpose();
        Ok(Options {
            url: Some(self.url.clone()),
            events: self.events.clone(),
            description: self.description.clone(),
            method: self.http_method.clone(),
            content_type: self.content_type.clone(),
            headers: headers.map(|(name, value)| format!("{name}: {value}")).collect(),
            timeout: self.timeout_seconds.map(|length| length.0),
            signatures: self.signature_schemes.clone().unwrap_or_default(),
            owner: self.owner.clone(),
            max_retries: self.max_retries.map(|number| number.to_string()),
            retry_delay: self.retry_delay_seconds.map(|length| length.0),
            retry_schedule: self.retry_schedule.as_ref().map(|delays| delays.join(",")),
            disable_after: self.disable_after_seconds.map(|length| length.0),
            rate_limit: self.rate_limit.clone(),
            concurrency: concurrency.map_err(|reason| Failure::option("--concurrency", reason))?,
            ordered: self.is_ordered,
            allow_private: self.allow_private,
            allow_networks: self.allow_networks.clone().unwrap_or_default(),
            ca_cert: None,
        })
    }

    /// The key that its secret is given by, if any.
    pub fn secret_key(&self) -> Result<Option<&'static str>, Failure> {
        let keys = [
            ("secret", self.secret.is_some()),
            ("secret_env", self.secret_env.is_some()),
            ("secret_file", self.secret_file.is_some()),
        ];
        let mut given = keys.into_iter().filter_map(|(key, is_given)| is_given.then_some(key));
        match (given.next(), given.next()) {
            (Some(one), Some(other)) => Err(Failure::invalid(format!("{one} and {other} exclude each other"))),
            (key, _) => Ok(key),
        }
    }

    /// The secret that it gives or names, if any.
    pub fn secret(&self) -> Result<Option<Secret>, Failure> {
        if let Some(SecretText(text)) = &self.secret {
            return Secret::parse(text.clone()).map(Some).map_err(|error| Failure::option("secret", error));
        }
        let source = SecretSource {
            secret_file: self.secret_file.clone(),
            secret_env: self.secret_env.clone(),
            secret_stdin: false,
        };
        source.read()
    }
}

/// A secret in a file; it shows itself to nobody, not even where it is of the wrong type.
struct SecretText(String);

impl std::fmt::Debug for SecretText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretText(..)")
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretText, D::Error> {
        match Value::deserialize(deserializer) {
            Ok(Value::String(text)) => Ok(SecretText(text)),
            _ => Err(de::Error::custom("a secret is a text in quotes")),
        }
    }
}

/// A length of time: seconds, whole or not, or a text such as `30s`.
#[derive(Clone, Copy, Debug)]
struct Length(Duration);

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Length, D::Error> {
        let length = match Value::deserialize(deserializer)? {
            Value::String(text) => duration::parse(&text).ok(),
            Value::Number(number) => match number.as_u64() {
                Some(seconds) => Some(Duration::from_secs(seconds)),
                None => number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            },
            _ => None,
        };
        length.map(Length).ok_or_else(|| {
            de::Error::custom("not a length of time; write a number of seconds, or a text such as \"30s\"")
        })
    }
}

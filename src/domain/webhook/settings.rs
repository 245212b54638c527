//! What a person decides about a webhook.

use serde::{Deserialize, Serialize};

use super::DEFAULT_DISABLE_AFTER_MS;
use crate::domain::network::AddressPolicy;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::RetryPolicy;
use crate::domain::{event_type, members, seconds};

/// The settings. They serialise as `webhook show -o json`, `export` and the database have them, key by key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Unique; what commands call it.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where requests go, as the URL parser wrote it.
    pub url: String,
    /// The patterns of the event types it subscribes to.
    pub events: Vec<String>,
    /// One of [`super::METHODS`].
    pub http_method: String,
    /// The `Content-Type` of its requests.
    pub content_type: String,
    /// Its own headers, in the order given.
    #[serde(with = "members")]
    pub headers: Vec<(String, String)>,
    /// Who it belongs to.
    pub owner: Option<String>,
    /// When failed deliveries are tried again.
    #[serde(flatten)]
    pub retry: RetryPolicy,
    /// The deadline of a whole attempt, in milliseconds.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout_ms: i64,
    /// The names of its signature schemes; empty without a secret.
    pub signature_schemes: Vec<String>,
    /// After so many milliseconds of failures without a success it is disabled; 0 is never.
    #[serde(rename = "disable_after_seconds", with = "seconds")]
    pub disable_after_ms: i64,
    /// At most so many requests per time.
    pub rate_limit: Option<RateLimit>,
    /// At most so many requests at once; [`super::DEFAULT_CONCURRENCY`] while others wait, when not set.
    pub concurrency: Option<u32>,
    /// One delivery at a time, in the order of emission.
    pub is_ordered: bool,
    /// Which addresses it may call.
    #[serde(flatten)]
    pub addresses: AddressPolicy,
    /// A certificate authority that it trusts besides the built-in ones, PEM.
    pub ca_cert: Option<String>,
}

/// What a new webhook starts from; the numbers are TimeTracker's.
impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: String::new(),
            description: None,
            url: String::new(),
            events: Vec::new(),
            http_method: "POST".to_owned(),
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            owner: None,
            retry: RetryPolicy::default(),
            timeout_ms: 30_000,
            signature_schemes: Vec::new(),
            disable_after_ms: DEFAULT_DISABLE_AFTER_MS,
            rate_limit: None,
            concurrency: None,
            is_ordered: false,
            addresses: AddressPolicy::default(),
            ca_cert: None,
        }
    }
}

impl Settings {
    /// Whether one of its patterns matches `event_type`.
    pub fn subscribes_to(&self, event_type: &str) -> bool {
        self.events.iter().any(|pattern| event_type::matches(pattern, event_type))
    }
}

//! Requests as they are shown: headers and bytes as text, credentials masked.

use std::borrow::Cow;

use anyhow::Result;
use serde::{Serialize, Serializer};

use crate::delivery::{Clients, Prepared, Request};
use crate::domain::credential::HeaderValue;
use crate::domain::secret::MASKED;
use crate::domain::time::Timestamp;
use crate::domain::webhook::masked;
use crate::http::Surroundings;
use crate::output::Text;
use crate::store::{Outgoing, Payload};

/// Shown instead of a delivery id that does not exist yet.
const UNKNOWN: &str = "(a number)";

/// Headers, serialised as an object; values of the same name are joined by a comma (RFC 9110 §5.3).
#[derive(Clone, Debug)]
pub struct Pairs(pub Vec<(String, String)>);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut joined: Vec<(&str, Cow<'_, str>)> = Vec::new();
        for (name, value) in &self.0 {
            match joined.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, values)) => *values = format!("{values}, {value}").into(),
                None => joined.push((name, value.into())),
            }
        }
        serializer.collect_map(joined)
    }
}

impl Pairs {
    pub fn describe(&self, text: &mut Text) {
        self.0.iter().for_each(|(name, value)| text.line(format!("{name}: {value}")));
    }
}

/// Bytes as text; what is not UTF-8 is replaced.
#[derive(Clone, Debug)]
pub struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&String::from_utf8_lossy(&self.0))
    }
}

/// What a request is made from, besides its webhook.
#[derive(Clone, Copy, Debug)]
pub struct Sent<'a> {
    /// `None` if it is not stored.
    pub delivery_id: Option<i64>,
    pub attempt_number: u32,
    pub payload: &'a Payload,
    /// When it is signed.
    pub timestamp: Timestamp,
}

#[derive(Debug, Serialize)]
pub struct RequestView {
    pub method: String,
    pub url: String,
    pub headers: Pairs,
}

impl RequestView {
    /// The request by the webhook's present settings.
    pub fn new(outgoing: Outgoing, sent: Sent<'_>) -> Result<RequestView> {
        let Sent { delivery_id, attempt_number, payload, timestamp } = sent;
        let mut clients = Clients::new(Surroundings::default(), 0);
        let prepared = Prepared::to_show(outgoing, &mut clients)?;
        let of_event = payload.headers.masked();
        let request = Request {
            delivery_id: delivery_id.unwrap_or_default(),
            attempt_number,
            payload,
            headers: &of_event,
            timestamp,
        };
        let is_secret = |name: &str| {
            let mut own = prepared.settings.headers.iter();
            own.any(|(known, value)| known == name && matches!(value, HeaderValue::Secret(_)))
        };
        let shown = |name: &str, value: Cow<'_, str>| match name {
            "X-Webhook-Delivery" if delivery_id.is_none() => UNKNOWN.to_owned(),
            name if is_secret(name) => MASKED.to_owned(),
            _ => value.into_owned(),
        };
        let headers = prepared.headers(&request).into_iter();
        let headers: Vec<_> = headers.map(|(name, value)| (name.to_owned(), shown(name, value))).collect();
        Ok(RequestView {
            method: prepared.settings.http_method.clone(),
            url: prepared.settings.url.clone(),
            headers: Pairs(masked::headers(&headers)),
        })
    }

    pub fn describe(&self, text: &mut Text) {
        text.heading("Request");
        text.line(format!("{} {}", self.method, self.url));
        self.headers.describe(text);
    }
}

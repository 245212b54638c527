//! The view of a request.

use serde::Serialize;

use crate::commands::delivery::request::{Bytes, Pairs};
use crate::commands::verify::VerifyView;
use crate::domain::json;
use crate::domain::message::Message;
use crate::domain::time::Timestamp;
use crate::domain::webhook::masked;
use crate::output::{Cell, Page, Text, escape_bytes};

#[derive(Debug, Serialize)]
pub struct RequestView {
    pub number: u64,
    pub received_at: Timestamp,
    pub method: String,
    pub path: String,
    pub headers: Pairs,
    pub body: Bytes,
    pub answered: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verification: Option<VerifyView>,
    /// Why forwarding failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward_error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recorded: Option<String>,
}

/// Headers as text: bytes that are not UTF-8 become `\xNN`, and headers that usually carry credentials are masked.
pub fn headers(message: &Message) -> Pairs {
    let text = |value: Vec<u8>| String::from_utf8(value).unwrap_or_else(|error| escape_bytes(error.as_bytes()));
    let headers: Vec<_> = message.headers().into_iter().map(|(name, value)| (name, text(value))).collect();
    Pairs(masked::headers(&headers))
}

impl Page for RequestView {
    fn describe(&self, text: &mut Text) {
        text.heading(&format!("{} {}", self.method, self.path));
        text.field("Request", Cell::number(self.number));
        text.field("Received", self.received_at.rfc3339());
        let status = self.answered.to_string();
        text.field(
            "Answered",
            if (200..300).contains(&self.answered) { Cell::good(status) } else { Cell::bad(status) },
        );
        text.optional("Forwarded", self.forward_error.as_ref().map(Cell::bad));
        if let Some(verification) = &self.verification {
            let verdict = verdict(verification);
            text.field("Signature", if verification.valid { Cell::good(verdict) } else { Cell::bad(verdict) });
        }
        text.optional("Recorded", self.recorded.as_ref());
        self.headers.describe(text);
        text.blank();
        body(text, &self.body.0);
    }
}

/// On a terminal JSON is indented; otherwise the body is unchanged.
pub fn body(text: &mut Text, body: &[u8]) {
    match json::parse(body) {
        Ok(value) if text.look().is_terminal() => text.block(json::layout::indented(value)),
        _ => text.block(body),
    }
}

/// `valid (timetracker, standard)`, or why not.
pub fn verdict(verification: &VerifyView) -> String {
    match (verification.reason, &verification.detail) {
        (Some(reason), Some(detail)) => format!("not valid: {}: {detail}", reason.name()),
        _ => format!("valid ({})", verification.schemes.join(", ")),
    }
}

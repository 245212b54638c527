//! One HTTP request made for a delivery, and its answer.

use serde::Serialize;

use super::time::Timestamp;

/// The most of an answer's body that is read and kept, in bytes; reading stops there.
pub const BODY_LIMIT: usize = 64 * 1024;

/// Why an attempt failed. The names are part of the JSON output and of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorType {
    /// An answer came, but not a 2xx.
    HttpError,
    /// The deadline passed before the last byte of the answer.
    Timeout,
    /// The connection was refused, reset or closed.
    ConnectionError,
    /// The host name has no address, or the look-up failed.
    DnsError,
    /// The TLS handshake failed or the certificate is not trusted.
    TlsError,
    /// The answer is not HTTP.
    ProtocolError,
    /// The address may not be called (the outgoing guard).
    BlockedAddress,
    /// The proxy that the request was to go through could not be used. It says nothing about the receiver.
    ProxyError,
    /// The webhook's filter gave no answer, so nothing was sent.
    FilterError,
    /// The webhook's transform made no body, so nothing was sent.
    TransformError,
    /// Anything else.
    UnknownError,
}

names! {
    ErrorType:
    HttpError = "http_error",
    Timeout = "timeout",
    ConnectionError = "connection_error",
    DnsError = "dns_error",
    TlsError = "tls_error",
    ProtocolError = "protocol_error",
    BlockedAddress = "blocked_address",
    ProxyError = "proxy_error",
    FilterError = "filter_error",
    TransformError = "transform_error",
    UnknownError = "unknown_error",
}

/// What made an attempt happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// The delivery was due: its first try, or a retry on schedule.
    Scheduled,
    /// Somebody asked for it.
    Manual,
    /// `webhook test`.
    Test,
}

impl Trigger {
    pub fn as_str(self) -> &'static str {
        match self {
            Trigger::Scheduled => "scheduled",
            Trigger::Manual => "manual",
            Trigger::Test => "test",
        }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The headers in the order received; values as text, bytes outside ASCII replaced.
    pub headers: Vec<(String, String)>,
    /// The first [`BODY_LIMIT`] bytes of the body.
    pub body: Vec<u8>,
    /// Whether the body went on past [`BODY_LIMIT`].
    pub truncated: bool,
}

impl Answer {
    /// The first header of that name, whatever its case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// An attempt's error: its type, and one line for people that never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptError {
    pub error_type: ErrorType,
    pub message: String,
}

/// Why this machine could not make an attempt: no file, memory or thread was left. It says nothing about the receiver, so
/// it costs no attempt and no retry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LocalTrouble(pub String);

/// How an attempt ended. An answer can come with an error: a 500, or a body that broke off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// The answer, if a status line arrived.
    pub answer: Option<Answer>,
    /// Why it failed; `None` is success, a 2xx answer read to its end.
    pub error: Option<AttemptError>,
    /// Whether the request was written a second time, because the receiver closed a kept-alive connection before it
    /// answered anything. It may have seen both; they carry the same event id.
    pub resent: bool,
}

/// An attempt as the log keeps it.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its number within the delivery, from 1.
    pub number: u32,
    pub trigger: Trigger,
    /// When the request began.
    pub started_at: Timestamp,
    /// When the answer was complete, or the failure certain.
    pub completed_at: Timestamp,
    /// How long it took, in milliseconds, by the monotonic clock.
    pub duration_ms: i64,
    pub outcome: Outcome,
}

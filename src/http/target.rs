//! Targets of requests, and requests.

use ureq::http::Uri;
use url::Url;

/// Why a client or a target is refused.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error("the CA certificate cannot be used: {0}")]
    CaCertificate(String),
    #[error("the client certificate cannot be used: {0}")]
    ClientCertificate(String),
    #[error("the client key cannot be used: {0}")]
    ClientKey(String),
    #[error("the URL cannot be called: {0}")]
    Url(String),
}

/// A URL as the HTTP library needs it, parsed once for many requests.
#[derive(Clone, Debug)]
pub struct Target {
    pub(super) uri: Uri,
    /// Host and port, for messages.
    place: String,
}

impl Target {
    /// Takes a URL that [`crate::domain::target_url::parse`] accepted.
    pub fn new(url: &Url) -> Result<Target, ClientError> {
        let uri: Uri = url.as_str().parse().map_err(|error| ClientError::Url(format!("{error}")))?;
        let host = url.host_str().ok_or_else(|| ClientError::Url("it names no host".to_owned()))?;
        let port = url.port_or_known_default().ok_or_else(|| ClientError::Url("it names no port".to_owned()))?;
        Ok(Target { uri, place: format!("{host}:{port}") })
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

/// One request. `Host`, `Content-Length` and `Accept: */*` are added; nothing else is.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRequest<'a> {
    /// `POST`, `PUT` or `PATCH`.
    pub method: &'a str,
    pub target: &'a Target,
    /// Names and values, which were checked before.
    pub headers: &'a [(&'a str, &'a str)],
    /// The bytes that were signed.
    pub body: &'a [u8],
}

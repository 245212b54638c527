//! The client: sends one request and tells how it ended.

use std::io::Read;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{Method, Request, Response, StatusCode, Uri};
use ureq::unversioned::resolver::Resolver;
use ureq::unversioned::transport::NextTimeout;
use url::Url;

use super::connector::GuardedConnector;
use super::errors::{self, StaleConnection};
use super::resolver::GuardedResolver;
use super::tls::TlsRoots;
use crate::domain::attempt::{Answer, AttemptError, BODY_LIMIT, ErrorType, Outcome};
use crate::domain::network::{AddressPolicy, BlockedAddress};

/// The largest head of an answer, in bytes; the buffer is larger so that more than this can be seen.
const HEAD_LIMIT: usize = 23 * 1024;
const INPUT_BUFFER: usize = 24 * 1024;
/// Holds the longest header line that may be sent.
const OUTPUT_BUFFER: usize = 10 * 1024;
/// Shorter than the keep-alive of common servers (2 to 75 s), so that they seldom close what is about to be reused.
const IDLE_AGE: Duration = Duration::from_millis(1_500);

/// Keeps the sum of now and a deadline within what the clock can hold.
const LONGEST: Duration = Duration::from_secs(86_400);

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The text given as a root holds no usable certificate.
    #[error("the CA certificate cannot be used: {0}")]
    CaCertificate(String),
    /// A URL that the HTTP library does not take.
    #[error("the URL cannot be called: {0}")]
    Url(String),
}

/// A URL made ready for sending; kept and used for many requests.
#[derive(Clone, Debug)]
pub struct Target {
    uri: Uri,
    /// Host and port, for messages.
    place: String,
}

impl Target {
    /// Takes a URL that [`crate::domain::target_url::parse`] let through.
    pub fn new(url: &Url) -> Result<Target, ClientError> {
        let uri: Uri = url.as_str().parse().map_err(|error| ClientError::Url(format!("{error}")))?;
        let host = url.host_str().ok_or_else(|| ClientError::Url("it names no host".to_owned()))?;
        let port = url.port_or_known_default().ok_or_else(|| ClientError::Url("it names no port".to_owned()))?;
        Ok(Target { uri, place: format!("{host}:{port}") })
    }

    /// Host and port, as messages name the receiver.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }
}

/// Whether a policy refuses the target's addresses as they are now. A look-up that fails, or takes longer than `patience`,
/// refuses nothing: the name may be known by the time something is sent, and is checked then.
pub fn refusal(policy: &AddressPolicy, target: &Target, patience: Duration) -> Option<BlockedAddress> {
    let timeout =
        NextTimeout { after: patience.into(), reason: ureq::Timeout::Resolve, per_read: None, per_write: None };
    match GuardedResolver::new(policy.clone()).resolve(&target.uri, &ureq::config::Config::default(), timeout) {
        Err(ureq::Error::Other(error)) => error.downcast::<BlockedAddress>().ok().map(|blocked| *blocked),
        _ => None,
    }
}

/// One request as it goes out. `Host`, `Content-Length` and `Accept: */*` are added; nothing else is.
#[derive(Clone, Copy, Debug)]
pub struct OutgoingRequest<'a> {
    /// `POST`, `PUT` or `PATCH`.
    pub method: &'a str,
    /// Where it goes.
    pub target: &'a Target,
    /// Every header, names and values already checked.
    pub headers: &'a [(&'a str, &'a str)],
    /// The bytes that were signed.
    pub body: &'a [u8],
}

/// Sends requests under one address policy and one set of TLS roots; shared by all worker threads.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
}

impl Client {
    /// Makes a client that keeps at most `idle_connections` open between requests.
    ///
    /// `ca_cert_pem` is trusted beside the public roots. Roots are loaded at the first https request.
    pub fn new(
        policy: &AddressPolicy,
        ca_cert_pem: Option<&str>,
        idle_connections: usize,
    ) -> Result<Client, ClientError> {
        let resolver = GuardedResolver::new(policy.clone());
        Self::with_resolver(resolver, ca_cert_pem, idle_connections)
    }

    pub(super) fn with_resolver(
        resolver: GuardedResolver,
        ca_cert_pem: Option<&str>,
        idle_connections: usize,
    ) -> Result<Client, ClientError> {
        let roots = TlsRoots::new(ca_cert_pem)?;
        let config = Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .user_agent("")
            .accept_encoding("")
            .max_response_header_size(HEAD_LIMIT)
            .input_buffer_size(INPUT_BUFFER)
            .output_buffer_size(OUTPUT_BUFFER)
            .max_idle_connections(idle_connections)
            .max_idle_connections_per_host(idle_connections)
            .max_idle_age(IDLE_AGE)
            .build();
        Ok(Client { agent: Agent::with_parts(config, GuardedConnector::new(roots), resolver) })
    }

    /// Sends the request and reads the answer; everything ends within `deadline`, counted from the call.
    pub fn send(&self, request: &OutgoingRequest<'_>, deadline: Duration) -> Outcome {
        let started = Instant::now();
        let deadline = deadline.min(LONGEST);
        match self.exchange(request, deadline, deadline, IDLE_AGE) {
            // RFC 9112 section 9.3.1: a connection closed before any byte of the answer may be retried once on a fresh
            // one when the request can be repeated; receivers tell repeats by the event id. Fresh it must be: where one
            // idle connection had died the others may have, and their end would pass for the receiver's failure.
            Err(error) if StaleConnection::is(&error) => {
                let left = deadline.saturating_sub(started.elapsed());
                let outcome = self.exchange(request, left, deadline, Duration::ZERO);
                Outcome { resent: true, ..outcome.unwrap_or_else(|error| failed(&error, request.target, deadline)) }
            }
            Err(error) => failed(&error, request.target, deadline),
            Ok(outcome) => outcome,
        }
    }

    #[cfg(test)]
    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// One request on a connection that was idle for less than `idle_age`, or on a fresh one.
    fn exchange(
        &self,
        request: &OutgoingRequest<'_>,
        left: Duration,
        deadline: Duration,
        idle_age: Duration,
    ) -> Result<Outcome, ureq::Error> {
        if left.is_zero() {
            return Err(ureq::Error::Timeout(ureq::Timeout::Global));
        }
        let mut message = Request::builder()
            .method(Method::from_bytes(request.method.as_bytes()).map_err(ureq::http::Error::from)?)
            .uri(request.target.uri.clone());
        for (name, value) in request.headers {
            message = message.header(*name, *value);
        }
        let message = message.body(request.body)?;
        let message = self.agent.configure_request(message).timeout_global(Some(left)).max_idle_age(idle_age).build();
        Ok(read_answer(self.agent.run(message)?, request.target, deadline))
    }
}

fn failed(error: &ureq::Error, target: &Target, deadline: Duration) -> Outcome {
    Outcome { answer: None, error: Some(errors::before_answer(error, target, deadline)), resent: false }
}

fn read_answer(response: Response<ureq::Body>, target: &Target, deadline: Duration) -> Outcome {
    let (head, body) = response.into_parts();
    let headers =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), header_text(value.as_bytes()))).collect();
    let mut answer = Answer { status: head.status.as_u16(), headers, body: Vec::new(), truncated: false };
    let broken = read_body(body, &mut answer).err();
    let error = match (head.status.is_success(), broken) {
        (true, None) => None,
        (true, Some(error)) => Some(errors::in_body(error, target, deadline)),
        // What a status says holds whatever became of the body: 410 is gone.
        (false, _) => Some(AttemptError { error_type: ErrorType::HttpError, message: status_message(head.status) }),
    };
    Outcome { answer: Some(answer), error, resent: false }
}

/// Reads to the end, which keeps the connection for the next request, or to the limit, which drops it.
fn read_body(body: ureq::Body, answer: &mut Answer) -> Result<(), std::io::Error> {
    let announced = body.content_length().unwrap_or(0).min(BODY_LIMIT as u64) as usize;
    answer.body.reserve_exact(announced);
    let result = body.into_reader().take(BODY_LIMIT as u64 + 1).read_to_end(&mut answer.body);
    answer.truncated = answer.body.len() > BODY_LIMIT;
    answer.body.truncate(BODY_LIMIT);
    result.map(|_| ())
}

fn header_text(value: &[u8]) -> String {
    if value.is_ascii() {
        String::from_utf8_lossy(value).into_owned()
    } else {
        value.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '\u{fffd}' }).collect()
    }
}

fn status_message(status: StatusCode) -> String {
    let code = status.as_u16();
    let reason = status.canonical_reason().map(|reason| format!(" {reason}")).unwrap_or_default();
    if status.is_redirection() {
        format!("the receiver answered {code}{reason}; redirects are not followed")
    } else {
        format!("the receiver answered {code}{reason}")
    }
}

//! The client: sends one request and reports how it ended.

use std::io::Read;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ureq::Agent;
use ureq::http::{Method, Request, Response, StatusCode};

use super::connector::GuardedConnector;
use super::egress::Egress;
use super::errors::{self, AnswerTooLong, StaleConnection};
use super::gateway::Gateway;
use super::idle::{IdlePool, LONGEST_IDLE};
use super::look_up::LookUps;
use super::resolver::GuardedResolver;
use super::target::{ClientError, OutgoingRequest, Target};
use super::tls::Tls;
use super::{local, tls};
use crate::domain::attempt::{Answer, AttemptError, BODY_LIMIT, ErrorType, LocalTrouble, Outcome};

/// The largest head of an answer, in bytes. The buffer is larger, so that a longer head is noticed.
const HEAD_LIMIT: usize = 23 * 1024;
const INPUT_BUFFER: usize = 24 * 1024;
/// Holds the longest header line that may be sent.
const OUTPUT_BUFFER: usize = 10 * 1024;
/// Idle connections may use 1 / `IDLE_SHARE` of the files that the process may open.
const IDLE_SHARE: usize = 4;

/// So that now plus a deadline does not overflow the clock.
const LONGEST: Duration = Duration::from_secs(86_400);

/// The pools that all clients of the process share: idle connections and look-ups.
#[derive(Clone, Debug)]
pub struct Shared {
    pub(super) idle: Arc<IdlePool>,
    look_ups: Arc<LookUps>,
}

impl Shared {
    /// Sized for `concurrency` requests at once.
    pub fn new(concurrency: usize) -> Shared {
        Self::with(LookUps::new(), concurrency, LONGEST_IDLE)
    }

    pub(super) fn with(look_ups: Arc<LookUps>, concurrency: usize, longest_idle: Duration) -> Shared {
        let share = local::most_open_files().map_or(concurrency, |files| files / IDLE_SHARE);
        Shared { idle: Arc::new(IdlePool::new(concurrency.min(share), longest_idle)), look_ups }
    }

    /// Closes connections that were idle for too long. Sending a request does this too.
    pub fn close_old(&self) {
        self.idle.close_old();
    }
}

/// Sends requests with the same network settings; shared by all worker threads.
///
/// Its idle connections are closed when it is dropped.
#[derive(Debug)]
pub struct Client {
    agent: Agent,
    number: u64,
    idle: Arc<IdlePool>,
    /// The error for a 407 answer of a proxy that forwards requests.
    proxy_login: Option<String>,
}

impl Drop for Client {
    fn drop(&mut self) {
        self.idle.close_of(self.number);
    }
}

/// Checks certificates that are to be trusted as roots.
pub fn check_ca_cert(pem: &str) -> Result<(), ClientError> {
    tls::roots(pem).map(|_| ())
}

impl Client {
    /// The root certificates are loaded at the first https request.
    pub fn new(shared: &Shared, egress: &Egress) -> Result<Client, ClientError> {
        let (idle, number) = (Arc::clone(&shared.idle), shared.idle.next_client());
        let tls = Tls::new(egress)?;
        let gateway = egress.proxy.clone().map(|login| Gateway {
            login,
            leaves_names: egress.proxy_resolves,
            look_ups: Arc::clone(&shared.look_ups),
            tls: tls.for_proxy(),
        });
        let proxy_login = gateway.as_ref().filter(|gateway| gateway.reads_requests(false)).map(Gateway::wants_login);
        let resolver = GuardedResolver::new(egress, Arc::clone(&shared.look_ups));
        let connector = GuardedConnector { tls, gateway, idle: Arc::clone(&idle), client: number };
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
            .max_idle_connections(0)
            .build();
        Ok(Client { agent: Agent::with_parts(config, connector, resolver), number, idle, proxy_login })
    }

    /// Sends the request and reads the answer, all within `deadline` from the call.
    pub fn send(&self, request: &OutgoingRequest<'_>, deadline: Duration) -> Result<Outcome, LocalTrouble> {
        let started = Instant::now();
        let deadline = deadline.min(LONGEST);
        let again = |connection| self.exchange(request, deadline.saturating_sub(started.elapsed()), connection);
        let mut resent = false;
        let ended = match again(Connection::Any) {
            // RFC 9112 section 9.3.1: a request that can be repeated may be sent again once if the connection was closed
            // before any byte of the answer; receivers recognise repeats by the event id. The second connection must be
            // new: other idle ones may be closed too, and that would count as a failure of the receiver.
            Err(error) if StaleConnection::is(&error) => {
                resent = true;
                again(Connection::New)
            }
            Err(error) if errors::is_out_of_files(&error) && self.idle.close_all() => again(Connection::New),
            ended => ended,
        };
        let outcome = match ended {
            Ok(response) => self.read_answer(response, request.target, deadline)?,
            Err(error) => {
                let error = errors::before_answer(&error, request.target, deadline)?;
                Outcome { error: Some(error), ..Outcome::default() }
            }
        };
        Ok(Outcome { resent, ..outcome })
    }

    fn read_answer(
        &self,
        response: Response<ureq::Body>,
        target: &Target,
        deadline: Duration,
    ) -> Result<Outcome, LocalTrouble> {
        let mut outcome = read_answer(response, target, deadline)?;
        let status = outcome.answer.as_ref().map(|answer| answer.status);
        if let (Some(407), false, Some(message)) = (status, target.is_tls(), &self.proxy_login) {
            outcome.error = Some(AttemptError { error_type: ErrorType::ProxyError, message: message.clone() });
        }
        Ok(outcome)
    }

    fn exchange(
        &self,
        request: &OutgoingRequest<'_>,
        left: Duration,
        connection: Connection,
    ) -> Result<Response<ureq::Body>, ureq::Error> {
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
        let mut config = self.agent.configure_request(message).timeout_global(Some(left));
        if connection == Connection::New {
            config = config.max_idle_age(Duration::ZERO);
        }
        self.agent.run(config.build())
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    /// An idle connection, else a new one.
    Any,
    New,
}

fn read_answer(response: Response<ureq::Body>, target: &Target, deadline: Duration) -> Result<Outcome, LocalTrouble> {
    let (head, body) = response.into_parts();
    let headers =
        head.headers.iter().map(|(name, value)| (name.as_str().to_owned(), header_text(value.as_bytes()))).collect();
    let mut answer = Answer { status: head.status.as_u16(), headers, body: Vec::new(), truncated: false };
    let broken = read_body(body, &mut answer).err();
    let error = match (head.status.is_success(), broken) {
        (true, None) => None,
        (true, Some(error)) => Some(errors::in_body(error, target, deadline)?),
        // The status counts even if the body is incomplete: 410 is gone.
        (false, _) => Some(AttemptError { error_type: ErrorType::HttpError, message: status_message(head.status) }),
    };
    Ok(Outcome { answer: Some(answer), error, resent: false })
}

/// Reads to the end, after which the connection is reused, or to the limit, after which it is closed.
fn read_body(body: ureq::Body, answer: &mut Answer) -> Result<(), std::io::Error> {
    let announced = body.content_length().unwrap_or(0).min(BODY_LIMIT as u64) as usize;
    answer.body.reserve_exact(announced);
    let result = body.into_reader().take(BODY_LIMIT as u64 + 1).read_to_end(&mut answer.body);
    answer.truncated = answer.body.len() > BODY_LIMIT;
    answer.body.truncate(BODY_LIMIT);
    match result {
        // As with a body that is too long: what was read is kept.
        Err(error) if AnswerTooLong::is(&error) => {
            answer.truncated = true;
            Ok(())
        }
        result => result.map(|_| ()),
    }
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

//! A webhook made ready for sending, once for all its deliveries: URL parsed, signatures keyed, connections shared.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::domain::attempt::{Attempt, AttemptError, ErrorType, LocalTrouble, Outcome};
use crate::domain::secret::MASKED;
use crate::domain::signature::{Message, Signer};
use crate::domain::target_url;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Settings, Webhook, echo, masked};
use crate::http::{Client, ClientError, Egress, OutgoingRequest, Shared, Surroundings, Target};
use crate::store::{Claimed, Outgoing, Payload, StoreError, StoredSecret};

pub const USER_AGENT: &str = concat!("hookctl/", env!("CARGO_PKG_VERSION"));

/// HTTP clients, one for each way that requests leave. A client lives as long as a prepared webhook uses it.
#[derive(Debug)]
pub struct Clients {
    surroundings: Surroundings,
    shared: Shared,
    made: HashMap<Egress, Weak<Client>>,
}

impl Clients {
    pub fn new(surroundings: Surroundings, concurrency: usize) -> Clients {
        Clients { surroundings, shared: Shared::new(concurrency), made: HashMap::new() }
    }

    /// Closes connections that were idle for too long, and forgets clients that no webhook uses any more.
    pub fn tidy(&mut self) {
        self.shared.close_old();
        self.made.retain(|_, client| client.strong_count() > 0);
    }

    fn client(&mut self, settings: &Settings) -> Result<Arc<Client>, ClientError> {
        let egress = Egress::new(settings, &self.surroundings);
        if let Some(client) = self.made.get(&egress).and_then(Weak::upgrade) {
            return Ok(client);
        }
        let client = Arc::new(Client::new(&self.shared, &egress)?);
        self.made.insert(egress, Arc::downgrade(&client));
        Ok(client)
    }
}

/// A webhook made ready for sending.
#[derive(Debug)]
pub struct Prepared {
    pub webhook_id: i64,
    /// The version of its settings and secrets that this was made from.
    pub version: i64,
    pub settings: Settings,
    id_text: String,
    secrets: Vec<StoredSecret>,
    /// Or why nothing can be sent.
    client: Result<Arc<Client>, String>,
    /// Made by the first worker that sends to the webhook: an event to many webhooks does not wait for the one thread that
    /// claims to make all of them.
    made: OnceLock<Made>,
}

/// What is computed once from a webhook's settings and secrets.
#[derive(Debug)]
struct Made {
    signers: Vec<Signer>,
    /// What an answer may repeat, and is masked there.
    credentials: Vec<String>,
    /// Or why nothing can be sent there.
    target: Result<Target, String>,
}

/// One request of a delivery: what its headers and its signature are made from.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub delivery_id: i64,
    pub attempt_number: u32,
    pub payload: &'a Payload,
    /// Those of the event.
    pub headers: &'a [(&'a str, Cow<'a, str>)],
    /// When it is signed.
    pub timestamp: Timestamp,
}

/// Why a request was not made.
#[derive(Debug)]
pub(super) enum NotSent {
    Local(LocalTrouble),
    Locked(StoreError),
}

impl From<LocalTrouble> for NotSent {
    fn from(trouble: LocalTrouble) -> NotSent {
        NotSent::Local(trouble)
    }
}

impl Prepared {
    /// A webhook with a setting that cannot be used is prepared all the same: its attempts fail with the reason. An error is that
    /// the key of the database is not there.
    pub fn new(outgoing: Outgoing, clients: &mut Clients) -> Result<Prepared, StoreError> {
        let Outgoing { webhook: Webhook { id, settings, version, .. }, secrets, locked_out } = outgoing;
        if let Some(error) = locked_out {
            return Err(error);
        }
        let client = clients.client(&settings).map_err(|error| error.to_string());
        Ok(Prepared {
            webhook_id: id,
            version,
            settings,
            id_text: id.to_string(),
            secrets,
            client,
            made: OnceLock::new(),
        })
    }

    /// The same to be shown: without the key of the database its credentials and signatures are masked.
    pub fn to_show(mut outgoing: Outgoing, clients: &mut Clients) -> Result<Prepared, StoreError> {
        let Some(error) = outgoing.locked_out.take() else { return Prepared::new(outgoing, clients) };
        let mut prepared = Prepared::new(outgoing, clients)?;
        let signers = prepared.settings.schemes().map(|scheme| Signer::masked(&scheme)).collect();
        prepared.made = OnceLock::from(Made { signers, credentials: Vec::new(), target: Err(error.to_string()) });
        Ok(prepared)
    }

    fn made(&self) -> &Made {
        self.made.get_or_init(|| {
            let signers = make_signers(&self.settings, &self.secrets);
            let target = signers.as_ref().map_err(String::clone).and_then(|_| target(&self.settings));
            let credentials = echo::sent_credentials(&self.settings);
            Made { signers: signers.unwrap_or_default(), credentials, target }
        })
    }

    /// All headers of a request but Host and Content-Length, in the order sent.
    pub fn headers<'a>(&'a self, request: &Request<'a>) -> Vec<(&'a str, Cow<'a, str>)> {
        let mut headers: Vec<(&str, Cow<'_, str>)> = Vec::with_capacity(12);
        headers.push(("Content-Type", Cow::Borrowed(&self.settings.content_type)));
        headers.push(("User-Agent", Cow::Borrowed(USER_AGENT)));
        headers.push(("X-Webhook-Event", Cow::Borrowed(&request.payload.event_type)));
        headers.push(("X-Webhook-ID", Cow::Borrowed(&self.id_text)));
        headers.push(("X-Webhook-Delivery", Cow::Owned(request.delivery_id.to_string())));
        headers.push(("X-Webhook-Attempt", Cow::Owned(request.attempt_number.to_string())));
        for (name, value) in &self.settings.headers {
            headers.push((name, value.text().unwrap_or(Cow::Borrowed(MASKED))));
        }
        let message = Message {
            id: &request.payload.event_id,
            timestamp: request.timestamp,
            url: &self.settings.full_url().unwrap_or(Cow::Borrowed(MASKED)),
            method: &self.settings.http_method,
            body: &request.payload.bytes,
        };
        for signer in &self.made().signers {
            headers.extend(signer.headers(&message).into_iter().map(|(name, value)| (name, Cow::Owned(value))));
        }
        let own = headers.len();
        for (name, value) in request.headers {
            // What the webhook and its signatures say stays.
            if !headers[..own].iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                headers.push((name, value.clone()));
            }
        }
        headers
    }

    /// Makes one attempt: signs, sends, and waits for the end of the answer or the deadline. An error says why nothing was sent.
    pub(super) fn attempt(&self, claimed: &Claimed, payload: &Payload, clock: Clock) -> Result<Attempt, NotSent> {
        let started_at = clock.now();
        let started = Instant::now();
        let outcome = self.send(claimed, payload, started_at)?;
        let duration = started.elapsed();
        Ok(Attempt {
            number: claimed.attempt_number,
            trigger: claimed.trigger,
            started_at,
            completed_at: if clock.is_fixed() { started_at } else { started_at.plus_millis(millis(duration)) },
            duration_ms: millis(duration),
            outcome,
        })
    }

    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.settings.timeout_ms.max(1) as u64)
    }

    fn send(&self, claimed: &Claimed, payload: &Payload, timestamp: Timestamp) -> Result<Outcome, NotSent> {
        let made = self.made();
        let (target, client) = match (&made.target, &self.client) {
            (Ok(target), Ok(client)) => (target, client),
            (Err(reason), _) | (_, Err(reason)) => return Ok(failed(ErrorType::UnknownError, reason.clone())),
        };
        let event_headers = match payload.headers.opened(&payload.event_id) {
            Ok(headers) => headers,
            Err(error @ StoreError::Value { .. }) => return Ok(failed(ErrorType::UnknownError, error.to_string())),
            Err(error) => return Err(NotSent::Locked(error)),
        };
        let Claimed { id: delivery_id, attempt_number, .. } = *claimed;
        let request = Request { delivery_id, attempt_number, payload, headers: &event_headers, timestamp };
        let headers = self.headers(&request);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_ref())).collect();
        let request =
            OutgoingRequest { method: &self.settings.http_method, target, headers: &headers, body: &payload.bytes };
        let mut outcome = client.send(&request, self.timeout())?;
        if let Some(answer) = &mut outcome.answer {
            let of_event = event_headers.iter().filter(|(name, _)| masked::is_credential(name));
            echo::mask(answer, made.credentials.iter().map(String::as_str).chain(of_event.map(|(_, value)| &**value)));
        }
        Ok(outcome)
    }
}

/// An outcome without an answer.
pub(super) fn failed(error_type: ErrorType, message: String) -> Outcome {
    Outcome { error: Some(AttemptError { error_type, message }), ..Outcome::default() }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A signer for each of the webhook's schemes, or why one cannot be keyed.
fn make_signers(settings: &Settings, stored: &[StoredSecret]) -> Result<Vec<Signer>, String> {
    let secrets: Vec<_> = stored.iter().map(|stored| &stored.secret).collect();
    let signer = |name: &String| {
        let scheme = settings.scheme(name).ok_or_else(|| format!("the signature scheme '{name}' is unknown"))?;
        Signer::new(&scheme, &secrets).map_err(|error| format!("cannot sign with {name}: {error}"))
    };
    settings.signature_schemes.iter().map(signer).collect()
}

fn target(settings: &Settings) -> Result<Target, String> {
    let url = settings.full_url().ok_or("its URL is a credential, which was not read")?;
    let url = target_url::parse(&url).map_err(|error| error.to_string())?;
    Target::new(&url).map_err(|error| error.to_string())
}

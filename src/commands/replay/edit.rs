//! Prepares recorded requests for sending.

use anyhow::Result;
use url::Url;

use crate::commands::reach;
use crate::commands::signature_options::{Keyed, SignatureOptions};
use crate::context::Context;
use crate::domain::event;
use crate::domain::message::Message;
use crate::domain::recording::{MASKED, Recording};
use crate::domain::signature::{self, Scheme, Signer};
use crate::domain::time::Timestamp;
use crate::error::Failure;
use crate::http::Direct;
use crate::jq::Expression;
use crate::random::Random;

pub struct Edits {
    pub to: Option<Url>,
    pub set: Vec<Expression>,
    pub resigning: Option<Resigning>,
}

pub struct Prepared {
    pub url: Url,
    pub request: Message,
    pub wire: Vec<u8>,
    /// The headers that are left out because their values were not recorded.
    pub left_out: Vec<String>,
}

pub struct Refused {
    pub url: Url,
    pub request: Message,
    pub reason: String,
}

impl Edits {
    /// The URL for the recording in `file`, and whether it is on this machine.
    pub fn destination(&self, file: &str, recording: &Recording, direct: &Direct) -> Result<(Url, bool), Failure> {
        let (url, named_by) = match &self.to {
            Some(url) => (url.clone(), "--to"),
            None => (reach::url(file, &recording.at)?, file),
        };
        let is_this_machine = reach::is_this_machine(direct, named_by, &url)?;
        Ok((url, is_this_machine))
    }

    /// The request as it is sent, or why it cannot be.
    pub fn prepare(
        &self,
        file: &str,
        recording: Recording,
        direct: &Direct,
        now: Timestamp,
    ) -> Result<Result<Prepared, Refused>, Failure> {
        let (url, is_this_machine) = self.destination(file, &recording, direct)?;
        let mut request = recording.request;
        if let Some(to) = self.to.as_ref().filter(|url| url.path() != "/" || url.query().is_some()) {
            request.target = reach::path(to);
        }
        if !is_this_machine {
            request.set("Host", &reach::authority(&url));
        }
        let edited = self.edit(&mut request, &url, now);
        let left_out = request.remove(|_, value| value == MASKED.as_bytes());
        Ok(match edited.and_then(|()| request.wire().map_err(|error| error.to_string())) {
            Ok(wire) => Ok(Prepared { url, request, wire, left_out }),
            Err(reason) => Err(Refused { url, request, reason }),
        })
    }

    fn edit(&self, request: &mut Message, url: &Url, now: Timestamp) -> Result<(), String> {
        for expression in &self.set {
            let edited = expression.edit(&request.body).map_err(|error| format!("--set: {error}"))?;
            request.body = edited.into_bytes();
        }
        self.resigning.as_ref().map_or(Ok(()), |resigning| resigning.sign(request, url, now))
    }
}

pub struct Resigning {
    schemes: Vec<Scheme>,
    signers: Vec<Signer>,
    url: Option<String>,
    method: Option<String>,
}

impl Resigning {
    pub fn new(context: &mut Context, options: &SignatureOptions) -> Result<Resigning> {
        let keyed: Keyed = options.resolve(context)?;
        let signers = keyed.signers()?;
        let method = options.method.as_ref().map(|method| method.to_ascii_uppercase());
        Ok(Resigning { schemes: keyed.schemes, signers, url: keyed.url, method })
    }

    /// Keeps the recorded id: it is the same event.
    fn sign(&self, request: &mut Message, url: &Url, now: Timestamp) -> Result<(), String> {
        let url = self.url.clone().unwrap_or_else(|| reach::full_url(url, &request.target));
        let method = self.method.clone().unwrap_or_else(|| request.method.clone());
        let mut headers = Vec::new();
        for (scheme, signer) in self.schemes.iter().zip(&self.signers) {
            let id = id(scheme, request, now)?;
            let message =
                signature::Message { id: &id, timestamp: now, url: &url, method: &method, body: &request.body };
            headers.extend(signer.headers(&message).into_iter().map(|(name, value)| (name.to_owned(), value)));
        }
        for (name, value) in headers {
            request.set(&name, &value);
        }
        Ok(())
    }
}

fn id(scheme: &Scheme, request: &Message, now: Timestamp) -> Result<String, String> {
    let recorded = scheme.id_headers.iter().find_map(|name| request.values(name).next());
    if let Some(id) = recorded {
        let id = String::from_utf8_lossy(id).into_owned();
        event::check_id(&id).map_err(|error| format!("its id cannot be signed: {error}"))?;
        return Ok(id);
    }
    let mut random = Random::new().map_err(|error| format!("the system gives no random numbers: {error}"))?;
    Ok(event::new_id(now, random.next_u128()))
}

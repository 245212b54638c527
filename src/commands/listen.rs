//! `hookctl listen`

mod forward;
pub mod record;
pub mod view;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use self::record::Recorder;
use self::view::RequestView;
use super::arguments;
use super::delivery::request::Bytes;
use super::signature_options::{Keyed, SignatureOptions};
use super::verify::{self, Tolerance, VerifyView};
use crate::context::{Context, Exit};
use crate::domain::recording::Recording;
use crate::domain::signature::Received;
use crate::domain::text::whole_number;
use crate::domain::time::Timestamp;
use crate::error::{Failure, Kind};
use crate::output::escape;
use crate::receiver::{ReceivedRequest, Receiver, Script, parse_status};
use crate::signals::Stop;

/// Receive webhooks on 127.0.0.1 and print each request as it comes
///
/// The first line on stderr is the URL, even with --quiet: `listening on http://127.0.0.1:PORT/`. Each request is a
/// block of text, or one JSON object a line with `-o json` and `-o jsonl`. It goes on until Ctrl-C, SIGTERM, or
/// --count; with --verify and --count it exits with 4 when a signature was not valid.
///
/// Values of headers that usually carry credentials, such as Authorization, are masked in the output.
///
/// --record writes each request to a file of its own, byte for byte, for `hookctl replay`; see
/// `hookctl help developing`. --forward-to forwards requests to a receiver and returns its response, or 502 if there is
/// none.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl listen --port 8000
  hookctl listen --respond 500,500,200 --delay 100ms  # then 200 to the end
  hookctl listen --respond 429 --retry-after 2s
  hookctl listen --count 1 --verify -w crm -o json  # is it signed by crm?
  hookctl listen --record requests --forward-to http://localhost:3000/hooks

Exit status:
  4         with --verify, a request did not verify
  129       stopped by SIGHUP: its terminal was closed
  130, 143  stopped by Ctrl-C or SIGTERM")]
pub struct Listen {
    /// The port to listen at; 0 for any free one
    #[arg(long, value_name = "PORT", default_value = "0", value_parser = port)]
    port: u16,
    /// The status codes of the first, second, … response; the last one repeats
    #[arg(long, value_name = "STATUS", default_value = "200", conflicts_with = "forward_to", value_delimiter = ',', value_parser = parse_status)]
    respond: Vec<u16>,
    /// How long to wait before each response
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    delay: Option<Duration>,
    /// The Retry-After of every response that is not a 2xx, in whole seconds
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration, conflicts_with = "forward_to")]
    retry_after: Option<Duration>,
    /// End after this many requests
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    count: Option<u64>,
    /// The address to listen at; one that is not loopback lets other machines in
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// Write each request to a new file in this folder, which is made if it does not exist
    #[arg(long, value_name = "DIR", value_parser = NonEmptyStringValueParser::new(), help_heading = "Recording and forwarding")]
    record: Option<String>,
    /// Record credentials too: Authorization, Cookie, API key and token headers
    #[arg(long, requires = "record", help_heading = "Recording and forwarding")]
    record_secrets: bool,
    /// Forward each request to exactly this URL, and return its response
    #[arg(long, value_name = "URL", help_heading = "Recording and forwarding")]
    forward_to: Option<String>,
    /// Let --forward-to name another machine
    #[arg(long, requires = "forward_to", help_heading = "Recording and forwarding")]
    allow_remote: bool,
    /// Verify the signature of each request, as `hookctl verify` does; -w reads the webhook's secrets once, at the
    /// start
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    signature: SignatureOptions,
    /// How old a signature may be, and how far in the future; off for any age [default: the scheme's, often 5m]
    #[arg(long, value_name = "DURATION", value_parser = verify::tolerance, requires = "verify")]
    tolerance: Option<Tolerance>,
}

/// How often a waiting listener checks whether it was asked to stop.
const STOP_POLL: Duration = Duration::from_millis(100);

impl Listen {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let verifier = self.verifier(context)?;
        let url = self.forward_to.as_deref();
        let pass_on = url.map(|url| forward::to(context, url, self.allow_remote, self.port)).transpose()?;
        let recorder = self.record.as_deref().map(|folder| Recorder::new(folder, self.record_secrets)).transpose()?;
        let stop = context.stop_on_signals()?;
        let script =
            Script { respond: self.respond, delay: self.delay.unwrap_or_default(), retry_after: self.retry_after };
        let place = SocketAddr::new(self.bind, self.port);
        let receiver = Receiver::start(place, script, pass_on).map_err(|error| cannot_listen(place, &error))?;
        context.out.announce(&format!("listening on {}", receiver.url()));
        if !self.bind.to_canonical().is_loopback() {
            context.out.warning(&format!("other machines that can reach {} can send requests to it", self.bind));
        }
        let clock = context.clock;
        let most = self.count.unwrap_or(u64::MAX);
        let mut desk =
            Desk { verifier, recorder, at: format!("http://{}", receiver.local_address()), is_all_valid: true };
        let mut printed = 0;
        let views = std::iter::from_fn(|| {
            if printed == most {
                return None;
            }
            let request = next(&receiver, &stop)?;
            printed += 1;
            let received_at = match clock.is_fixed() {
                true => clock.now(),
                false => clock.now().plus_millis(-(request.received.elapsed().as_millis() as i64)),
            };
            Some(desk.take(request, received_at).map_err(Into::into))
        });
        context.out.follow_pages(views)?;
        receiver.stop();
        Ok(match stop.exit() {
            Some(exit) if printed < most => exit,
            _ if desk.is_all_valid => Exit::DONE,
            _ => Exit::NOT_VALID,
        })
    }

    /// The verifier, with --verify. A secret that does not fit the scheme is refused before the first request.
    fn verifier(&self, context: &mut Context) -> Result<Option<Verifier>> {
        if !self.verify {
            self.signature.refuse_without("--verify", "check the signature of each request")?;
            return Ok(None);
        }
        let verifier = Verifier { keyed: self.signature.resolve(context)?, tolerance: self.tolerance };
        verify::check(&verifier.keyed, context.now())?;
        Ok(Some(verifier))
    }
}

struct Verifier {
    keyed: Keyed,
    tolerance: Option<Tolerance>,
}

impl Verifier {
    fn judge(&self, request: &ReceivedRequest, now: Timestamp) -> Result<VerifyView, Failure> {
        let received = Received {
            headers: &request.message.headers(),
            body: &request.message.body,
            url: self.keyed.url.as_deref(),
            method: Some(&request.message.method),
            now,
            tolerance: None,
        };
        verify::answer(&self.keyed, &received, self.tolerance)
    }
}

/// The next request; `None` once the program was asked to stop.
fn next(receiver: &Receiver, stop: &Stop) -> Option<ReceivedRequest> {
    while !stop.is_asked() {
        if let Some(request) = receiver.recv_timeout(STOP_POLL) {
            return Some(request);
        }
    }
    None
}

/// Verifies and records answered requests.
struct Desk {
    verifier: Option<Verifier>,
    recorder: Option<Recorder>,
    /// The URL of the listener.
    at: String,
    is_all_valid: bool,
}

impl Desk {
    fn take(&mut self, request: ReceivedRequest, received_at: Timestamp) -> Result<RequestView, Failure> {
        let verification = self.verifier.as_ref().map(|verifier| verifier.judge(&request, received_at)).transpose()?;
        self.is_all_valid &= verification.as_ref().is_none_or(|verification| verification.valid);
        let recorded = match &self.recorder {
            Some(recorder) => {
                let notes = notes(&request, verification.as_ref());
                let (at, message) = (self.at.clone(), request.message.clone());
                let recording = Recording { received: received_at, at, notes, request: message };
                Some(recorder.write(request.number, recording)?)
            }
            None => None,
        };
        Ok(RequestView {
            number: request.number,
            received_at,
            headers: view::headers(&request.message),
            method: request.message.method,
            path: request.message.target,
            body: Bytes(request.message.body),
            answered: request.answered,
            verification,
            forward_error: request.not_passed_on,
            recorded: recorded.map(|path| path.display().to_string()),
        })
    }
}

/// The notes of a recording, each on one line.
fn notes(request: &ReceivedRequest, verification: Option<&VerifyView>) -> Vec<(String, String)> {
    let answered = ("answered", Some(request.answered.to_string()));
    let verification = ("verification", verification.map(view::verdict));
    let forwarding = ("forwarding", request.not_passed_on.clone());
    let told = [answered, verification, forwarding].into_iter().filter_map(|(name, value)| Some((name, value?)));
    told.map(|(name, value)| (name.to_owned(), escape(&value).into_owned())).collect()
}

fn cannot_listen(place: SocketAddr, error: &std::io::Error) -> Failure {
    let option = if error.kind() == std::io::ErrorKind::AddrNotAvailable { "--bind" } else { "--port" };
    let hint = match option {
        "--bind" => "name an address of this machine",
        _ => "choose another port, or 0 for any free one",
    };
    Failure::new(Kind::Failed, format!("{option}: cannot listen at {place}: {error}")).hint(hint)
}

/// A port, for clap.
fn port(text: &str) -> Result<u16, String> {
    whole_number(text).ok_or_else(|| "not a port; write a number from 0 to 65535".to_owned())
}

//! `hookctl listen`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::arguments;
use super::delivery::view::{Bytes, Pairs};
use super::signature_options::{Keyed, SignatureOptions};
use super::verify::{self, Tolerance, VerifyView};
use crate::context::{Context, Exit};
use crate::domain::signature::Received;
use crate::domain::time::Timestamp;
use crate::error::{Failure, Kind};
use crate::output::{Cell, Page, Text, escape_bytes};
use crate::receiver::{ReceivedRequest, Receiver, Script, parse_status};
use crate::signals::Stop;

/// Receive webhooks on 127.0.0.1 and print each request as it comes
///
/// The first line on stderr tells the URL, even with --quiet: `listening on http://127.0.0.1:PORT/`. Each request that was
/// answered is a block of text, or one JSON object a line with `-o json` and `-o jsonl`. It goes on until Ctrl-C, SIGTERM,
/// or --count; with --verify and --count it exits with 4 when a signature was not valid.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl listen --port 8000
  hookctl listen --respond 500,500,200 --delay 100ms  # then 200 to the end
  hookctl listen --respond 429 --retry-after 2s
  hookctl listen --count 1 --verify -w crm -o json  # is it signed by crm?

Exit status:
  4         with --verify, a request did not verify
  129       stopped by SIGHUP: its terminal was closed
  130, 143  stopped by Ctrl-C or SIGTERM")]
pub struct Listen {
    /// The port to listen at; 0 for any free one
    #[arg(long, value_name = "PORT", default_value = "0", value_parser = port)]
    port: u16,
    /// The status codes of the first, second, … answer; the last one repeats
    #[arg(long, value_name = "STATUS", default_value = "200", value_delimiter = ',', value_parser = parse_status)]
    respond: Vec<u16>,
    /// How long to wait before each answer
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    delay: Option<Duration>,
    /// The Retry-After of every answer that is not a 2xx, in whole seconds
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    retry_after: Option<Duration>,
    /// End after so many requests
    #[arg(long, value_name = "N", value_parser = arguments::at_least_one)]
    count: Option<u64>,
    /// Verify the signature of each request, as `hookctl verify` does; -w takes the webhook's secrets of when it begins
    #[arg(long)]
    verify: bool,
    #[command(flatten)]
    signature: SignatureOptions,
    /// How old a signature may be, and how far in the future; off for any age [default: the scheme's, often 5m]
    #[arg(long, value_name = "DURATION", value_parser = verify::tolerance, requires = "verify")]
    tolerance: Option<Tolerance>,
}

/// How often a waiting listener looks whether it was asked to stop.
const STOP_POLL: Duration = Duration::from_millis(100);

impl Listen {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let verifier = self.verifier(context)?;
        let script =
            Script { respond: self.respond, delay: self.delay.unwrap_or_default(), retry_after: self.retry_after };
        let stop = context.stop_on_signals()?;
        let receiver = Receiver::start(self.port, script).map_err(|error| {
            Failure::new(Kind::Failed, format!("--port: cannot listen at 127.0.0.1:{}: {error}", self.port))
                .hint("choose another port, or 0 for any free one")
        })?;
        context.out.announce(&format!("listening on {}", receiver.url()));
        let clock = context.clock;
        let most = self.count.unwrap_or(u64::MAX);
        let (mut printed, mut is_all_valid) = (0, true);
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
            let verified = verifier.as_ref().map(|verifier| verifier.judge(&request, received_at)).transpose();
            Some(verified.map_err(Into::into).map(|verification| {
                is_all_valid &= verification.as_ref().is_none_or(|verification| verification.valid);
                RequestView::new(request, received_at, verification)
            }))
        });
        context.out.follow_pages(views)?;
        receiver.stop();
        Ok(match stop.exit() {
            Some(exit) if printed < most => exit,
            _ if is_all_valid => Exit::DONE,
            _ => Exit::NOT_VALID,
        })
    }

    /// What judges the requests, if they are to be; a secret that fits no scheme is refused before the first one.
    fn verifier(&self, context: &mut Context) -> Result<Option<Verifier>> {
        if !self.verify {
            let options = &self.signature;
            return match options.secret.is_given() || options.webhook.is_some() || options.scheme.is_some() {
                true => Err(Failure::invalid("a scheme, webhook or secret is given, and --verify is not")
                    .hint("add --verify to check the signature of each request")
                    .into()),
                false => Ok(None),
            };
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
            headers: &request.headers,
            body: &request.body,
            url: self.keyed.url.as_deref(),
            method: Some(&request.method),
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

/// One request as it is shown.
#[derive(Debug, Serialize)]
struct RequestView {
    number: u64,
    received_at: Timestamp,
    method: String,
    path: String,
    headers: Pairs,
    body: Bytes,
    answered: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<VerifyView>,
}

impl RequestView {
    fn new(request: ReceivedRequest, received_at: Timestamp, verification: Option<VerifyView>) -> RequestView {
        let headers = request.headers.into_iter().map(|(name, value)| {
            // JSON holds text only; what is no UTF-8 shows as `\xNN`.
            let value = String::from_utf8(value).unwrap_or_else(|error| escape_bytes(error.as_bytes()));
            (name, value)
        });
        RequestView {
            number: request.number,
            received_at,
            method: request.method,
            path: request.path,
            headers: Pairs(headers.collect()),
            body: Bytes(request.body),
            answered: request.answered,
            verification,
        }
    }
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
        if let Some(verification) = &self.verification {
            text.field("Signature", verdict(verification));
        }
        for (name, value) in &self.headers.0 {
            text.line(format!("{name}: {value}"));
        }
        text.blank();
        text.block(&self.body.0);
    }
}

/// `valid (timetracker, standard)`, or why not.
fn verdict(verification: &VerifyView) -> Cell {
    match (verification.reason, &verification.detail) {
        (Some(reason), Some(detail)) => Cell::bad(format!("not valid: {}: {detail}", reason.name())),
        _ => Cell::good(format!("valid ({})", verification.schemes.join(", "))),
    }
}

/// A port, for clap.
fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err("not a port; write a number from 0 to 65535".to_owned()),
    }
}

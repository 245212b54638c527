//! `hookctl verify`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::arguments::{self, LONGEST_BODY, Moment, read_input};
use super::signature_options::{self, Keyed, SignatureOptions, stdin_twice};
use crate::context::{Context, Exit};
use crate::domain::signature::{
    Header, Question, Reason, Received, Scheme, Verdict, diagnose, parse_header, parse_headers, verify,
};
use crate::domain::time::Timestamp;
use crate::error::Failure;
use crate::output::{Cell, Page, Text};

/// The longest file with headers, in bytes.
const LONGEST_HEAD: usize = 4 * 1024 * 1024;

/// Check the signature of a request that came in
///
/// Prints `valid` and exits with 0, or one reason and exits with 4: missing-header, malformed, no-match, timestamp-too-old,
/// timestamp-in-future. The exact reason, and what would have matched, is written to stderr. The body is read from FILE,
/// or from stdin, byte for byte.
///
/// The scheme is never chosen by what the request looks like. With a bare secret it is timetracker unless --scheme
/// names another. With -w it is the webhook's own: every one of them whose header is there must be valid, and at
/// least one must be there; --scheme demands one. With -w all live secrets count, those still in their overlap
/// included.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl verify --scheme github --secret-env SECRET \\
      -H \"X-Hub-Signature-256: $signature\" body.json
  hookctl verify -w crm --headers-file head.txt body.bin
  hookctl verify --scheme stripe --secret-file key.txt \\
      --signature \"$value\" --tolerance 10m < body.json
  hookctl verify --scheme slack --secret-env SECRET --headers-file head.json \\
      --now 1531420618 body.txt -o json

Exit status:
  0  the signature is valid
  4  it is not; the reason is on stdout")]
pub struct Verify {
    /// The body; stdin when absent or -
    #[arg(value_name = "FILE")]
    file: Option<String>,
    #[command(flatten)]
    options: SignatureOptions,
    /// The value of the scheme's signature header
    #[arg(long, value_name = "VALUE", help_heading = "Request", allow_hyphen_values = true)]
    signature: Option<String>,
    /// A header of the request [repeatable]
    #[arg(short = 'H', value_name = "NAME: VALUE", help_heading = "Request", allow_hyphen_values = true)]
    request_headers: Vec<String>,
    /// Its headers from a file: an HTTP head as `curl -i` saves it, or a JSON object; - for stdin
    #[arg(long, value_name = "FILE", help_heading = "Request")]
    headers_file: Option<String>,
    /// How old a signature may be, and how far in the future; off for any age [default: the scheme's, often 5m]
    #[arg(long, value_name = "DURATION", value_parser = tolerance, allow_negative_numbers = true, help_heading = "Time")]
    tolerance: Option<Tolerance>,
    /// The time to judge at: a time, seconds or milliseconds since 1970, or 2h for two hours ago [default: now]
    #[arg(long, value_name = "TIME", value_parser = signature_options::time, allow_negative_numbers = true, help_heading = "Time")]
    now: Option<Moment>,
}

/// How old a signature may be.
#[derive(Clone, Copy, Debug)]
pub enum Tolerance {
    Any,
    /// This old, and this far in the future.
    Within(Duration),
}

/// A tolerance, for clap.
pub fn tolerance(text: &str) -> Result<Tolerance, String> {
    match text {
        "off" => Ok(Tolerance::Any),
        _ => arguments::duration(text).map(Tolerance::Within).map_err(|error| format!("{error}; or off for any age")),
    }
}

impl Verify {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let file = self.file.as_deref().unwrap_or("-");
        self.check_stdin(file)?;
        let keyed = self.options.resolve(context)?;
        let headers = self.headers(&keyed.schemes[0])?;
        let body = read_input("FILE", file, LONGEST_BODY)?;
        let clock = context.now();
        let now = self.now.map_or(clock, |moment| moment.resolve(clock));
        let received = Received {
            headers: &headers,
            body: &body,
            url: keyed.url.as_deref(),
            method: keyed.method.as_deref(),
            now,
            tolerance: None,
        };
        let view = answer(&keyed, &received, self.tolerance)?;
        context.out.page(&view)?;
        tell(context, &view, &keyed);
        Ok(if view.valid { Exit::DONE } else { Exit::NOT_VALID })
    }

    fn check_stdin(&self, file: &str) -> Result<(), Failure> {
        let readers = [
            (self.options.reads_stdin(), ("--secret-stdin", "the secret")),
            (self.headers_file.as_deref() == Some("-"), ("--headers-file", "the headers")),
            (file == "-", ("FILE", "the body")),
        ];
        let mut readers = readers.into_iter().filter_map(|(reads, what)| reads.then_some(what));
        match (readers.next(), readers.next()) {
            (Some((option, first)), Some((_, second))) => Err(stdin_twice(option, first, second)),
            _ => Ok(()),
        }
    }

    /// The headers of the request, with the value of `--signature` as the header of `scheme`.
    fn headers(&self, scheme: &Scheme) -> Result<Vec<Header>, Failure> {
        let mut headers = match &self.headers_file {
            Some(file) => parse_headers(&read_input("--headers-file", file, LONGEST_HEAD)?)
                .map_err(|error| Failure::option("--headers-file", error))?,
            None => Vec::new(),
        };
        for line in &self.request_headers {
            let header = parse_header(line.as_bytes());
            headers.push(header.ok_or_else(|| Failure::option("-H", "not a header; write 'Name: value'"))?);
        }
        if let Some(value) = &self.signature {
            let given = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(&scheme.header));
            if let Some((name, _)) = given {
                return Err(Failure::option("--signature", format!("the header {name} is given already"))
                    .hint("leave out one of the two"));
            }
            headers.push((scheme.header.to_string(), value.trim_matches([' ', '\t']).as_bytes().to_vec()));
        }
        Ok(headers)
    }
}

/// Verifies a request by every scheme whose header it has, with `tolerance` or each scheme's own.
pub fn answer(keyed: &Keyed, received: &Received<'_>, tolerance: Option<Tolerance>) -> Result<VerifyView, Failure> {
    let mut views = Vec::new();
    for scheme in judging(&keyed.schemes, received.headers) {
        let tolerance = match tolerance {
            None => scheme.time.map(crate::domain::signature::TimeRule::default_tolerance),
            Some(Tolerance::Any) => None,
            Some(Tolerance::Within(tolerance)) => Some(tolerance),
        };
        views.push(judge(scheme, keyed, &Received { tolerance, ..*received })?);
    }
    let schemes = views.iter().map(|view| view.scheme).collect();
    // The first invalid one decides, else the first.
    let at = views.iter().position(|view| !view.valid).unwrap_or_default();
    Ok(VerifyView { schemes, ..views.swap_remove(at) })
}

/// Checks that there is what each scheme needs: a fitting secret, and the URL if it is signed.
pub fn check(keyed: &Keyed, now: Timestamp) -> Result<(), Failure> {
    let method = Some(keyed.method.as_deref().unwrap_or_default());
    let nothing = Received { headers: &[], body: b"", url: keyed.url.as_deref(), method, now, tolerance: None };
    keyed.schemes.iter().try_for_each(|scheme| judge(scheme, keyed, &nothing).map(|_| ()))
}

/// The schemes whose header is there; if none is, the first scheme, to report a missing header.
fn judging<'a>(schemes: &'a [Scheme], headers: &[Header]) -> Vec<&'a Scheme> {
    let is_there = |scheme: &&Scheme| {
        let mut names = scheme.signature_headers();
        names.any(|name| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name)))
    };
    let there: Vec<&Scheme> = schemes.iter().filter(is_there).collect();
    if there.is_empty() { schemes.iter().take(1).collect() } else { there }
}

fn judge(scheme: &Scheme, keyed: &Keyed, received: &Received<'_>) -> Result<VerifyView, Failure> {
    let secrets = keyed.secrets();
    let verdict = verify(scheme, &secrets, received).map_err(|question| match question {
        Question::Secret(error) => Failure::option(keyed.secret_option, error),
        Question::NeedsUrl(_) | Question::NeedsMethod(_) => Failure::invalid(question.to_string()),
    })?;
    let view = VerifyView { scheme: scheme.name, webhook: keyed.webhook.clone(), ..VerifyView::default() };
    Ok(match verdict {
        Verdict::Valid { matched, signed_at } => {
            let secret = &keyed.secrets[matched];
            VerifyView {
                valid: true,
                matched: Some(secret.role),
                secret_expires_at: secret.expires_at,
                signed_at,
                ..view
            }
        }
        Verdict::Invalid { reason, detail } => {
            let retired: Vec<_> = keyed.retired.iter().collect();
            let hints = match reason {
                Reason::TimestampTooOld | Reason::TimestampInFuture => Vec::new(),
                _ => diagnose(scheme, &secrets, &retired, received),
            };
            VerifyView { reason: Some(reason), detail: Some(detail), hints, ..view }
        }
    })
}

/// The details for people.
fn tell(context: &mut Context, view: &VerifyView, keyed: &Keyed) {
    if let Some(detail) = &view.detail {
        context.out.notice(&format!("{} ({})", detail, view.scheme));
    }
    for hint in &view.hints {
        context.out.notice(hint);
    }
    if let Some(at) = view.secret_expires_at {
        context.out.notice(&format!("it matches the previous secret, which counts until {}", at.rfc3339()));
    }
    let skipped: Vec<&str> =
        keyed.schemes.iter().map(|scheme| scheme.name).filter(|name| !view.schemes.contains(name)).collect();
    if view.valid && !skipped.is_empty() {
        context.out.notice(&format!(
            "judged by {}; the request has no header of {}",
            view.schemes.join(", "),
            skipped.join(", ")
        ));
    }
}

#[derive(Debug, Default, Serialize)]
pub struct VerifyView {
    pub valid: bool,
    /// The scheme that decided.
    scheme: &'static str,
    /// All schemes that were checked.
    pub schemes: Vec<&'static str>,
    /// Why it is not valid, as one word.
    pub reason: Option<Reason>,
    /// Why it is not valid, in full.
    pub detail: Option<String>,
    hints: Vec<String>,
    /// Which secret matched: `given`, `current` or `previous`.
    matched: Option<&'static str>,
    secret_expires_at: Option<Timestamp>,
    signed_at: Option<Timestamp>,
    webhook: Option<String>,
}

impl Page for VerifyView {
    fn describe(&self, text: &mut Text) {
        match self.reason {
            None => text.line(Cell::good("valid")),
            Some(reason) => text.line(Cell::bad(reason.name())),
        }
    }
}

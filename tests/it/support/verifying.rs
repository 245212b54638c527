//! A receiver that verifies what comes, and is wrong in one way if told so. It shares no code with the program.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::{Recorded, Reply, Script, TestReceiver};

/// How far a timestamp may be off, in seconds.
const TOLERANCE: i64 = 300;

/// The one thing that a receiver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    ChecksNothing,
    TakesWhatIsUnsigned,
    TakesEverySignature,
    TakesTheIdFromTheBody,
    IgnoresTheTime,
    TakesTheFuture,
    ReadsTheJson,
    KnowsOneSignature,
    Answers500,
    Fails500OnMalformed,
    LimitsBodiesTo64KiB,
    Fails500OnEmpty,
    WantsJson,
    IsSlowOnce,
    HandlesEachTime,
}

/// How a request is signed, as far as a receiver sees it.
struct Signed {
    timestamp: Option<String>,
    content: Vec<u8>,
    signatures: Vec<Vec<u8>>,
    key: Vec<u8>,
}

/// Starts a receiver for a scheme; it writes the body of each event that it handles to a file of the folder, a line each.
pub fn verifying(scheme: &'static str, secret: &str, fault: Fault, folder: &Path) -> TestReceiver {
    let secret = secret.to_owned();
    let log = folder.join("events.log");
    let handled = Mutex::new(HashSet::new());
    let was_slow = AtomicBool::new(false);
    TestReceiver::start(Script::each(move |request| {
        let status = judge(scheme, &secret, fault, request);
        if status == 200 {
            let id = event_id(request);
            if handled.lock().unwrap().insert(id.clone()) || fault == Fault::HandlesEachTime {
                let mut log = OpenOptions::new().create(true).append(true).open(&log).unwrap();
                writeln!(log, "{id}").unwrap();
            }
        }
        match fault {
            Fault::IsSlowOnce if !was_slow.swap(true, Ordering::SeqCst) => {
                Reply::StatusAfter(Duration::from_millis(2_500), status)
            }
            _ => Reply::Status(status),
        }
    }))
}

fn judge(scheme: &str, secret: &str, fault: Fault, request: &Recorded) -> u16 {
    let refused = if fault == Fault::Answers500 { 500 } else { 401 };
    let body = match fault {
        Fault::ChecksNothing => return 200,
        Fault::LimitsBodiesTo64KiB if request.body.len() > 65_536 => return 413,
        Fault::Fails500OnEmpty if request.body.is_empty() => return 500,
        Fault::WantsJson if request.header("content-type") != Some("application/json") => Vec::new(),
        Fault::ReadsTheJson => compact(&request.body),
        _ => request.body.clone(),
    };
    let header = signature_header(scheme);
    let Some(value) = request.header(header) else {
        return if fault == Fault::TakesWhatIsUnsigned { 200 } else { refused };
    };
    let Some(signed) = signed(scheme, secret, value, request, &body, fault) else {
        return if fault == Fault::Fails500OnMalformed { 500 } else { refused };
    };
    let count = if fault == Fault::KnowsOneSignature { 1 } else { signed.signatures.len() };
    // A header that is compared as a whole: two of them are none.
    let signatures = if count < signed.signatures.len() { &[] } else { &signed.signatures[..] };
    let mut mac = Hmac::<Sha256>::new_from_slice(&signed.key).unwrap();
    mac.update(&signed.content);
    let matches = |signature: &Vec<u8>| match fault {
        Fault::TakesEverySignature => signature.len() == 32,
        _ => mac.clone().verify_slice(signature).is_ok(),
    };
    if !signatures.iter().any(matches) || !is_of_now(signed.timestamp.as_deref(), fault) {
        return refused;
    }
    200
}

fn signature_header(scheme: &str) -> &'static str {
    match scheme {
        "timetracker" => "x-webhook-signature",
        "standard" => "webhook-signature",
        "github" => "x-hub-signature-256",
        "stripe" => "stripe-signature",
        "slack" => "x-slack-signature",
        other => panic!("no receiver for {other}"),
    }
}

/// What a request says of its signature; `None` where that is malformed.
fn signed(scheme: &str, secret: &str, value: &str, request: &Recorded, body: &[u8], fault: Fault) -> Option<Signed> {
    let text_key = secret.as_bytes().to_vec();
    let header = |name: &str| request.header(name).map(str::to_owned);
    let with_time = |prefix: &str, timestamp: &str, mark: &str| {
        [prefix.as_bytes(), timestamp.as_bytes(), mark.as_bytes(), body].concat()
    };
    let one = |prefix: &str| Some(vec![hex::decode(value.strip_prefix(prefix)?).ok()?]);
    let id = event_id(request);
    Some(match scheme {
        "timetracker" | "github" => {
            Signed { timestamp: None, content: body.to_vec(), signatures: one("sha256=")?, key: text_key }
        }
        "slack" => {
            let timestamp = header("x-slack-request-timestamp")?;
            let content = with_time("v0:", &timestamp, ":");
            Signed { timestamp: Some(timestamp), content, signatures: one("v0=")?, key: text_key }
        }
        "stripe" => {
            let items: Vec<(&str, &str)> = value.split(',').map(|item| item.split_once('=')).collect::<Option<_>>()?;
            let timestamp = items.iter().find(|(key, _)| *key == "t")?.1.to_owned();
            let signatures = items.iter().filter(|(key, _)| *key == "v1").map(|(_, text)| hex::decode(text).ok());
            let signatures = signatures.collect::<Option<_>>()?;
            let content = with_time("", &timestamp, ".");
            Signed { timestamp: Some(timestamp), content, signatures, key: text_key }
        }
        _ => {
            let id = if fault == Fault::TakesTheIdFromTheBody { id } else { header("webhook-id")? };
            let timestamp = header("webhook-timestamp")?;
            let decode = |item: &str| BASE64_STANDARD.decode(item.strip_prefix("v1,")?).ok();
            let signatures = value.split(' ').map(decode).collect::<Option<_>>()?;
            let content = with_time(&format!("{id}."), &timestamp, ".");
            let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
            Signed { timestamp: Some(timestamp), content, signatures, key }
        }
    })
}

fn is_of_now(timestamp: Option<&str>, fault: Fault) -> bool {
    let Some(timestamp) = timestamp else { return true };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let Ok(timestamp) = timestamp.parse::<i64>() else { return false };
    match fault {
        Fault::IgnoresTheTime => true,
        Fault::TakesTheFuture => now - timestamp <= TOLERANCE,
        _ => (now - timestamp).abs() <= TOLERANCE,
    }
}

/// The envelope's; empty where there is none.
fn event_id(request: &Recorded) -> String {
    let envelope: serde_json::Value = serde_json::from_slice(&request.body).unwrap_or_default();
    envelope["event_id"].as_str().unwrap_or_default().to_owned()
}

/// JSON as most libraries write it; anything else as it is.
fn compact(body: &[u8]) -> Vec<u8> {
    if serde_json::from_slice::<serde_json::Value>(body).is_err() {
        return body.to_vec();
    }
    let (mut is_string, mut is_escaped) = (false, false);
    let mut out = Vec::new();
    for byte in body {
        if *byte == b'"' && !is_escaped {
            is_string = !is_string;
        }
        is_escaped = is_string && *byte == b'\\' && !is_escaped;
        if is_string || !byte.is_ascii_whitespace() {
            out.push(*byte);
        }
    }
    out
}

//! A receiver in Rust, with tiny_http: `PORT=8000 cargo run`
//!
//! `WEBHOOK_SECRET` holds the secret, `WEBHOOK_SCHEME` is standard (the default) or timetracker, events go to the folder
//! inbox. Cargo.toml: base64 = "0.23", hex = "0.4", hmac = "0.13", serde_json = "1.0", sha2 = "0.11", tempfile = "3.27",
//! tiny_http = "0.12".

use std::env;
use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tiny_http::{Method, Request, Response, Server};

/// How far a timestamp may be off, either way.
const TOLERANCE: Duration = Duration::from_secs(300);

/// hookctl's own limit.
const BODY_LIMIT: u64 = 1024 * 1024;

/// Checks a request signed by the scheme `standard`; returns the event id, or why it is not valid.
fn standard(secrets: &[String], request: &Request, body: &[u8], now: SystemTime) -> Result<String, &'static str> {
    let id = header(request, "webhook-id");
    let timestamp = header(request, "webhook-timestamp");
    let sent_at =
        timestamp.parse().ok().and_then(|seconds| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
    let Some(sent_at) = sent_at.filter(|_| !id.is_empty()) else {
        return Err("webhook-id or webhook-timestamp is missing or malformed");
    };
    let age = now.duration_since(sent_at).unwrap_or_else(|future| future.duration());
    if age > TOLERANCE {
        return Err("the timestamp is too old, or of the future");
    }
    let sent = header(request, "webhook-signature").split(' ').filter_map(|item| item.strip_prefix("v1,"));
    let sent: Vec<_> = sent.filter_map(|signature| BASE64_STANDARD.decode(signature).ok()).collect();
    for secret in secrets {
        let key = BASE64_STANDARD
            .decode(secret.strip_prefix("whsec_").unwrap_or(secret))
            .map_err(|_| "the secret is not base64")?;
        let mac = mac(&key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
        // verify_slice compares in constant time.
        if sent.iter().any(|signature| mac.clone().verify_slice(signature).is_ok()) {
            return Ok(id.to_owned());
        }
    }
    Err("no signature matches")
}

/// Checks a request signed by the scheme `timetracker`; returns the event id, or why it is not valid.
///
/// Nothing but the body is signed: no time that could be too old, and the event id is the envelope's.
fn timetracker(secrets: &[String], request: &Request, body: &[u8], _: SystemTime) -> Result<String, &'static str> {
    let sent = header(request, "x-webhook-signature");
    let sent = hex::decode(sent.strip_prefix("sha256=").unwrap_or(sent)).map_err(|_| "no signature matches")?;
    if !secrets.iter().any(|secret| mac(secret.as_bytes(), &[body]).verify_slice(&sent).is_ok()) {
        return Err("no signature matches");
    }
    let envelope: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    envelope["event_id"].as_str().map(str::to_owned).ok_or("the body is no envelope with an event_id")
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mac = Hmac::new_from_slice(key).expect("HMAC takes keys of any length");
    parts.iter().fold(mac, Hmac::chain_update)
}

fn header<'a>(request: &'a Request, name: &str) -> &'a str {
    let field = request.headers().iter().find(|header| header.field.as_str().as_str().eq_ignore_ascii_case(name));
    field.map_or("", |header| header.value.as_str())
}

/// Stores the event under its id, whole or not at all; false when it is there already.
///
/// Answer 2xx only after this: what the sender was told is received must not be lost.
fn keep(inbox: &Path, id: &str, body: &[u8]) -> io::Result<bool> {
    std::fs::create_dir_all(inbox)?;
    let mut file = tempfile::NamedTempFile::new_in(inbox)?;
    file.write_all(body)?;
    file.as_file().sync_all()?;
    let name = hex::encode(Sha256::digest(id)) + ".event";
    match file.persist_noclobber(inbox.join(name)) {
        Ok(_) => Ok(true),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.error),
    }
}

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    // One secret, or during a rotation two separated by a space.
    let secrets: Vec<String> = env::var("WEBHOOK_SECRET")?.split_whitespace().map(str::to_owned).collect();
    if secrets.is_empty() {
        return Err("no secret is set".into());
    }
    let check = match env::var("WEBHOOK_SCHEME").as_deref() {
        Ok("timetracker") => timetracker,
        _ => standard,
    };
    let inbox = env::var_os("WEBHOOK_INBOX").unwrap_or("inbox".into());
    let port = env::var("PORT").unwrap_or("8000".to_owned());
    let server = Server::http(format!("127.0.0.1:{port}"))?;
    for mut request in server.incoming_requests() {
        // The bytes as they came: JSON that was read and written again has another signature.
        let mut body = Vec::new();
        let is_whole = request.as_reader().take(BODY_LIMIT + 1).read_to_end(&mut body).is_ok();
        let (status, text) = match check(&secrets, &request, &body, SystemTime::now()) {
            _ if *request.method() != Method::Post => (405, "POST alone"),
            _ if !is_whole || body.len() as u64 > BODY_LIMIT => (400, "the body is too large, or broke off"),
            Err(reason) => (401, reason),
            Ok(id) => match keep(Path::new(&inbox), &id, &body) {
                Ok(true) => (200, "received"),
                Ok(false) => (200, "a duplicate"),
                Err(_) => (500, "not stored"),
            },
        };
        // A sender that went away sends again.
        let _ = request.respond(Response::from_string(text).with_status_code(status));
    }
    Ok(())
}

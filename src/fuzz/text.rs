//! Texts: a request to be verified, a URL, a file of headers, a line of a batch, a configuration.

use std::net::IpAddr;

use url::Host;

use crate::commands::configuration;
use crate::commands::emit::batch;
use crate::domain::event::{self, PAYLOAD_LIMIT};
use crate::domain::message::{HeadError, Message};
use crate::domain::network::AddressPolicy;
use crate::domain::recording::Recording;
use crate::domain::secret::Secret;
use crate::domain::signature::{self, Received, Verdict, diagnose, parse_headers, schemes};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Settings;
use crate::domain::webhook::rules::METHODS;
use crate::domain::{event_type, target_url};
use crate::http::Target;

/// One key for each kind of scheme. No input is signed with them.
const SECRETS: [&str; 2] =
    ["whsec_mCQ5bYqHkZ0n2o1vCq8YkS3yX0m9w6Jr7t4u2p5aE1c=", "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="];

/// A head, a blank line, and a body. Nothing is valid that was not signed, and no advice fails.
pub fn verify(data: &[u8]) {
    let end = data.windows(2).position(|pair| pair == b"\n\n").unwrap_or(data.len());
    let Ok(headers) = parse_headers(&data[..end]) else { return };
    let secrets: Vec<Secret> =
        SECRETS.iter().map(|text| Secret::parse((*text).to_owned()).expect("it is one")).collect();
    let secrets: Vec<&Secret> = secrets.iter().collect();
    let received = Received {
        headers: &headers,
        body: data.get(end + 2..).unwrap_or_default(),
        url: Some("https://example.com/hook?a=1&b=%7B"),
        method: Some("POST"),
        now: Timestamp::from_millis(1_614_265_330_000),
        tolerance: None,
    };
    for scheme in schemes::ALL.iter() {
        let names = scheme.signature_headers();
        if !names.clone().any(|name| headers.iter().any(|(given, _)| given.eq_ignore_ascii_case(name))) {
            continue;
        }
        let verdict = signature::verify(scheme, &secrets, &received);
        assert!(!matches!(verdict, Ok(Verdict::Valid { .. })), "forged for {}", scheme.name);
        diagnose(scheme, &secrets, &[], &received);
    }
}

/// What is accepted is written in one way, is called as it is written, and an address in it meets the guard.
pub fn url(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(url) = target_url::parse(text) else { return };
    assert!(matches!(url.scheme(), "http" | "https") && url.as_str().len() <= target_url::MAX_LENGTH);
    assert!(url.username().is_empty() && url.password().is_none() && url.port() != Some(0));
    assert!(url.as_str().bytes().all(|byte| byte.is_ascii_graphic()), "{url}");
    assert_eq!(target_url::parse(url.as_str()).as_ref(), Ok(&url), "what is stored is what is read back");
    let target = Target::new(&url).expect("what is accepted can be called");
    let address = match url.host().expect("a host") {
        Host::Domain(_) => None,
        Host::Ipv4(address) => Some(IpAddr::V4(address)),
        Host::Ipv6(address) => Some(IpAddr::V6(address)),
    };
    let host = target.place().rsplit_once(':').expect("host and port").0;
    assert_eq!(host.trim_matches(['[', ']']).parse().ok(), address, "the guard and the client see one address");
    if let Some(address) = address
        && (address.is_loopback() || address.is_unspecified() || address.is_multicast())
    {
        assert!(AddressPolicy::default().check(address).is_err(), "{address} was let through");
    }
    target_url::masked(&url);
}

/// Headers of a head that are written out are read back as they were.
pub fn headers_file(data: &[u8]) {
    let Ok(headers) = parse_headers(data) else { return };
    if data.trim_ascii_start().first() == Some(&b'{') || data.starts_with(b"\xef\xbb\xbf") {
        return;
    }
    let lines = headers.iter().map(|(name, value)| [name.as_bytes(), b": ", value, b"\r\n"].concat());
    let written = lines.collect::<Vec<_>>().concat();
    assert_eq!(parse_headers(&written), Ok(headers));
}

/// A recording that is written again is read as the same, and what is sent of it is one request with its headers and body.
pub fn recording(data: &[u8]) {
    let Ok(mut recording) = Recording::parse(data) else { return };
    assert_eq!(Recording::parse(&recording.to_bytes()).as_ref(), Ok(&recording));
    recording.mask();
    let Ok(wire) = recording.request.wire() else { return };
    let read = Message::read_head(&wire);
    // As many headers as may be, and the length that is added.
    if matches!(read, Err(HeadError::TooManyHeaders)) {
        return;
    }
    let (head, length) = read.expect("it is a head").expect("it is whole");
    assert_eq!((&head.method, &head.target), (&recording.request.method, &recording.request.target));
    let is_chunked = head.values("transfer-encoding").next().is_some();
    assert!(is_chunked || wire[length..] == recording.request.body);
    assert!(head.values("content-length").count() <= 1 && !(is_chunked && head.values("content-length").count() > 0));
}

/// An event that is taken from a line is one that `emit` would take, and is the same each time.
pub fn batch_line(data: &[u8]) {
    let now = Timestamp::from_millis(1_893_456_000_000);
    let read = || batch::event_of(data, None, now, 1);
    let Ok(Some(taken)) = read() else { return };
    assert_eq!(event::check_id(&taken.event_id), Ok(()));
    assert!(event_type::check(&taken.event_type).is_ok() && taken.payload.len() <= PAYLOAD_LIMIT);
    let again = read().ok().flatten().expect("it was taken before");
    assert_eq!((again.fingerprint, again.payload), (taken.fingerprint, taken.payload));
}

/// A TOML file for `apply`.
pub fn apply_toml(data: &[u8]) {
    apply(data, false);
}

/// A JSON file for `apply`.
pub fn apply_json(data: &[u8]) {
    apply(data, true);
}

/// What is accepted of a configuration is what `webhook create` would accept.
fn apply(data: &[u8], is_json: bool) {
    let Ok(text) = str::from_utf8(data) else { return };
    let Ok(configuration) = configuration::parse(text, is_json) else { return };
    for entry in configuration.webhooks.iter().flatten() {
        let mut settings = Settings::default();
        let made = settings.set_name(&entry.name).and_then(|()| entry.change.apply(&mut settings));
        if made.and_then(|()| settings.check()).is_err() {
            continue;
        }
        let Some(full) = settings.full_url() else { continue };
        assert_eq!(target_url::parse(&full).expect("a URL that is accepted").as_str(), full);
        assert!(METHODS.contains(&settings.http_method.as_str()) && !settings.events.is_empty());
        assert!(settings.timeout_ms > 0 && settings.disable_after_ms >= 0 && settings.concurrency != Some(0));
        for (_, value) in &settings.headers {
            assert!(value.text().unwrap_or_default().bytes().all(|byte| matches!(byte, b' '..=b'~')));
        }
    }
}

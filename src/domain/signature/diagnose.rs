//! What to check next when a signature is not valid: small changes are tried, and those that make it match are named.

use super::{Algorithm, Encoding, Hash, KeyForm, Overrides, Received, Scheme, Verdict, schemes, verify};
use crate::domain::json::layout::Layout;
use crate::domain::secret::Secret;

/// Prefixes seen in the wild, tried with plain HMAC.
const PREFIXES: [&str; 6] = ["", "sha1=", "sha256=", "sha512=", "v0=", "v1="];

/// What would have made the signature match, in words; empty when nothing did.
///
/// Worth asking whenever the reason is neither of the timestamp's. `retired` are secrets that no longer count.
/// No hint tells the expected signature or a secret. The age of the signature plays no part.
pub fn diagnose(scheme: &Scheme, secrets: &[&Secret], retired: &[&Secret], received: &Received<'_>) -> Vec<String> {
    let received = Received { tolerance: None, ..*received };
    let mut hints = body_hints(scheme, secrets, &received);
    hints.extend(url_hints(scheme, secrets, &received));
    if matches(scheme, retired, &received) {
        hints.push("matches the retired secret: the sender has not changed to the new one".to_owned());
    }
    hints.extend(key_form_hint(scheme, secrets, &received));
    hints.extend(around_hint(scheme, secrets, &received));
    let mut others = scheme_hints(scheme, secrets, &received);
    if others.is_empty() && hints.is_empty() {
        others.extend(plain_hmac_hint(scheme, secrets, &received));
    }
    hints.extend(others);
    hints
}

fn matches(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> bool {
    matches!(verify(scheme, secrets, received), Ok(Verdict::Valid { .. }))
}

fn body_hints(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> Vec<String> {
    let body = received.body;
    let mut changed: Vec<(&str, Vec<u8>)> = Vec::new();
    if let Some(without) = body.strip_suffix(b"\n") {
        let without = without.strip_suffix(b"\r").unwrap_or(without);
        changed.push(("matches with the final newline removed", without.to_vec()));
    } else {
        changed.push(("matches with a final newline added", [body, b"\n"].concat()));
    }
    if body.contains(&b'\r') {
        let unix = body.iter().copied().filter(|byte| *byte != b'\r').collect();
        changed.push(("matches with LF line ends instead of CRLF", unix));
    }
    for layout in Layout::ALL {
        let Some(other) = layout.of(body).filter(|other| other != body) else { continue };
        changed.push((layout_hint(layout), other));
    }
    let hint = |(hint, body): (&str, Vec<u8>)| {
        matches(scheme, secrets, &Received { body: &body, ..*received }).then(|| hint.to_owned())
    };
    let mut hints: Vec<String> = changed.into_iter().filter_map(hint).collect();
    // A body that only lacks or has a final newline is already explained; its compact form says nothing more.
    if hints.first().is_some_and(|hint| hint.contains("final newline")) {
        hints.truncate(1);
    }
    hints
}

fn layout_hint(layout: Layout) -> &'static str {
    match layout {
        Layout::Compact => "matches when the JSON is compacted: the body was re-serialised",
        Layout::Spaced => "matches when the JSON has a blank after each comma and colon: the body was re-serialised",
        Layout::Indented(_) => "matches when the JSON is indented: the body was re-serialised",
        Layout::Escaped => "matches when all but ASCII is written as \\uxxxx: the body was decoded and re-serialised",
    }
}

fn url_hints(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> Option<String> {
    let url = received.url.filter(|_| scheme.needs_url())?;
    let (hint, other) = match url.strip_suffix('/') {
        Some(without) => ("matches without the slash at the end of the URL", without.to_owned()),
        None => ("matches with a slash at the end of the URL", format!("{url}/")),
    };
    matches(scheme, secrets, &Received { url: Some(&other), ..*received }).then(|| hint.to_owned())
}

fn key_form_hint(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> Option<String> {
    let Algorithm::Hmac(hash, form) = scheme.algorithm else { return None };
    let (form, hint) = match form {
        KeyForm::Text => (KeyForm::Base64, "matches when the secret is decoded from base64"),
        KeyForm::Base64 => (KeyForm::Text, "matches when the secret is used as text: the sender did not decode it"),
    };
    let other = Scheme { algorithm: Algorithm::Hmac(hash, form), ..scheme.clone() };
    matches(&other, secrets, received).then(|| hint.to_owned())
}

/// Whether blanks or quotes came along when the secret was copied.
fn around_hint(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> Option<String> {
    let bare = |secret: &&Secret| {
        let text = secret.expose();
        let bare = text.trim_matches([' ', '\t', '"', '\'']);
        if bare == text { None } else { Secret::parse(bare.to_owned()).ok() }
    };
    let bare: Vec<Secret> = secrets.iter().filter_map(bare).collect();
    matches(scheme, &bare.iter().collect::<Vec<_>>(), received)
        .then(|| "matches without the blanks or quotes around the secret".to_owned())
}

fn scheme_hints(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> Vec<String> {
    let others = schemes::ALL.iter().filter(|other| other.name != scheme.name);
    others
        .filter(|other| matches(other, secrets, received))
        .map(|other| format!("matches scheme {}", other.name))
        .collect()
}

/// Whether the value is an HMAC of the body in another hash, encoding or prefix.
fn plain_hmac_hint(scheme: &Scheme, secrets: &[&Secret], received: &Received<'_>) -> Option<String> {
    let (name, value) = scheme.signature_headers().find_map(|name| {
        received.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| (name, value))
    })?;
    if matches(&Scheme { time: None, ..scheme.clone() }, secrets, received) {
        return None; // Right as it is; what is wrong is the time in the body.
    }
    let hmac = Scheme::find("hmac")?;
    for prefix in PREFIXES.iter().filter(|prefix| value.starts_with(prefix.as_bytes())) {
        for (hash, encoding) in Hash::ALL.into_iter().flat_map(|h| [(h, Encoding::HexAnyCase), (h, Encoding::Base64)]) {
            let overrides = Overrides {
                hash: Some(hash),
                encoding: Some(encoding),
                prefix: Some((*prefix).to_owned()),
                header: Some(name.to_owned()),
            };
            let candidate = hmac.with(&overrides).ok()?;
            if candidate != *scheme && matches(&candidate, secrets, received) {
                return Some(plain_hmac_words(hash, encoding, prefix, value));
            }
        }
    }
    None
}

fn plain_hmac_words(hash: Hash, encoding: Encoding, prefix: &str, value: &[u8]) -> String {
    let prefix = if prefix.is_empty() { String::new() } else { format!(" --prefix {prefix}") };
    let note = match encoding {
        Encoding::HexAnyCase if value.iter().any(u8::is_ascii_uppercase) => ", once its hex is in lower case",
        _ => "",
    };
    format!("matches scheme hmac with --algorithm {} --encoding {}{prefix}{note}", hash.name(), encoding.name())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::{Header, Message, Signer};
    use super::*;
    use crate::domain::time::Timestamp;

    const NOW: i64 = 1_700_000_000_000;

    fn secret(text: &str) -> Secret {
        Secret::parse(text.to_owned()).unwrap()
    }

    fn signed(scheme: &Scheme, secret: &Secret, body: &[u8]) -> Vec<Header> {
        let message = Message {
            id: "evt_1",
            timestamp: Timestamp::from_millis(NOW),
            url: "https://receiver.example/hook",
            method: "POST",
            body,
        };
        let signer = Signer::new(scheme, &[secret]).unwrap();
        signer.headers(&message).into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
    }

    fn received<'a>(headers: &'a [Header], body: &'a [u8]) -> Received<'a> {
        Received {
            headers,
            body,
            url: Some("https://receiver.example/hook"),
            method: Some("POST"),
            now: Timestamp::from_millis(NOW),
            tolerance: None,
        }
    }

    /// The hints when `sent` was signed and `got` arrived.
    fn hints(name: &str, sent: &[u8], got: &[u8]) -> Vec<String> {
        let scheme = Scheme::find(name).unwrap();
        let secret = Secret::generate([9; 32]);
        let headers = signed(scheme, &secret, sent);
        diagnose(scheme, &[&secret], &[], &received(&headers, got))
    }

    #[test]
    fn a_changed_final_newline_is_told() {
        assert_eq!(hints("github", b"{\"a\":1}", b"{\"a\":1}\n"), ["matches with the final newline removed"]);
        assert_eq!(hints("stripe", b"{\"a\":1}\n", b"{\"a\":1}"), ["matches with a final newline added"]);
        assert_eq!(hints("github", b"a\nb", b"a\r\nb"), ["matches with LF line ends instead of CRLF"]);
    }

    #[test]
    fn a_re_serialised_body_is_told() {
        let compact = br#"{"a":1.50,"b":[1,2]}"#;
        let spaced = br#"{"a": 1.50, "b": [1, 2]}"#;
        assert_eq!(
            hints("timetracker", compact, spaced),
            ["matches when the JSON is compacted: the body was re-serialised"]
        );
        assert!(hints("standard", spaced, compact)[0].contains("a blank after each comma"));
        assert!(hints("slack", b"[\n  1\n]", b"[1]")[0].contains("indented"));
        assert!(hints("meta", br#"{"a":"\u00e9"}"#, "{\"a\":\"é\"}".as_bytes())[0].contains("\\uxxxx"));
    }

    #[test]
    fn a_retired_secret_is_told() {
        let (old, new) = (secret("old one"), secret("new one"));
        let scheme = Scheme::find("github").unwrap();
        let headers = signed(scheme, &old, b"{}");
        let hints = diagnose(scheme, &[&new], &[&old], &received(&headers, b"{}"));
        assert_eq!(hints, ["matches the retired secret: the sender has not changed to the new one"]);
    }

    #[test]
    fn another_scheme_is_told_even_when_the_header_of_this_one_is_missing() {
        let secret = Secret::generate([9; 32]);
        let headers = signed(Scheme::find("stripe").unwrap(), &secret, b"{}");
        let hints = diagnose(Scheme::find("slack").unwrap(), &[&secret], &[], &received(&headers, b"{}"));
        assert_eq!(hints, ["matches scheme stripe"]);
    }

    #[test]
    fn another_encoding_or_hash_is_told() {
        let secret = secret("hush");
        let base64 = Overrides {
            encoding: Some(Encoding::Base64),
            hash: Some(Hash::Sha512),
            prefix: Some("sha256=".to_owned()),
            header: Some("X-Webhook-Signature".to_owned()),
        };
        let headers = signed(&Scheme::find("hmac").unwrap().with(&base64).unwrap(), &secret, b"{}");
        let hints = diagnose(Scheme::find("timetracker").unwrap(), &[&secret], &[], &received(&headers, b"{}"));
        assert_eq!(hints, ["matches scheme hmac with --algorithm sha512 --encoding base64 --prefix sha256="]);
    }

    #[test]
    fn a_body_without_its_time_is_no_matter_of_the_scheme() {
        assert_eq!(hints("linear", b"{}", b"{}"), Vec::<String>::new());
    }

    #[test]
    fn a_secret_that_was_not_decoded_is_told() {
        let standard = Scheme::find("standard").unwrap();
        let as_text = Scheme { algorithm: Algorithm::Hmac(Hash::Sha256, KeyForm::Text), ..standard.clone() };
        let secret = Secret::generate([9; 32]);
        let headers = signed(&as_text, &secret, b"{}");
        let hints = diagnose(standard, &[&secret], &[], &received(&headers, b"{}"));
        assert_eq!(hints, ["matches when the secret is used as text: the sender did not decode it"]);
    }

    #[test]
    fn blanks_and_quotes_around_the_secret_are_told() {
        let scheme = Scheme::find("github").unwrap();
        let headers = signed(scheme, &secret("hush"), b"{}");
        for text in ["hush ", " hush", "\"hush\"", "'hush'"] {
            let hints = diagnose(scheme, &[&secret(text)], &[], &received(&headers, b"{}"));
            assert_eq!(hints, ["matches without the blanks or quotes around the secret"], "{text}");
        }
        let hints = diagnose(scheme, &[&secret(" ")], &[], &received(&headers, b"{}"));
        assert_eq!(hints, Vec::<String>::new());
    }

    #[test]
    fn an_old_signature_gets_its_hints_all_the_same() {
        let scheme = Scheme::find("stripe").unwrap();
        let secret = secret("hush");
        let headers = signed(scheme, &secret, b"{}");
        let late = Timestamp::from_millis(NOW + 3_600_000);
        let request = Received { now: late, tolerance: Some(Duration::ZERO), ..received(&headers, b"{}\n") };
        assert_eq!(diagnose(scheme, &[&secret], &[], &request), ["matches with the final newline removed"]);
    }

    #[test]
    fn a_slash_at_the_end_of_the_url_is_told() {
        let scheme = Scheme::find("square").unwrap();
        let secret = secret("hush");
        let headers = signed(scheme, &secret, b"{}");
        let request = Received { url: Some("https://receiver.example/hook/"), ..received(&headers, b"{}") };
        assert_eq!(diagnose(scheme, &[&secret], &[], &request), ["matches without the slash at the end of the URL"]);
    }

    #[test]
    fn a_wrong_secret_gets_no_hint_and_nothing_is_revealed() {
        let scheme = Scheme::find("github").unwrap();
        let headers = signed(scheme, &secret("theirs"), b"{}");
        let hints = diagnose(scheme, &[&secret("ours")], &[&secret("older")], &received(&headers, b"{}"));
        assert_eq!(hints, Vec::<String>::new());
    }
}

//! What must hold for every scheme and any input.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::key::SigningKey;
use super::{
    Encoding, Form, Hash, Header, Message, Overrides, Reason, Received, Scheme, Signer, TimePlace, Verdict, diagnose,
    parse_headers, schemes, verify,
};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

const NOW: i64 = 1_700_000_000_123;
const URL: &str = "https://receiver.example/hook?a=1";
const KEY_PAIR: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

/// Every scheme, and the adjustable ones in every hash and encoding.
fn every_scheme() -> Vec<Scheme> {
    let mut all = schemes::ALL.clone();
    for scheme in schemes::ALL.iter().filter(|scheme| scheme.adjustable) {
        for (hash, encoding) in Hash::ALL.into_iter().flat_map(|h| [(h, Encoding::Hex), (h, Encoding::Base64)]) {
            let overrides = Overrides { hash: Some(hash), encoding: Some(encoding), ..Overrides::default() };
            all.push(scheme.with(&overrides).unwrap());
        }
    }
    all
}

fn secret_for(scheme: &Scheme, random: [u8; 32]) -> Secret {
    match scheme.name {
        "standard-v1a" => Secret::parse(KEY_PAIR.to_owned()).unwrap(),
        _ => Secret::generate(random),
    }
}

fn message<'a>(id: &'a str, body: &'a [u8]) -> Message<'a> {
    Message { id, timestamp: Timestamp::from_millis(NOW), url: URL, method: "POST", body }
}

fn sign(scheme: &Scheme, secrets: &[&Secret], message: &Message<'_>) -> Vec<Header> {
    let signer = Signer::new(scheme, secrets).unwrap();
    signer.headers(message).into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect()
}

fn received<'a>(headers: &'a [Header], body: &'a [u8]) -> Received<'a> {
    let now = Timestamp::from_millis(NOW);
    Received { headers, body, url: Some(URL), method: Some("POST"), now, tolerance: None }
}

fn is_valid(scheme: &Scheme, secret: &Secret, request: &Received<'_>) -> bool {
    matches!(verify(scheme, &[secret], request), Ok(Verdict::Valid { .. }))
}

fn reason(scheme: &Scheme, secret: &Secret, request: &Received<'_>) -> Option<Reason> {
    match verify(scheme, &[secret], request).unwrap() {
        Verdict::Invalid { reason, .. } => Some(reason),
        Verdict::Valid { .. } => None,
    }
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    changed[bit / 8 % bytes.len()] ^= 1 << (bit % 8);
    changed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_signed_is_valid_and_any_flipped_bit_is_not(
        body in prop::collection::vec(any::<u8>(), 1..300),
        id in "[a-zA-Z0-9_-]{1,40}",
        random in any::<[u8; 32]>(),
        bit in any::<prop::sample::Index>(),
    ) {
        for scheme in every_scheme() {
            let secret = secret_for(&scheme, random);
            let headers = sign(&scheme, &[&secret], &message(&id, &body));
            prop_assert!(is_valid(&scheme, &secret, &received(&headers, &body)), "{}", scheme.name);

            let changed_body = flipped(&body, bit.index(body.len() * 8));
            prop_assert!(!is_valid(&scheme, &secret, &received(&headers, &changed_body)), "{}: body", scheme.name);

            for at in 0..headers.len() {
                let mut changed = headers.clone();
                changed[at].1 = flipped(&headers[at].1, bit.index(headers[at].1.len() * 8));
                if is_spelled_otherwise(&scheme, &headers[at].1, &changed[at].1) {
                    continue;
                }
                let name = &headers[at].0;
                prop_assert!(!is_valid(&scheme, &secret, &received(&changed, &body)), "{}: {name}", scheme.name);
            }

            if scheme.name != "standard-v1a" {
                let mut other = random;
                other.copy_from_slice(&flipped(&random, bit.index(256)));
                let other = Secret::generate(other);
                prop_assert!(!is_valid(&scheme, &other, &received(&headers, &body)), "{}: secret", scheme.name);
            }
        }
    }

    #[test]
    fn a_shortened_or_lengthened_signature_is_refused(body in any::<Vec<u8>>(), keep in any::<prop::sample::Index>()) {
        for scheme in every_scheme() {
            let secret = secret_for(&scheme, [3; 32]);
            let mut headers = sign(&scheme, &[&secret], &message("evt_1", &body));
            let value = headers.pop().unwrap();
            let mut shorter = headers.clone();
            shorter.push((value.0.clone(), value.1[..keep.index(value.1.len())].to_vec()));
            prop_assert!(!is_valid(&scheme, &secret, &received(&shorter, &body)), "{}", scheme.name);
            headers.push((value.0, [value.1.as_slice(), b"00"].concat()));
            prop_assert!(!is_valid(&scheme, &secret, &received(&headers, &body)), "{}", scheme.name);
        }
    }

    #[test]
    fn no_header_panics_or_is_valid(
        value in prop::collection::vec(any::<u8>(), 0..200),
        items in "[tvh01sa =,;.]{0,60}",
        timestamp in "[0-9+. -]{0,25}|é|\u{0}",
        body in any::<Vec<u8>>(),
    ) {
        for scheme in every_scheme() {
            let secret = secret_for(&scheme, [3; 32]);
            for value in [value.as_slice(), items.as_bytes()] {
                let mut headers: Vec<Header> =
                    scheme.written_headers().map(|name| (name.to_owned(), timestamp.clone().into_bytes())).collect();
                headers.last_mut().unwrap().1 = value.to_vec();
                let request = Received { tolerance: Some(Duration::ZERO), ..received(&headers, &body) };
                prop_assert!(!is_valid(&scheme, &secret, &request));
            }
        }
        let headers = [("X-Hub-Signature-256".to_owned(), value.clone())];
        let secret = Secret::generate([3; 32]);
        diagnose(Scheme::find("github").unwrap(), &[&secret], &[], &received(&headers, &body));
    }

    #[test]
    fn no_header_of_a_megabyte_panics_or_is_valid(seed in prop::collection::vec(any::<u8>(), 1..999), body in any::<[u8; 9]>()) {
        let long: Vec<u8> = seed.iter().copied().cycle().take(1 << 20).collect();
        let secret = Secret::generate([3; 32]);
        for scheme in schemes::ALL.iter() {
            let secret = if scheme.name == "standard-v1a" { &secret_for(scheme, [0; 32]) } else { &secret };
            let signed = sign(scheme, &[secret], &message("evt_1", &body));
            for at in 0..signed.len() {
                let mut headers = signed.clone();
                headers[at].1.clone_from(&long);
                prop_assert!(!is_valid(scheme, secret, &received(&headers, &body)), "{}", scheme.name);
            }
        }
        let _ = parse_headers(&long);
    }

    #[test]
    fn no_head_panics(text in prop::collection::vec(any::<u8>(), 0..200), lines in "[A-Za-z:{}\"\\[\\], \r\n]{0,80}") {
        let _ = parse_headers(&text);
        let _ = parse_headers(lines.as_bytes());
    }
}

/// Whether only the case of hex digits changed, in a scheme that takes either.
fn is_spelled_otherwise(scheme: &Scheme, before: &[u8], after: &[u8]) -> bool {
    scheme.encoding == Encoding::HexAnyCase && before.eq_ignore_ascii_case(after)
}

#[test]
fn lists_carry_a_signature_of_each_secret_and_other_headers_the_newest() {
    let (new, old) = (Secret::generate([1; 32]), Secret::generate([2; 32]));
    for scheme in every_scheme().iter().filter(|scheme| scheme.name != "standard-v1a") {
        let headers = sign(scheme, &[&new, &old], &message("evt_1", b"{}"));
        let request = received(&headers, b"{}");
        assert!(is_valid(scheme, &new, &request), "{}", scheme.name);
        assert_eq!(is_valid(scheme, &old, &request), matches!(scheme.form, Form::List { .. }), "{}", scheme.name);
        let matched = verify(scheme, &[&old, &new], &request).unwrap();
        let first = usize::from(!matches!(scheme.form, Form::List { .. }));
        assert!(matches!(matched, Verdict::Valid { matched, .. } if matched == first), "{}", scheme.name);
    }
}

#[test]
fn a_time_is_accepted_to_the_last_moment_of_the_tolerance_and_no_longer() {
    for scheme in every_scheme() {
        let Some(rule) = scheme.time else { continue };
        let body = format!("{{\"webhookTimestamp\":{NOW}}}");
        let secret = secret_for(&scheme, [3; 32]);
        let headers = sign(&scheme, &[&secret], &message("evt_1", body.as_bytes()));
        let judged = |shift_seconds: i64, tolerance: Option<u64>| {
            let request = Received {
                now: Timestamp::from_millis(NOW + shift_seconds * 1_000),
                tolerance: tolerance.map(Duration::from_secs),
                ..received(&headers, body.as_bytes())
            };
            reason(&scheme, &secret, &request)
        };
        let tolerance = rule.default_tolerance().as_secs();
        let edge = i64::try_from(tolerance).unwrap();
        assert_eq!(judged(edge, Some(tolerance)), None, "{}", scheme.name);
        assert_eq!(judged(edge + 1, Some(tolerance)), Some(Reason::TimestampTooOld), "{}", scheme.name);
        assert_eq!(judged(-edge, Some(tolerance)), None, "{}", scheme.name);
        assert_eq!(judged(-edge - 1, Some(tolerance)), Some(Reason::TimestampInFuture), "{}", scheme.name);
        assert_eq!(judged(0, Some(0)), None, "{}", scheme.name);
        assert_eq!(judged(1, Some(0)), Some(Reason::TimestampTooOld), "{}", scheme.name);
        assert_eq!(judged(1_000_000, None), None, "{}", scheme.name);
    }
}

#[test]
fn a_wrong_mac_comes_before_a_wrong_time() {
    let scheme = Scheme::find("stripe").unwrap();
    let secret = Secret::generate([3; 32]);
    let headers = sign(scheme, &[&secret], &message("evt_1", b"{}"));
    let late = Timestamp::from_millis(NOW + 1_000_000);
    let request = Received { now: late, tolerance: Some(Duration::ZERO), ..received(&headers, b"[]") };
    assert_eq!(reason(scheme, &secret, &request), Some(Reason::NoMatch));
}

#[test]
fn a_header_that_is_missing_doubled_or_endless_is_told_apart() {
    for scheme in every_scheme() {
        let secret = secret_for(&scheme, [3; 32]);
        let headers = sign(&scheme, &[&secret], &message("evt_1", b"{}"));
        for at in 0..headers.len() {
            let mut fewer = headers.clone();
            fewer.remove(at);
            assert_eq!(reason(&scheme, &secret, &received(&fewer, b"{}")), Some(Reason::MissingHeader));
            let mut twice = headers.clone();
            twice.push((headers[at].0.to_uppercase(), headers[at].1.clone()));
            assert_eq!(reason(&scheme, &secret, &received(&twice, b"{}")), Some(Reason::Malformed));
            let mut endless = headers.clone();
            endless[at].1 = b"v1=1,".repeat(220_000);
            assert_eq!(reason(&scheme, &secret, &received(&endless, b"{}")), Some(Reason::Malformed));
        }
    }
}

#[test]
fn a_header_full_of_signatures_is_judged_in_time() {
    let scheme = Scheme::find("standard-v1a").unwrap();
    let secret = secret_for(scheme, [0; 32]);
    let mut headers = sign(scheme, &[&secret], &message("evt_1", b"{}"));
    let signature = headers[2].1.clone();
    let mut signatures = vec![flipped(&signature, 80); 600];
    signatures.push(signature);
    headers[2].1 = signatures.join(&b' ');
    let start = Instant::now();
    assert!(is_valid(scheme, &secret, &received(&headers, b"{}")));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
}

#[test]
fn bytes_are_signed_as_they_are() {
    // printf '\x00\xff\r\n' | openssl dgst -sha256 -hmac hush
    let expected = "e1aac218baa8343328ac74d07781e27e60e427ac9966f68af6be70ff149b63ac";
    let secret = Secret::parse("hush".to_owned()).unwrap();
    let headers = sign(Scheme::find("timetracker").unwrap(), &[&secret], &message("evt_1", b"\x00\xff\r\n"));
    assert_eq!(headers, [("X-Webhook-Signature".to_owned(), format!("sha256={expected}").into_bytes())]);
}

#[test]
fn a_mebibyte_verifies_for_every_scheme() {
    let body = vec![b'x'; 1 << 20];
    let start = Instant::now();
    for scheme in schemes::ALL.iter() {
        let secret = secret_for(scheme, [3; 32]);
        let headers = sign(scheme, &[&secret], &message("evt_1", &body));
        assert!(is_valid(scheme, &secret, &received(&headers, &body)), "{}", scheme.name);
    }
    assert!(start.elapsed() < Duration::from_secs(10), "{:?} for all schemes", start.elapsed());
}

#[test]
fn linear_takes_the_time_from_a_body_it_does_not_change() {
    let scheme = Scheme::find("linear").unwrap();
    assert!(matches!(scheme.time.unwrap().place, TimePlace::BodyField("webhookTimestamp")));
    let secret = Secret::generate([3; 32]);
    let judged = |body: &[u8], tolerance| {
        let headers = sign(scheme, &[&secret], &message("evt_1", body));
        reason(scheme, &secret, &Received { tolerance, ..received(&headers, body) })
    };
    let minute = Some(Duration::from_secs(60));
    for body in ["{}", "x", r#"{"webhookTimestamp":"1700000000123"}"#, r#"{"webhookTimestamp":1.7e12}"#] {
        assert_eq!(judged(body.as_bytes(), minute), Some(Reason::Malformed), "{body}");
        assert_eq!(judged(body.as_bytes(), None), None, "{body}");
    }
    let twice = br#"{"webhookTimestamp":1,"webhookTimestamp":1700000000123}"#;
    assert_eq!(judged(twice, minute), Some(Reason::Malformed));
}

#[test]
fn hubspot_may_have_signed_the_url_with_its_escapes_decoded() {
    let hubspot = Scheme::find("hubspot-v3").unwrap();
    let secret = Secret::generate([3; 32]);
    let signed = |url| sign(hubspot, &[&secret], &Message { url, ..message("evt_1", b"{}") });
    let given = "https://a.example/h?to=%40b%20c";
    for url in [given, "https://a.example/h?to=@b%20c"] {
        let headers = signed(url);
        let request = Received { url: Some(given), ..received(&headers, b"{}") };
        assert!(is_valid(hubspot, &secret, &request), "{url}");
    }
    let headers = signed("https://a.example/h?to=@b c");
    let request = Received { url: Some(given), ..received(&headers, b"{}") };
    assert_eq!(reason(hubspot, &secret, &request), Some(Reason::NoMatch));
    let square = Scheme::find("square").unwrap();
    let headers = sign(square, &[&secret], &Message { url: "https://a.example/@", ..message("evt_1", b"{}") });
    let request = Received { url: Some("https://a.example/%40"), ..received(&headers, b"{}") };
    assert_eq!(reason(square, &secret, &request), Some(Reason::NoMatch));
}

#[test]
fn a_question_that_cannot_be_answered_is_not_a_verdict() {
    let secret = Secret::parse("hush".to_owned()).unwrap();
    let ask = |name: &str, request: &Received<'_>| verify(Scheme::find(name).unwrap(), &[&secret], request);
    let request = received(&[], b"{}");
    assert!(ask("standard", &request).unwrap_err().to_string().contains("whsec_"));
    assert!(ask("standard-v1a", &request).is_err());
    assert!(ask("square", &Received { url: None, ..request }).unwrap_err().to_string().contains("--url"));
    assert!(ask("hubspot-v3", &Received { method: None, ..request }).unwrap_err().to_string().contains("--method"));
    assert!(verify(Scheme::find("github").unwrap(), &[], &request).is_err());
}

#[test]
fn secrets_that_do_not_fit_are_passed_over_when_another_does() {
    let (text, whsec) = (Secret::parse("hush".to_owned()).unwrap(), Secret::generate([1; 32]));
    let scheme = Scheme::find("standard").unwrap();
    let headers = sign(scheme, &[&whsec, &text], &message("evt_1", b"{}"));
    let verdict = verify(scheme, &[&text, &whsec], &received(&headers, b"{}")).unwrap();
    assert!(matches!(verdict, Verdict::Valid { matched: 1, .. }));
    assert!(Signer::new(scheme, &[&text, &whsec]).is_err());
}

#[test]
fn a_public_key_verifies_and_cannot_sign() {
    let scheme = Scheme::find("standard-v1a").unwrap();
    let private = secret_for(scheme, [0; 32]);
    let public = Secret::parse("whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=".to_owned()).unwrap();
    let headers = sign(scheme, &[&private], &message("evt_1", b"{}"));
    assert!(is_valid(scheme, &public, &received(&headers, b"{}")));
    assert!(Signer::new(scheme, &[&public]).is_err());
}

#[test]
fn reasons_are_spelled_as_documented() {
    for reason in
        [Reason::MissingHeader, Reason::Malformed, Reason::NoMatch, Reason::TimestampTooOld, Reason::TimestampInFuture]
    {
        assert_eq!(serde_json::to_string(&reason).unwrap(), format!("\"{}\"", reason.name()));
    }
}

/// The hex HMAC-SHA256 of `content`, whatever it is.
fn mac_of(secret: &Secret, content: &str) -> String {
    let mut hex = String::new();
    let key = SigningKey::new(Scheme::find("hmac").unwrap(), secret).unwrap();
    key.sign(std::iter::once(content.as_bytes()), |bytes| hex = hex::encode(bytes));
    hex
}

#[test]
fn a_timestamp_that_is_not_digits_is_malformed_even_when_it_was_signed() {
    let secret = Secret::generate([3; 32]);
    let scheme = Scheme::find("stripe").unwrap();
    for time in ["+1700000000", "-1700000000", "1700000000.0", "1e9", "", "99999999999999999999", "１７"] {
        let value = format!("t={time},v1={}", mac_of(&secret, &format!("{time}.{{}}")));
        let headers = [("Stripe-Signature".to_owned(), value.into_bytes())];
        assert_eq!(reason(scheme, &secret, &received(&headers, b"{}")), Some(Reason::Malformed), "{time:?}");
    }
}

#[test]
fn the_reason_tells_a_bad_form_from_a_wrong_signature() {
    let secret = Secret::generate([3; 32]);
    let right = mac_of(&secret, "1700000000.{}");
    let wrong = mac_of(&secret, "something else");
    let judged = |name: &str, header: &str, value: String| {
        let headers = [(header.to_owned(), value.into_bytes())];
        reason(Scheme::find(name).unwrap(), &secret, &received(&headers, b"{}"))
    };
    let stripe = |value: String| judged("stripe", "Stripe-Signature", value);
    assert_eq!(stripe(format!("t=1700000000,v1={wrong},v1={right}")), None);
    assert_eq!(stripe(format!("t=1700000000,v1={wrong}")), Some(Reason::NoMatch));
    assert_eq!(stripe(format!("t=1700000000,v0={right}")), Some(Reason::NoMatch), "other versions alone");
    assert_eq!(stripe(format!("t=1700000000,v1={}", &right[..8])), Some(Reason::Malformed), "too short");
    assert_eq!(stripe("t=1700000000,v1=".to_owned()), Some(Reason::Malformed), "empty");
    assert_eq!(stripe("t=1700000000".to_owned()), Some(Reason::Malformed), "no signature");
    assert_eq!(stripe(format!("v1={right}")), Some(Reason::Malformed), "no time");
    assert_eq!(stripe(format!("t=1700000000,t=1,v1={right}")), Some(Reason::Malformed), "two times");

    let body_mac = mac_of(&secret, "{}");
    assert_eq!(judged("timetracker", "x-webhook-signature", body_mac.clone()), None, "its prefix may be left out");
    assert_eq!(judged("github", "x-hub-signature-256", body_mac), Some(Reason::Malformed), "its prefix may not");
}

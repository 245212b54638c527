//! Every published vector through the engine: RFC 4231, the senders' own libraries and documents, and ones derived from them.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use super::key::{HmacKey, SigningKey};
use super::{Hash, Message, Overrides, Received, Scheme, Signer, Verdict, verify};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// What the table leaves open, decided once each. `true`: accepted.
const DECIDED: &[(&str, bool, &str)] = &[
    ("tt-uppercase", false, "hex is lower case, as TimeTracker compares texts"),
    ("tt-uppercase-prefix", false, "a prefix counts letter for letter"),
    ("tt-space", false, "blanks go when a head is parsed (RFC 9110); the value itself is taken as it is"),
    ("tt-two-second-matches", false, "a value that is no list in its scheme is not read as one"),
    ("sw-unpadded", false, "a secret is strict base64, as the Rust and Go libraries have it: one spelling for one key"),
    ("sw-unpadded-sig", false, "a signature is strict base64"),
    ("sw-b64url-sig", false, "a signature is in the standard alphabet"),
    ("sw-ts-float", false, "a timestamp is digits"),
    ("sw-ts-plus", false, "a timestamp is digits, without a sign"),
    (
        "sw-dot-in-id",
        true,
        "every library takes it; that ids hold no full stop is the sender's duty, and ours when sending",
    ),
    ("sw-dot-collision", true, "the other reading of the same bytes; it has no full stop in its id"),
    ("gh-noprefix", false, "GitHub always writes sha256="),
    ("gh-upper", false, "hex is lower case, as GitHub's own library compares texts"),
    ("stripe-future", false, "a time too far ahead is refused: it would stay replayable for longer"),
    ("stripe-t-twice", false, "two timestamps: which one counts would be a guess"),
    ("stripe-t-zero-pad", false, "the digits are signed as they are written"),
    ("stripe-space-after-comma", true, "blanks around the items of a list carry no meaning"),
    ("stripe-upper", false, "hex is lower case"),
    ("shopify-nopad", false, "a signature is strict base64"),
    ("shopify-nl", false, "a signature is strict base64, and ends where it ends"),
    ("pagerduty-upper", true, "PagerDuty's own library decodes the hex, in either case"),
];

#[derive(Deserialize)]
struct Vector {
    id: String,
    scheme: String,
    secret: Option<String>,
    secret_hex: Option<String>,
    private: Option<String>,
    payload: String,
    headers: serde_json::Map<String, serde_json::Value>,
    expected: String,
    valid: bool,
    #[serde(default)]
    ambiguous: bool,
    now: Option<i64>,
    tolerance: Option<u64>,
    url: Option<String>,
    method: Option<String>,
    algorithm: Option<String>,
    encoding: Option<String>,
}

impl Vector {
    fn all() -> Vec<Vector> {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/data/signature_vectors.json"));
        serde_json::from_str(text).unwrap()
    }

    /// Those that judge a request; the RFC's have a key and a body only.
    fn of_requests() -> impl Iterator<Item = Vector> {
        Vector::all().into_iter().filter(|vector| vector.secret_hex.is_none())
    }

    fn scheme(&self) -> Scheme {
        let overrides = Overrides {
            hash: self.algorithm.as_ref().map(|name| name.parse().unwrap()),
            encoding: self.encoding.as_ref().map(|name| name.parse().unwrap()),
            ..Overrides::default()
        };
        Scheme::find(&self.scheme).unwrap().with(&overrides).unwrap()
    }

    fn body(&self) -> Vec<u8> {
        STANDARD.decode(&self.payload).unwrap()
    }

    fn secret(&self) -> Secret {
        Secret::parse(self.secret.clone().unwrap()).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    }

    fn accepted(&self) -> bool {
        let headers: Vec<_> = self.headers.iter().map(|(n, v)| (n.clone(), v.as_str().unwrap().into())).collect();
        let received = Received {
            headers: &headers,
            body: &self.body(),
            url: self.url.as_deref(),
            method: self.method.as_deref(),
            now: Timestamp::from_millis(self.now.unwrap_or_default() * 1_000),
            tolerance: self.tolerance.map(Duration::from_secs),
        };
        matches!(verify(&self.scheme(), &[&self.secret()], &received), Ok(Verdict::Valid { .. }))
    }
}

#[test]
fn every_vector_is_judged_as_published() {
    let mut wrong = Vec::new();
    for vector in Vector::of_requests() {
        let decided = DECIDED.iter().find(|(id, ..)| *id == vector.id).map(|(_, accepted, _)| *accepted);
        assert_eq!(decided.is_some(), vector.ambiguous, "{}: what is ambiguous, and only that, is decided", vector.id);
        if vector.accepted() != decided.unwrap_or(vector.valid) {
            wrong.push(vector.id);
        }
    }
    assert!(wrong.is_empty(), "judged wrongly: {wrong:?}");
}

#[test]
fn signing_reproduces_every_valid_vector() {
    let mut reproduced = 0;
    for vector in Vector::of_requests().filter(|vector| vector.valid) {
        let scheme = vector.scheme();
        let secret = Secret::parse(vector.private.clone().or(vector.secret.clone()).unwrap()).unwrap();
        let Ok(signer) = Signer::new(&scheme, &[&secret]) else {
            assert_eq!(vector.id, "sw-unpadded");
            continue;
        };
        let body = vector.body();
        let message = Message {
            id: scheme.id_headers.first().and_then(|name| vector.header(name)).unwrap_or_default(),
            timestamp: Timestamp::from_millis(signed_at_millis(&vector)),
            url: vector.url.as_deref().unwrap_or_default(),
            method: vector.method.as_deref().unwrap_or_default(),
            body: &body,
        };
        let headers = signer.headers(&message);
        let (name, value) = headers.last().unwrap();
        assert_eq!((*name, value), (scheme.header.as_ref(), &vector.expected), "{}", vector.id);
        for (name, value) in &headers[..headers.len() - 1] {
            assert_eq!(vector.header(name), Some(value.as_str()), "{}: {name}", vector.id);
        }
        reproduced += 1;
    }
    assert!(reproduced > 40, "only {reproduced} vectors were valid");
}

#[test]
fn the_hmac_of_rfc_4231_is_computed() {
    let mut seen = 0;
    for vector in Vector::all() {
        let Some(key) = &vector.secret_hex else { continue };
        let key = SigningKey::Hmac(HmacKey::from_bytes(Hash::Sha256, &hex::decode(key).unwrap()));
        let mut signature = String::new();
        key.sign(std::iter::once(vector.body().as_slice()), |bytes| signature = hex::encode(bytes));
        assert_eq!(signature, vector.expected, "{}", vector.id);
        seen += 1;
    }
    assert_eq!(seen, 3);
}

/// When a vector was signed: what its headers say, else now.
fn signed_at_millis(vector: &Vector) -> i64 {
    let seconds = |text: &str| text.parse::<i64>().unwrap() * 1_000;
    let header = ["webhook-timestamp", "svix-timestamp", "X-Slack-Request-Timestamp"]
        .iter()
        .find_map(|name| vector.header(name).map(seconds));
    let item = ["Stripe-Signature", "Paddle-Signature", "X-Convoy-Signature"].iter().find_map(|name| {
        vector
            .header(name)?
            .split([',', ';'])
            .find_map(|item| item.trim().strip_prefix("t=").or(item.strip_prefix("ts=")))
            .map(seconds)
    });
    header.or(item).unwrap_or(vector.now.unwrap_or_default() * 1_000)
}

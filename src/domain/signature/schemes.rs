//! The table of signature schemes. A new one is a row here and its vectors.

use std::borrow::Cow;
use std::sync::LazyLock;

use super::Encoding::{Base64, Hex, HexAnyCase};
use super::{Algorithm, Form, Hash, KeyForm, Part, Scheme, TimePlace, TimeRule, TimeUnit};
use crate::domain::event_type::nearest;
use Part::{Body, Id, Literal, Method, Timestamp, Url};

/// Every scheme, the two that new webhooks get first.
pub static ALL: LazyLock<Vec<Scheme>> = LazyLock::new(|| {
    vec![
        Scheme {
            name: "timetracker",
            title: "TimeTracker",
            header: Cow::Borrowed("X-Webhook-Signature"),
            form: Form::MaybePrefixed("sha256="),
            ..BODY_HEX
        },
        Scheme {
            name: "standard",
            aliases: &["standard-webhooks"],
            title: "Standard Webhooks (v1)",
            header: Cow::Borrowed("webhook-signature"),
            ..STANDARD
        },
        Scheme {
            name: "standard-v1a",
            aliases: &["standard-webhooks-v1a"],
            title: "Standard Webhooks, asymmetric (v1a)",
            algorithm: Algorithm::Ed25519,
            form: list(b' ', b',', "v1a"),
            ..STANDARD
        },
        Scheme {
            name: "svix",
            title: "Svix",
            header: Cow::Borrowed("svix-signature"),
            other_headers: &["webhook-signature"],
            time: Some(seconds(TimePlace::Headers(&["svix-timestamp", "webhook-timestamp"]), 300)),
            id_headers: &["svix-id", "webhook-id"],
            ..STANDARD
        },
        Scheme {
            name: "github",
            title: "GitHub",
            header: Cow::Borrowed("X-Hub-Signature-256"),
            form: prefixed("sha256="),
            ..BODY_HEX
        },
        Scheme {
            name: "github-sha1",
            title: "GitHub, legacy SHA-1",
            algorithm: Algorithm::Hmac(Hash::Sha1, KeyForm::Text),
            header: Cow::Borrowed("X-Hub-Signature"),
            form: prefixed("sha1="),
            ..BODY_HEX
        },
        Scheme {
            name: "meta",
            title: "Meta: Facebook, Instagram, WhatsApp",
            header: Cow::Borrowed("X-Hub-Signature-256"),
            form: prefixed("sha256="),
            ..BODY_HEX
        },
        Scheme {
            name: "gitea",
            aliases: &["forgejo", "gogs"],
            title: "Gitea, Forgejo, Gogs",
            header: Cow::Borrowed("X-Gitea-Signature"),
            other_headers: &["X-Forgejo-Signature", "X-Gogs-Signature"],
            ..BODY_HEX
        },
        Scheme {
            name: "stripe",
            title: "Stripe",
            content: &[Timestamp, Literal("."), Body],
            header: Cow::Borrowed("Stripe-Signature"),
            form: list(b',', b'=', "v1"),
            time: Some(seconds(TimePlace::Item("t"), 300)),
            ..BODY_HEX
        },
        Scheme {
            name: "slack",
            title: "Slack",
            content: &[Literal("v0:"), Timestamp, Literal(":"), Body],
            header: Cow::Borrowed("X-Slack-Signature"),
            form: prefixed("v0="),
            time: Some(seconds(TimePlace::Headers(&["X-Slack-Request-Timestamp"]), 300)),
            ..BODY_HEX
        },
        Scheme {
            name: "zoom",
            title: "Zoom",
            content: &[Literal("v0:"), Timestamp, Literal(":"), Body],
            header: Cow::Borrowed("x-zm-signature"),
            form: prefixed("v0="),
            time: Some(seconds(TimePlace::Headers(&["x-zm-request-timestamp"]), 300)),
            ..BODY_HEX
        },
        Scheme {
            name: "shopify",
            title: "Shopify",
            encoding: Base64,
            header: Cow::Borrowed("X-Shopify-Hmac-Sha256"),
            other_headers: &["shopify-hmac-sha256"],
            ..BODY_HEX
        },
        Scheme {
            name: "paddle",
            title: "Paddle",
            content: &[Timestamp, Literal(":"), Body],
            header: Cow::Borrowed("Paddle-Signature"),
            form: list(b';', b'=', "h1"),
            time: Some(seconds(TimePlace::Item("ts"), 5)),
            ..BODY_HEX
        },
        Scheme {
            name: "pagerduty",
            title: "PagerDuty",
            encoding: HexAnyCase,
            header: Cow::Borrowed("X-PagerDuty-Signature"),
            form: list(b',', b'=', "v1"),
            ..BODY_HEX
        },
        Scheme {
            name: "square",
            title: "Square",
            content: &[Url, Body],
            encoding: Base64,
            header: Cow::Borrowed("x-square-hmacsha256-signature"),
            ..BODY_HEX
        },
        Scheme {
            name: "hubspot-v3",
            title: "HubSpot (v3)",
            content: &[Method, Url, Body, Timestamp],
            encoding: Base64,
            header: Cow::Borrowed("X-HubSpot-Signature-v3"),
            time: Some(millis(TimePlace::Headers(&["X-HubSpot-Request-Timestamp"]), 300)),
            url_escapes_decoded: true,
            ..BODY_HEX
        },
        Scheme {
            name: "linear",
            title: "Linear",
            header: Cow::Borrowed("linear-signature"),
            time: Some(millis(TimePlace::BodyField("webhookTimestamp"), 60)),
            ..BODY_HEX
        },
        Scheme { name: "lemonsqueezy", title: "Lemon Squeezy", header: Cow::Borrowed("X-Signature"), ..BODY_HEX },
        Scheme {
            name: "convoy-simple",
            title: "Convoy, simple",
            header: Cow::Borrowed("X-Convoy-Signature"),
            adjustable: true,
            ..BODY_HEX
        },
        Scheme {
            name: "convoy-advanced",
            title: "Convoy, advanced",
            content: &[Timestamp, Literal(","), Body],
            header: Cow::Borrowed("X-Convoy-Signature"),
            form: list(b',', b'=', "v1"),
            time: Some(seconds(TimePlace::Item("t"), 300)),
            adjustable: true,
            ..BODY_HEX
        },
        Scheme {
            name: "hmac",
            aliases: &["raw-hmac-sha256"],
            title: "Plain HMAC of the body, adjusted by options",
            adjustable: true,
            ..BODY_HEX
        },
    ]
});

impl Scheme {
    /// The scheme of this name or alias.
    pub fn find(name: &str) -> Option<&'static Scheme> {
        ALL.iter().find(|scheme| scheme.name == name || scheme.aliases.contains(&name))
    }
}

/// What to do about a name that no scheme has.
pub fn advice(unknown: &str) -> String {
    let names: Vec<&str> = ALL.iter().map(|scheme| scheme.name).collect();
    match nearest(unknown, names.iter().copied()) {
        Some(meant) => format!("did you mean '{meant}'? see `hookctl schemes`"),
        None => format!("use one of {}; see `hookctl schemes`", names.join(", ")),
    }
}

/// What most senders do: the hex of the HMAC-SHA256 of the body, keyed with the secret's text.
const BODY_HEX: Scheme = Scheme {
    name: "",
    aliases: &[],
    title: "",
    algorithm: Algorithm::Hmac(Hash::Sha256, KeyForm::Text),
    content: &[Body],
    encoding: Hex,
    header: Cow::Borrowed("X-Signature"),
    other_headers: &[],
    form: prefixed(""),
    time: None,
    id_headers: &[],
    url_escapes_decoded: false,
    adjustable: false,
};

/// Standard Webhooks, <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
const STANDARD: Scheme = Scheme {
    name: "",
    aliases: &[],
    title: "",
    algorithm: Algorithm::Hmac(Hash::Sha256, KeyForm::Base64),
    content: &[Id, Literal("."), Timestamp, Literal("."), Body],
    encoding: Base64,
    header: Cow::Borrowed("webhook-signature"),
    form: list(b' ', b',', "v1"),
    time: Some(seconds(TimePlace::Headers(&["webhook-timestamp"]), 300)),
    other_headers: &[],
    id_headers: &["webhook-id"],
    url_escapes_decoded: false,
    adjustable: false,
};

const fn prefixed(prefix: &'static str) -> Form {
    Form::Prefixed(Cow::Borrowed(prefix))
}

const fn list(separator: u8, assign: u8, key: &'static str) -> Form {
    Form::List { separator, assign, key }
}

const fn seconds(place: TimePlace, tolerance_seconds: u32) -> TimeRule {
    TimeRule { place, unit: TimeUnit::Seconds, tolerance_seconds, future: true }
}

const fn millis(place: TimePlace, tolerance_seconds: u32) -> TimeRule {
    TimeRule { place, unit: TimeUnit::Millis, tolerance_seconds, future: true }
}

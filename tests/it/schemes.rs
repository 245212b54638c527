//! `schemes` lists them all.

use crate::support::TestEnv;

const NAMES: [&str; 20] = [
    "timetracker",
    "standard",
    "standard-v1a",
    "svix",
    "github",
    "github-sha1",
    "meta",
    "gitea",
    "stripe",
    "slack",
    "zoom",
    "shopify",
    "paddle",
    "pagerduty",
    "square",
    "hubspot-v3",
    "linear",
    "lemonsqueezy",
    "convoy-simple",
    "convoy-advanced",
];

#[test]
fn every_format_lists_every_scheme() {
    let env = TestEnv::new();
    let json = env.hookctl(["schemes", "-o", "json"]).run().ok().json();
    let names: Vec<&str> = json.as_array().unwrap().iter().map(|scheme| scheme["name"].as_str().unwrap()).collect();
    assert_eq!(names[..NAMES.len()], NAMES);
    assert_eq!(names[NAMES.len()..], ["hmac"]);
    assert_eq!(env.hookctl(["schemes", "-o", "jsonl"]).run().ok().jsonl().len(), names.len());
    for format in ["table", "csv"] {
        let text = env.hookctl(["schemes", "-o", format]).run().ok().text();
        assert_eq!(text.lines().count(), names.len() + 1, "{text}");
        assert!(names.iter().all(|name| text.contains(name)), "{text}");
    }
    assert!(!env.is_made());
}

#[test]
fn a_scheme_is_told_with_header_content_encoding_and_tolerance() {
    let env = TestEnv::new();
    let json = env.hookctl(["schemes", "-o", "json"]).run().ok().json();
    let find = |name: &str| json.as_array().unwrap().iter().find(|scheme| scheme["name"] == name).unwrap().clone();
    let stripe = find("stripe");
    assert_eq!(stripe["header"], "Stripe-Signature");
    assert_eq!(stripe["value"], "t={timestamp},v1={hex}");
    assert_eq!(stripe["content"], "{timestamp}.{body}");
    assert_eq!(stripe["encoding"], "hex");
    assert_eq!(stripe["algorithm"], "hmac-sha256");
    assert_eq!(stripe["tolerance_seconds"], 300);
    assert_eq!(find("github")["tolerance_seconds"], serde_json::Value::Null);
    assert_eq!(find("gitea")["aliases"], serde_json::json!(["forgejo", "gogs"]));
    assert_eq!(find("standard")["aliases"], serde_json::json!(["standard-webhooks"]));
}

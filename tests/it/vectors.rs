//! The published signature vectors, as commands take them.

use std::path::PathBuf;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Deserialize;

use crate::support::{Hookctl, TestEnv};

/// One published request and whether it is to be accepted.
#[derive(Deserialize)]
pub struct Vector {
    pub id: String,
    pub scheme: String,
    pub secret: Option<String>,
    pub private: Option<String>,
    payload: String,
    pub headers: serde_json::Map<String, serde_json::Value>,
    pub expected: String,
    pub valid: bool,
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
    /// Those that judge a request and leave nothing open; what the others were decided to be is told beside the engine.
    pub fn all() -> Vec<Vector> {
        let text = include_str!("data/signature_vectors.json");
        let all: Vec<Vector> = serde_json::from_str(text).unwrap();
        let all: Vec<_> = all.into_iter().filter(|vector| vector.secret.is_some() && !vector.ambiguous).collect();
        assert!(all.len() > 95, "only {} vectors", all.len());
        all
    }

    /// Its body in a file.
    pub fn body(&self, env: &TestEnv) -> PathBuf {
        env.file("body", STANDARD.decode(&self.payload).unwrap())
    }

    /// The value of a header, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).and_then(|(_, value)| value.as_str())
    }

    /// `sign` or `verify` with the options that this vector needs, and its body.
    pub fn command(&self, env: &TestEnv, name: &str, secret: &str) -> Hookctl {
        let mut command = env
            .hookctl([name, "--scheme", &self.scheme, "--secret-env", "VECTOR_SECRET"])
            .arg(self.body(env))
            .env("VECTOR_SECRET", secret);
        for (option, value) in [
            ("--url", &self.url),
            ("--method", &self.method),
            ("--algorithm", &self.algorithm),
            ("--encoding", &self.encoding),
        ] {
            if let Some(value) = value {
                command = command.args([option, value.as_str()]);
            }
        }
        command
    }

    /// `verify` with the headers, time and tolerance of this vector.
    pub fn verify(&self, env: &TestEnv) -> Hookctl {
        let headers = env.file("headers.json", serde_json::to_vec(&self.headers).unwrap());
        let tolerance = self.tolerance.map_or_else(|| "off".to_owned(), |seconds| seconds.to_string());
        self.command(env, "verify", self.secret.as_deref().unwrap()).arg("--headers-file").arg(headers).args([
            "--now",
            &self.now.unwrap_or_default().to_string(),
            "--tolerance",
            &tolerance,
        ])
    }

    /// When it was signed, in seconds: what its headers say, else when it is judged.
    pub fn signed_at(&self) -> i64 {
        let header =
            ["webhook-timestamp", "svix-timestamp", "X-Slack-Request-Timestamp"].iter().find_map(|n| self.header(n));
        let item = ["Stripe-Signature", "Paddle-Signature", "X-Convoy-Signature"].iter().find_map(|name| {
            let mut items = self.header(name)?.split([',', ';']);
            items.find_map(|item| item.trim().strip_prefix("t=").or(item.strip_prefix("ts=")))
        });
        header.or(item).map_or(self.now.unwrap_or_default(), |seconds| seconds.parse().unwrap())
    }
}

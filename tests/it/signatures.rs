//! How a webhook's requests are signed: the scheme `hmac` in the form of its receiver, and keys of several kinds.

use serde_json::{Value, json};

use crate::support::{Hookctl, TestEnv, TestReceiver};

/// The text of `s3cret` keys every HMAC here.
fn create(env: &TestEnv, url: &str, options: &[&str]) -> Hookctl {
    let create = ["webhook", "create", "crm", "--url", url, "-e", "*", "--allow-private", "--secret-env", "S"];
    env.hookctl(create).args(options.iter().copied()).env("S", "s3cret")
}

const HMAC: [&str; 10] = [
    "--signature",
    "hmac,github",
    "--signature-header",
    "X-Acme-Mac",
    "--signature-prefix",
    "v1:",
    "--signature-encoding",
    "base64",
    "--signature-algorithm",
    "sha512",
];

/// By OpenSSL, which is no part of hookctl.
fn openssl_hmac(env: &TestEnv, hash: &str, body: &str) -> Vec<u8> {
    env.file("body", body);
    let run = std::process::Command::new("openssl")
        .args(["dgst", &format!("-{hash}"), "-hmac", "s3cret", "-binary", "body"])
        .current_dir(env.path())
        .output()
        .expect("openssl runs");
    assert!(run.status.success());
    run.stdout
}

#[test]
fn hmac_has_the_header_prefix_encoding_and_hash_of_its_receiver() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    create(&env, &receiver.url(), &HMAC).run().ok();
    env.hookctl(["emit", "task.created", "--payload", "-"]).stdin("{\"a\":1}").run().ok();
    let request = &receiver.requests()[0];
    let expected = base64(&openssl_hmac(&env, "sha512", "{\"a\":1}"));
    assert_eq!(request.header("x-acme-mac"), Some(format!("v1:{expected}").as_str()));
    assert!(request.header("x-hub-signature-256").is_some());
    env.hookctl(["webhook", "update", "crm", "--signature-encoding", "hex", "--signature-algorithm", "sha1"])
        .run()
        .ok();
    env.hookctl(["emit", "task.created", "--payload", "-"]).stdin("{}").run().ok();
    let expected = hex::encode(openssl_hmac(&env, "sha1", "{}"));
    assert_eq!(receiver.requests()[1].header("x-acme-mac"), Some(format!("v1:{expected}").as_str()));
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn sign_verify_and_show_know_the_form_of_the_webhook() {
    let env = TestEnv::new();
    create(&env, "http://127.0.0.1:9/", &HMAC).run().ok();
    env.file("body", "{}");
    let signed = env.hookctl(["sign", "-w", "crm", "--scheme", "hmac", "body"]).run().ok().text();
    assert!(signed.starts_with("X-Acme-Mac: v1:"), "{signed}");
    env.file("headers", &signed);
    let verify = ["verify", "-w", "crm", "--headers-file", "headers"];
    env.hookctl(verify).arg("body").run().ok();
    env.hookctl(verify).arg("--scheme=hmac").stdin("{ }").run().fails(4);
    env.hookctl(verify).args(["--algorithm", "sha1", "--scheme", "hmac", "body"]).run().fails(4);
    let all = env.hookctl(["sign", "-w", "crm", "body"]).run().ok().text();
    assert!(all.contains("X-Acme-Mac: ") && all.contains("X-Hub-Signature-256: "), "{all}");
    let shown = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    let keys = ["signature_header", "signature_prefix", "signature_encoding", "signature_algorithm"];
    assert_eq!(keys.map(|key| &shown[key]), [&json!("X-Acme-Mac"), &json!("v1:"), &json!("base64"), &json!("sha512")]);
    let text = env.hookctl(["webhook", "show", "crm"]).run().ok().text();
    assert!(text.contains("X-Acme-Mac: v1:{base64}, hmac-sha512"), "{text}");
}

#[test]
fn what_is_said_of_hmac_goes_with_it_alone_and_follows_the_rules_of_headers() {
    let env = TestEnv::new();
    let with = |options: &[&'static str]| [&["--signature", "hmac"][..], options].concat();
    for (options, reason) in [
        (with(&["--signature-header", "Host"]), "--signature-header: the header Host cannot be set"),
        (with(&["--signature-header", "X-Webhook-Event"]), "--signature-header: the header"),
        (with(&["--signature-header", "X A"]), "--signature-header: the header name"),
        (with(&["--signature-prefix", "a b"]), "--signature-prefix: not visible ASCII"),
        (with(&["--signature-encoding", "base32"]), "--signature-encoding: unknown encoding"),
        (with(&["--signature-algorithm", "md5"]), "--signature-algorithm: unknown algorithm"),
        (with(&["--signature-header", "X-Mac", "-H", "X-Mac: 1"]), "--header: the header X-Mac cannot be set"),
        (vec!["--signature-header", "X-Mac"], "--signature-header: goes with the scheme hmac"),
        (vec!["--signature", "github", "--signature-prefix", "x"], "--signature-prefix: goes with the scheme hmac"),
        (
            vec!["--signature", "timetracker,hmac", "--signature-header", "x-webhook-signature"],
            "two of the schemes write the header",
        ),
    ] {
        let run = create(&env, "http://127.0.0.1:9/", &options).run().fails(2);
        assert!(run.err().contains(reason), "{options:?}: {run:?}");
    }
    create(&env, "http://127.0.0.1:9/", &with(&["--signature-header", "X-Webhook-Signature"])).run().ok();
    env.hookctl(["webhook", "update", "crm", "--signature", "github"]).run().ok();
    let shown = env.hookctl(["webhook", "show", "crm", "-o", "json"]).run().ok().json();
    assert_eq!(shown["signature_header"], Value::Null, "it went with its scheme");
}

#[test]
fn an_export_applied_elsewhere_signs_alike() {
    let env = TestEnv::new();
    create(&env, "http://127.0.0.1:9/", &HMAC).run().ok();
    let file = env.hookctl(["export"]).run().ok().text();
    assert!(file.contains("signature_header = \"X-Acme-Mac\""), "{file}");
    let again = env.hookctl(["apply", "-", "--dry-run"]).stdin(file.clone()).env("S", "s3cret").run().ok();
    assert!(!again.text().contains("signature"), "{again:?}");
    let other = TestEnv::new();
    other.hookctl(["apply", "-"]).stdin(file).env("S", "s3cret").run().ok();
    env.file("body", "{}");
    other.file("body", "{}");
    let sign = |env: &TestEnv| env.hookctl(["sign", "-w", "crm", "body"]).run().ok().text();
    assert_eq!(sign(&env), sign(&other));
}

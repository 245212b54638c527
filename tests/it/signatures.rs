//! How a webhook's requests are signed: the scheme `hmac` in the form of its receiver, and keys of several kinds.

use serde_json::{Value, json};

use crate::support::{Hookctl, Recorded, TestEnv, TestReceiver, closed_port};

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

fn unbase64(text: &str) -> Vec<u8> {
    use ::base64::Engine;
    ::base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Which of the signatures in the header OpenSSL finds right by a `whpk_` key.
fn openssl_verifies(env: &TestEnv, request: &Recorded, public_key: &str) -> Vec<bool> {
    // RFC 8410: what comes before the 32 bytes of an Ed25519 key.
    let mut key = hex::decode("302a300506032b6570032100").unwrap();
    key.extend(unbase64(public_key.strip_prefix("whpk_").unwrap()));
    env.file("key.der", key);
    let header = |name| request.header(name).unwrap();
    let mut content = format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).into_bytes();
    content.extend(&request.body);
    env.file("content", content);
    let is_right = |signature: &str| {
        env.file("signature", unbase64(signature.strip_prefix("v1a,").unwrap()));
        let verify = ["pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", "key.der", "-rawin"];
        let mut openssl = std::process::Command::new("openssl");
        openssl.args(verify).args(["-in", "content", "-sigfile", "signature"]).current_dir(env.path());
        openssl.output().expect("openssl runs").status.success()
    };
    header("webhook-signature").split(' ').map(is_right).collect()
}

fn json(run: Hookctl) -> Value {
    run.args(["-o", "json"]).run().ok().json()
}

fn emit(env: &TestEnv) {
    env.hookctl(["emit", "task.created", "--data", "{}", "--strict"]).run().ok();
}

fn public_key(env: &TestEnv) -> Value {
    json(env.hookctl(["webhook", "secret", "public-key", "crm"]))
}

#[test]
fn a_key_pair_that_hookctl_made_signs_what_another_program_verifies() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let created = json(env.hookctl(["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]).args([
        "--allow-private",
        "--signature",
        "standard-v1a",
    ]));
    assert!(created["secret"].as_str().unwrap().starts_with("whsk_"), "{created}");
    let key = public_key(&env);
    assert_eq!((&key["public_key"], &key["previous"]), (&created["public_key"], &json!([])));
    let text = env.hookctl(["webhook", "secret", "public-key", "crm", "--read-only"]).run().ok().text();
    assert_eq!(Some(text.trim_end()), key["public_key"].as_str());
    emit(&env);
    assert_eq!(openssl_verifies(&env, &receiver.requests()[0], text.trim_end()), [true]);
    env.create("other", &receiver.url(), &[]);
    let none = env.hookctl(["webhook", "secret", "public-key", "other"]).run().fails(2);
    assert!(none.err().contains("has no ed25519 key"), "{none:?}");
}

#[test]
fn during_the_overlap_of_a_rotation_both_keys_sign() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    env.create("crm", &receiver.url(), &["--signature", "standard-v1a"]);
    let old = public_key(&env)["public_key"].as_str().unwrap().to_owned();
    let rotated = json(env.hookctl(["webhook", "secret", "rotate", "crm"]));
    let new = public_key(&env);
    assert_eq!((&new["public_key"], &new["previous"][0]["public_key"]), (&rotated["public_key"], &json!(old)));
    let new = new["public_key"].as_str().unwrap().to_owned();
    emit(&env);
    env.hookctl(["webhook", "secret", "expire", "crm"]).run().ok();
    emit(&env);
    let requests = receiver.requests();
    assert_eq!(openssl_verifies(&env, &requests[0], &new), [true, false]);
    assert_eq!(openssl_verifies(&env, &requests[0], &old), [false, true]);
    assert_eq!(openssl_verifies(&env, &requests[1], &new), [true]);
    assert_eq!(openssl_verifies(&env, &requests[1], &old), [false]);
}

/// A webhook whose schemes take secrets of both kinds.
fn with_both(env: &TestEnv, url: &str) -> Value {
    json(create(env, url, &["--signature", "github,standard-v1a"]))
}

#[test]
fn schemes_that_take_secrets_of_different_kinds_each_use_the_newest_of_theirs() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(200));
    let created = with_both(&env, &receiver.url());
    assert_eq!(created["secret"], "s3cret");
    let first = created["public_key"].as_str().unwrap().to_owned();
    emit(&env);
    let rotated = env.hookctl(["webhook", "secret", "rotate", "crm", "--secret-env", "S"]).env("S", "another");
    let rotated = json(rotated);
    assert_eq!((&rotated["secret"], &rotated["private_key"]), (&json!("another"), &Value::Null));
    emit(&env);
    let rotated = json(env.hookctl(["webhook", "secret", "rotate", "crm", "--overlap", "0"]));
    let second = rotated["public_key"].as_str().unwrap().to_owned();
    assert!(rotated["private_key"].as_str().unwrap().starts_with("whsk_") && first != second);
    emit(&env);
    let requests = receiver.requests();
    for (number, request) in requests.iter().enumerate() {
        let github = request.header("x-hub-signature-256").unwrap();
        let secret = ["s3cret", "another", rotated["secret"].as_str().unwrap()][number];
        let verify = ["verify", "--scheme", "github", "--secret-env", "S", "--signature", github];
        env.hookctl(verify).env("S", secret).stdin(request.body.clone()).run().ok();
        let by = if number < 2 { &first } else { &second };
        assert_eq!(openssl_verifies(&env, request, by), [true], "{number}");
    }
    env.file("body", "{}");
    env.file("headers", env.hookctl(["sign", "-w", "crm", "body"]).run().ok().text());
    env.hookctl(["verify", "-w", "crm", "--headers-file", "headers", "body"]).run().ok();
    let shown = json(env.hookctl(["webhook", "secret", "reveal", "crm"]));
    assert_eq!((&shown["secret"], &shown["private_key"]), (&rotated["secret"], &rotated["private_key"]));
    assert_eq!((&shown["public_key"], &shown["previous"]), (&rotated["public_key"], &json!([])));
}

#[test]
fn a_secret_goes_with_the_last_scheme_that_takes_its_kind_and_comes_with_the_first() {
    let env = TestEnv::new();
    with_both(&env, "http://127.0.0.1:9/");
    let update = |schemes: &str| json(env.hookctl(["webhook", "update", "crm", "--signature", schemes]));
    assert_eq!(update("github")["secret"], Value::Null, "what it has is not shown again");
    assert_eq!(env.sql_value("SELECT count(*) FROM secrets"), "1");
    let again = update("github,standard-v1a");
    assert!(again["secret"].as_str().unwrap().starts_with("whsk_") && again["public_key"].is_string());
    assert_eq!(env.sql_value("SELECT count(*) FROM secrets"), "2");
    let refused = |options: &[&str]| {
        let run = env.hookctl(["webhook", "update", "crm"]).args(options.iter().copied()).env("S", "s3cret").run();
        run.fails(2).err()
    };
    assert!(refused(&["--signature", "standard-v1a", "--secret-env", "S"]).contains("is not an ed25519 key"));
    assert!(refused(&["--signature", "standard,standard-v1a"]).contains("two of the schemes write the header"));
}

#[test]
fn both_secrets_are_exported_by_reference_and_applied() {
    let (env, other) = (TestEnv::new(), TestEnv::new());
    let created = with_both(&env, "http://127.0.0.1:9/");
    let file = env.hookctl(["export"]).run().ok().text();
    for line in ["secret = { \"env\" = \"S\" }", "private_key = { \"env\" = \"HOOKCTL_CRM_PRIVATE_KEY\" }"] {
        assert!(file.contains(line), "{file}");
    }
    let apply = |env: &TestEnv| env.hookctl(["apply", "-"]).stdin(file.clone());
    apply(&env).arg("--dry-run").run().ok();
    apply(&other).env("S", "s3cret").run().fails(2);
    let key = created["private_key"].as_str().unwrap();
    apply(&other).env("S", "s3cret").env("HOOKCTL_CRM_PRIVATE_KEY", "s3cret").run().fails(2);
    apply(&other).env("S", "s3cret").env("HOOKCTL_CRM_PRIVATE_KEY", key).run().ok();
    assert_eq!(public_key(&other)["public_key"], created["public_key"]);
    apply(&other).arg("--dry-run").run().ok();
    let whole = env.hookctl(["export", "--with-secrets"]).run().ok().text();
    other.hookctl(["apply", "-", "--dry-run"]).stdin(whole).run().ok();
    let new = "[[webhooks]]\nname = 'erp'\nurl = 'http://127.0.0.1:9/'\nevents = ['*']\nallow_private = true\n\
               signature_schemes = ['github', 'standard-v1a']\n";
    other.hookctl(["apply", "-", "--secrets-to", "new.env"]).stdin(new).run().ok();
    let made = std::fs::read_to_string(other.path().join("new.env")).unwrap();
    assert!(
        made.contains("HOOKCTL_ERP_SECRET=") && made.contains("HOOKCTL_ERP_PRIVATE_KEY=") && made.contains("whsk_"),
        "{made}"
    );
}

#[test]
fn listen_and_replay_take_the_form_and_the_keys_of_the_webhook() {
    let env = TestEnv::new();
    let soon = std::time::Duration::from_secs(30);
    let listen = |url: &str| {
        let port = url.rsplit(':').next().unwrap().trim_end_matches('/');
        let listen = ["listen", "--port", port, "--count", "1", "--verify", "-w", "crm", "--record", "recorded"];
        let child = env.hookctl(listen).args(["-o", "json"]).spawn();
        let line = child.wait_for_stderr("listening on", soon);
        (child, line.strip_prefix("listening on ").unwrap().to_owned())
    };
    create(&env, "http://127.0.0.1:9/", &[&HMAC[2..], &["--signature", "hmac,standard-v1a"]].concat()).run().ok();
    let judged = |run: crate::support::Run| run.ok().json()["verification"]["schemes"].clone();
    let both = json!(["hmac", "standard-v1a"]);
    let (child, url) = listen(&format!(":{}", closed_port().port()));
    env.hookctl(["webhook", "update", "crm", "--url", &url]).run().ok();
    emit(&env);
    assert_eq!(judged(child.wait_timeout(soon)), both);
    env.hookctl(["webhook", "secret", "rotate", "crm", "--overlap", "0"]).run().ok();
    let (child, url) = listen(&format!(":{}", closed_port().port()));
    let replay = ["replay", "recorded/000001.http", "--to", &url, "--resign", "-w", "crm"];
    env.hookctl(replay).run().ok();
    assert_eq!(judged(child.wait_timeout(soon)), both);
}

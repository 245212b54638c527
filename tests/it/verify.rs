//! `verify` answers as the senders' own libraries do, with a reason and a hint.

use std::time::Duration;

use crate::support::{Hookctl, Run, TestEnv};
use crate::vectors::Vector;

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// 2023-11-14T22:13:20Z
const NOW: i64 = 1_700_000_000;

fn sign(env: &TestEnv, scheme: &str, secret: &str, body: &[u8]) -> String {
    let args = ["sign", "--scheme", scheme, "--secret-env", "S", "--timestamp", "1700000000", "--id", "evt_1"];
    let command = env.hookctl(args).arg(env.file("signed-body", body));
    command.args(["--url", "https://a.example/hook", "--method", "POST"]).env("S", secret).run().ok().text()
}

fn verify(env: &TestEnv, scheme: &str, secret: &str, head: &str, body: &[u8]) -> Hookctl {
    env.hookctl(["verify", "--scheme", scheme, "--secret-env", "S", "--now", "1700000000", "--headers-file"])
        .arg(env.file("head", head))
        .arg(env.file("received-body", body))
        .args(["--url", "https://a.example/hook", "--method", "POST"])
        .env("S", secret)
}

#[track_caller]
fn refused(run: Run, reason: &str) -> Run {
    let run = run.fails(4);
    assert_eq!(run.text(), format!("{reason}\n"), "{run:?}");
    run
}

#[test]
fn every_published_vector_is_judged_as_published() {
    let env = TestEnv::new();
    let mut wrong = Vec::new();
    for vector in Vector::all() {
        let run = vector.verify(&env).run();
        let expected = if vector.valid { (Some(0), "valid\n") } else { (Some(4), "") };
        let text = run.text();
        if run.code != expected.0 || (vector.valid && text != expected.1) || (!vector.valid && text == "valid\n") {
            wrong.push(format!("{}: {run:?}", vector.id));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_sign_prints_verify_accepts_for_every_scheme() {
    let env = TestEnv::new();
    let key_pair = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";
    let body = format!("{{\"webhookTimestamp\":{NOW}000}}");
    for scheme in env.hookctl(["schemes", "-o", "jsonl"]).run().ok().jsonl() {
        let name = scheme["name"].as_str().unwrap();
        let secret = if name == "standard-v1a" { key_pair } else { WHSEC };
        let head = sign(&env, name, secret, body.as_bytes());
        let run = verify(&env, name, secret, &head, body.as_bytes()).run().ok();
        assert_eq!(run.text(), "valid\n", "{name}");
        refused(verify(&env, name, secret, &head, b"{}").run(), "no-match");
    }
}

#[test]
fn every_reason_has_its_word_and_exit_code_4() {
    let env = TestEnv::new();
    let head = sign(&env, "stripe", "hush", b"{}");
    let ask = |head: &str, body: &[u8], args: &[&str]| {
        verify(&env, "stripe", "hush", head, body).args(args.iter().copied()).run()
    };
    assert_eq!(ask(&head, b"{}", &[]).ok().text(), "valid\n");
    refused(ask("", b"{}", &[]), "missing-header");
    refused(ask("Stripe-Signature: t=1,v1=zz", b"{}", &[]), "malformed");
    refused(ask(&format!("{head}{head}"), b"{}", &[]), "malformed");
    refused(ask(&head, b"[]", &[]), "no-match");
}

#[test]
fn the_tolerance_is_on_by_default_and_0_means_0() {
    let env = TestEnv::new();
    let head = sign(&env, "stripe", "hush", b"{}");
    let value = head.trim_end().strip_prefix("Stripe-Signature: ").unwrap();
    let ask = |now: &str, args: &[&str]| {
        let command = env.hookctl(["verify", "--scheme", "stripe", "--secret-env", "S", "--signature", value]);
        command.args(["--now", now]).args(args.iter().copied()).env("S", "hush").stdin("{}").run()
    };
    ask("1700000300", &[]).ok();
    refused(ask("1700000301", &[]), "timestamp-too-old");
    refused(ask("1699999699", &[]), "timestamp-in-future");
    refused(ask("1700000301", &["--tolerance", "5m"]), "timestamp-too-old");
    ask("2023-11-14T22:23:20Z", &["--tolerance", "10m"]).ok();
    ask("1700000000", &["--tolerance", "0"]).ok();
    refused(ask("1700000001", &["--tolerance", "0"]), "timestamp-too-old");
    ask("1900000000", &["--tolerance", "off"]).ok();
    let hookctl_now = env.hookctl(["verify", "--scheme", "stripe", "--secret-env", "S", "--signature", value]);
    hookctl_now.env("S", "hush").now("2023-11-14T22:13:20Z").stdin("{}").run().ok();
}

#[test]
fn json_tells_the_answer_the_reason_and_the_hints() {
    let env = TestEnv::new();
    let head = sign(&env, "github", "hush", b"{\"a\":1}");
    let json = verify(&env, "github", "hush", &head, b"{\"a\":1}").args(["-o", "json"]).run().ok().json();
    assert_eq!(json["valid"], true);
    assert_eq!(json["scheme"], "github");
    assert_eq!(json["reason"], serde_json::Value::Null);
    assert_eq!(json["matched"], "given");
    let json = verify(&env, "github", "hush", &head, b"{\"a\": 1}\n").args(["-o", "json"]).run().fails(4).json();
    assert_eq!(json["valid"], false);
    assert_eq!(json["reason"], "no-match");
    assert_eq!(json["hints"][0], "matches when the JSON is compacted: the body was re-serialised");
}

#[test]
fn a_mismatch_is_explained_without_the_expected_signature() {
    let env = TestEnv::new();
    let explained = |scheme: &str, signed: &[u8], judged_by: &str, got: &[u8]| {
        let head = sign(&env, scheme, "hush", signed);
        let right = sign(&env, judged_by, "hush", got);
        let right = right.trim_end().rsplit(['=', ' ']).next().unwrap().to_owned();
        let run = verify(&env, judged_by, "hush", &head, got).run().fails(4);
        assert!(!run.err().contains(&right), "{run:?}");
        run.err()
    };
    assert!(explained("github", b"{}", "github", b"{}\n").contains("matches with the final newline removed"));
    assert!(explained("github", b"{\"a\":1}", "github", b"{\"a\": 1}").contains("when the JSON is compacted"));
    assert!(explained("slack", b"{}", "stripe", b"{}").contains("matches scheme slack"));
    assert!(!explained("github", b"{}", "github", b"[]").contains("matches"), "no hint is no guess");
}

#[test]
fn quiet_leaves_the_one_word() {
    let env = TestEnv::new();
    let head = sign(&env, "github", "hush", b"{}");
    let run = refused(verify(&env, "github", "hush", &head, b"{}\n").arg("-q").run(), "no-match");
    assert_eq!(run.err(), "");
}

#[test]
fn headers_come_by_option_and_from_saved_heads() {
    let env = TestEnv::new();
    let head = sign(&env, "standard", WHSEC, b"{}");
    let ask = |saved: &str| verify(&env, "standard", WHSEC, saved, b"{}").run();
    ask(&format!("POST /hook HTTP/1.1\r\nHost: a\r\n{}\r\nbody", head.replace('\n', "\r\n"))).ok();
    let json: serde_json::Map<_, _> =
        head.lines().filter_map(|l| l.split_once(": ")).map(|(n, v)| (n.to_uppercase(), v.into())).collect();
    ask(&serde_json::to_string(&json).unwrap()).ok();
    ask(&format!("\u{feff}{head}")).ok();
    ask(&format!("\u{feff}{}", serde_json::to_string(&json).unwrap())).ok();
    let mut by_option = env.hookctl(["verify", "--scheme", "standard", "--secret-env", "S", "--now", "1700000000"]);
    for line in head.lines() {
        let (name, value) = line.split_once(": ").unwrap();
        by_option = by_option.args(["-H", &format!("{name}:\t  {value} \t")]);
    }
    by_option.env("S", WHSEC).stdin("{}").run().ok();
    let from_stdin = env.hookctl(["verify", "--scheme", "standard", "--secret-env", "S", "--now", "1700000000"]);
    let body = env.file("b", "{}");
    from_stdin.args(["--headers-file", "-"]).arg(body).env("S", WHSEC).stdin(head).run().ok();
}

#[test]
fn the_scheme_is_never_chosen_by_the_request() {
    let env = TestEnv::new();
    let head = sign(&env, "github", "hush", b"{}");
    let ask = env.hookctl(["verify", "--secret-env", "S", "-H", head.trim_end()]).env("S", "hush").stdin("{}");
    let run = refused(ask.run(), "missing-header");
    assert!(run.err().contains("matches scheme github"), "{run:?}");
}

#[test]
fn wrong_questions_are_2() {
    let env = TestEnv::new();
    let cases: &[(&[&str], &str)] = &[
        (&[], "a secret is missing"),
        (&["--secret-env", "S", "--scheme", "nope"], "no signature scheme"),
        (&["--secret-env", "S", "-H", "no colon"], "-H"),
        (&["--secret-env", "S", "-H", "Na me: x"], "-H"),
        (&["--secret-env", "S", "-H", ": x"], "-H"),
        (&["--secret-env", "S", "--headers-file", "missing"], "--headers-file"),
        (&["--secret-env", "S", "--headers-file", "-"], "cannot both be read from stdin"),
        (&["--secret-stdin"], "cannot both be read from stdin"),
        (&["--secret-env", "S", "--signature", "x", "-H", "x-webhook-signature: y"], "given already"),
        (&["--secret-env", "S", "--tolerance", "soon"], "--tolerance"),
        (&["--secret-env", "S", "--tolerance", "-5"], "--tolerance"),
        (&["--secret-env", "S", "--now", "yesterday"], "--now"),
        (&["--secret-env", "S", "--scheme", "standard"], "whsec_"),
        (&["--secret-env", "S", "--scheme", "square", "--signature", "x"], "--url"),
        (&["--secret-env", "S", "no-such-file"], "no-such-file"),
    ];
    for (args, said) in cases {
        let run = env.hookctl(["verify"]).args(args.iter().copied()).env("S", "hush").stdin("{}").run().fails(2);
        assert!(run.err().contains(said), "{said}\n{run:?}");
        assert_eq!(run.text(), "");
        assert!(!run.err().contains("hush"), "{run:?}");
    }
}

#[test]
fn bytes_are_judged_as_they_are() {
    let env = TestEnv::new();
    let body = b"\x00\xff\r\n";
    // printf '\x00\xff\r\n' | openssl dgst -sha256 -hmac hush
    let signature = "sha256=e1aac218baa8343328ac74d07781e27e60e427ac9966f68af6be70ff149b63ac";
    let ask = |body: &[u8]| {
        let command = env.hookctl(["verify", "--secret-env", "S", "--signature", signature]);
        command.env("S", "hush").stdin(body).run()
    };
    ask(body).ok();
    refused(ask(b"\x00\xff\n"), "no-match");
    refused(ask(b"\x00\xff\r"), "no-match");
    assert_eq!(sign(&env, "timetracker", "hush", body), format!("X-Webhook-Signature: {signature}\n"));
}

#[test]
fn a_mebibyte_is_judged_at_once_and_a_mismatch_soon() {
    let env = TestEnv::new();
    let body = vec![b'x'; 1 << 20];
    let head = sign(&env, "github", "hush", &body);
    let run = verify(&env, "github", "hush", &head, &body).run().ok();
    assert!(run.took < Duration::from_secs(20), "{:?}", run.took);
    let run = verify(&env, "github", "other", &head, &body).run().fails(4);
    assert!(run.took < Duration::from_secs(20), "{:?}", run.took);
}

#[test]
fn a_header_of_random_or_endless_bytes_is_an_answer() {
    let env = TestEnv::new();
    for value in [vec![0xff; 70_000], b"\xff\x80".to_vec(), vec![b'a'; 1 << 20], b"v1=".repeat(100_000)] {
        let head = [b"X-Hub-Signature-256: ", value.as_slice(), b"\n"].concat();
        let file = env.file("odd", head);
        let command = env.hookctl(["verify", "--scheme", "github", "--secret-env", "S", "--headers-file"]).arg(file);
        refused(command.env("S", "hush").stdin("{}").run(), "malformed");
    }
}

/// With the right signature before them, so that nothing but these bytes is wrong.
#[test]
fn bytes_that_no_header_carries_are_malformed_however_they_come() {
    let env = TestEnv::new();
    let head = sign(&env, "gitea", "hush", b"{}");
    let (name, value) = head.trim_end().split_once(": ").unwrap();
    let ask = || env.hookctl(["verify", "--scheme", "gitea", "--secret-env", "S"]).env("S", "hush").stdin("{}");
    ask().args(["-H", head.trim_end()]).run().ok();
    for bytes in ["\n", "\r\n", "\rx", "\n x"] {
        refused(ask().args(["-H", &format!("{name}: {value}{bytes}")]).run(), "malformed");
        refused(ask().args(["--signature", &format!("{value}{bytes}")]).run(), "malformed");
    }
    for bytes in ["\0", "\r \0", "\ra: b"] {
        let saved = env.file("saved", format!("{name}: {value}{bytes}\n"));
        refused(ask().arg("--headers-file").arg(saved).run(), "malformed");
        let json = serde_json::json!({ name: format!("{value}{bytes}") });
        let saved = env.file("saved.json", json.to_string());
        refused(ask().arg("--headers-file").arg(saved).run(), "malformed");
    }
    // An id is signed as it is, so its form is all that can give it away.
    let id = serde_json::json!({"webhook-id": "a\nb", "webhook-timestamp": "1", "webhook-signature": "v1,x"});
    let run = verify(&env, "standard", WHSEC, &id.to_string(), b"{}").run();
    assert!(refused(run, "malformed").err().contains("webhook-id holds a line break"));
}

#[test]
fn a_secret_from_file_stdin_and_environment_is_the_same() {
    let env = TestEnv::new();
    let body = env.file("b", "{}");
    let head = sign(&env, "github", "hush", b"{}");
    let ask = |args: &[&str], stdin: &str| {
        let command = env.hookctl(["verify", "--scheme", "github", "-H", head.trim_end()]).arg(&body);
        command.args(args.iter().copied()).env("S", "hush").stdin(stdin).run()
    };
    for text in ["hush", "hush\n", "hush\r\n"] {
        env.file("secret", text);
        ask(&["--secret-file", "secret"], "").ok();
        ask(&["--secret-stdin"], text).ok();
    }
    ask(&["--secret-env", "S"], "").ok();
    env.file("secret", "hush\n\n");
    ask(&["--secret-file", "secret"], "").fails(2);
    env.file("secret", "hush ");
    refused(ask(&["--secret-file", "secret"], ""), "no-match");
    ask(&["--secret-file", "/dev/zero"], "").fails(2);
    ask(&["--secret-stdin"], "").fails(2);
}

//! `sign` prints the headers that senders send.

use crate::support::TestEnv;
use crate::vectors::Vector;

/// `printf '{}' | openssl dgst -sha256 -hmac hush`
const HUSH: &str = "sha256=505c20ac604f662945b662a1f13a9ca2f03bf0b1986f505d5aef48e10da8c918";

#[test]
fn signing_reproduces_what_is_published() {
    let env = TestEnv::new();
    let mut reproduced = 0;
    for vector in Vector::all().iter().filter(|vector| vector.valid) {
        let secret = vector.private.as_deref().or(vector.secret.as_deref()).unwrap();
        let mut command = vector.command(&env, "sign", secret).args(["--timestamp", &vector.signed_at().to_string()]);
        if let Some(id) = vector.header("webhook-id").or(vector.header("svix-id")) {
            command = command.args(["--id", id]);
        }
        let text = command.run().ok().text();
        let headers: Vec<(&str, &str)> = text.lines().map(|line| line.split_once(": ").unwrap()).collect();
        assert_eq!(headers.last().unwrap().1, vector.expected, "{}", vector.id);
        for (name, value) in &headers[..headers.len() - 1] {
            assert_eq!(vector.header(name), Some(*value), "{}: {name}", vector.id);
        }
        reproduced += 1;
    }
    assert!(reproduced > 35, "only {reproduced}");
}

#[test]
fn the_scheme_of_a_bare_secret_is_timetracker_and_lines_suit_curl() {
    let env = TestEnv::new();
    let run = env.hookctl(["sign", "--secret-env", "S"]).env("S", "hush").stdin("{}").run().ok();
    assert_eq!(run.text(), format!("X-Webhook-Signature: {HUSH}\n"));
    assert_eq!(run.err(), "");
    let dash = env.hookctl(["sign", "--secret-env", "S", "-"]).env("S", "hush").stdin("{}").run().ok();
    assert_eq!(dash.text(), run.text());
}

#[test]
fn json_has_the_scheme_and_the_headers() {
    let env = TestEnv::new();
    let args = ["sign", "--scheme", "stripe", "--secret-env", "S", "--timestamp", "2023-11-14T22:13:20Z", "-o", "json"];
    let json = env.hookctl(args).env("S", "hush").stdin("{}").run().ok().json();
    assert_eq!(json["scheme"], "stripe");
    let value = json["headers"]["Stripe-Signature"].as_str().unwrap();
    assert!(value.starts_with("t=1700000000,v1="), "{value}");
}

#[test]
fn the_time_of_sign_and_verify_is_given_as_that_of_every_other_option() {
    let env = TestEnv::new();
    let options = ["--scheme", "stripe", "--secret-env", "S"];
    let run = |command: &str, more: &[&str]| {
        let run = env.hookctl([&[command][..], &options, more].concat()).env("S", "hush").stdin("{}");
        run.now("2026-01-31T00:10:00Z").run()
    };
    let sign = |time: &str| run("sign", &["--timestamp", time]).ok().text();
    let signed = sign("2026-01-31T00:00:00Z");
    for same in ["10m", "600s", "2026-01-31", "1769817600", "1769817600000"] {
        assert_eq!(sign(same), signed, "{same}");
    }
    let judge = |time: &str| run("verify", &["-H", signed.trim_end(), "--tolerance", "1s", "--now", time]);
    for now in ["10m", "2026-01-31", "1769817600"] {
        judge(now).ok();
    }
    judge("5m").fails(4);
    for wrong in ["-10m", "soon", "2026-13-01"] {
        assert!(judge(wrong).fails(2).err().contains("--now: not a time; write 2026-01-31, "));
    }
}

#[test]
fn a_new_id_is_made_where_the_scheme_has_one() {
    let env = TestEnv::new();
    let sign = || {
        let args = ["sign", "--scheme", "standard", "--secret-env", "S", "-o", "json"];
        let json = env.hookctl(args).env("S", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").stdin("{}").run().ok().json();
        json["headers"]["webhook-id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (sign(), sign());
    assert!(first.starts_with("evt_") && first != second, "{first} {second}");
}

#[test]
fn options_adjust_hmac_and_nothing_else() {
    let env = TestEnv::new();
    let adjusted = ["--algorithm", "sha1", "--encoding", "base64", "--prefix", "sig=", "--header", "X-Mine"];
    let sign = |scheme: &str| {
        env.hookctl(["sign", "--secret-env", "S", "--scheme", scheme]).args(adjusted).env("S", "k").stdin("a").run()
    };
    // printf a | openssl dgst -sha1 -hmac k -binary | base64
    assert_eq!(sign("hmac").ok().text(), "X-Mine: sig=QOfUQcrbF7B/BQNBqiOmgg7YHIs=\n");
    assert!(sign("github").fails(2).err().contains("github is fixed"));
}

/// The cases of RFC 4231 section 4 whose keys are no line of text: 1, 3, 4 and 7.
#[test]
fn a_key_may_be_bytes_that_are_no_text() {
    let env = TestEnv::new();
    let data = "This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed \
                before being used by the HMAC algorithm.";
    let cases: [(Vec<u8>, &[u8], &str); 4] = [
        (vec![0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
        (vec![0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
        ((1..=25).collect(), &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
        (vec![0xaa; 131], data.as_bytes(), "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"),
    ];
    for (key, body, signature) in cases {
        let ask = |name: &str| {
            let (key, body) = (env.file("key", &key), env.file("body", body));
            env.hookctl([name, "--scheme", "hmac", "--secret-file"]).arg(key).arg(body)
        };
        assert_eq!(ask("sign").run().ok().text(), format!("X-Signature: {signature}\n"));
        assert_eq!(ask("verify").args(["--signature", signature]).run().ok().text(), "valid\n");
        let create = ["webhook", "create", "a", "--url", "https://a.example/", "-e", "*", "--secret-file"];
        env.hookctl(create).arg(env.file("key", &key)).run().fails(2);
    }
}

#[test]
fn wrong_questions_are_told_and_sign_nothing() {
    let env = TestEnv::new();
    let cases: &[(&[&str], &str)] = &[
        (&[], "a secret is missing"),
        (&["--secret-env", "S", "--scheme", "nope"], "no signature scheme 'nope'"),
        (&["--secret-env", "S", "--scheme", "nope"], "timetracker, standard"),
        (&["--secret-env", "UNSET"], "not set"),
        (&["--secret-file", "missing.txt"], "No such file"),
        (&["--secret-file", "."], "directory"),
        (&["--secret-env", "S", "--id", "a.b"], "--id"),
        (&["--secret-env", "S", "--timestamp", "2026-13-01"], "--timestamp"),
        (&["--secret-env", "S", "--timestamp", "-1"], "--timestamp"),
        (&["--secret-env", "S", "--algorithm", "md5"], "sha256"),
        (&["--secret-env", "S", "--scheme", "standard"], "whsec_"),
        (&["--secret-env", "S", "--scheme", "square"], "--url"),
        (&["--secret-env", "S", "--scheme", "hubspot-v3", "--url", "https://a.example/"], "--method"),
        (&["--secret-env", "EMPTY"], "empty"),
        (&["--secret-env", "LINES"], "control character"),
        (&["--secret-stdin"], "cannot both be read from stdin"),
        (&["--secret-env", "S", "--secret-stdin"], "cannot be used with"),
        (&["--secret-env", "S", "-w", "crm"], "cannot be used with"),
        (&["--secret-env", "S", "no-such-file"], "no-such-file"),
    ];
    for (args, said) in cases {
        let command = env.hookctl(["sign"]).args(args.iter().copied()).stdin("{}");
        let run = command.env("S", "hush").env("EMPTY", "").env("LINES", "a\nb").run().fails(2);
        assert!(run.err().contains(said), "{said}\n{run:?}");
        assert_eq!(run.text(), "", "{args:?}");
        assert!(!run.err().contains("hush"), "{run:?}");
    }
    assert!(!env.is_made());
}

#[test]
fn an_unknown_webhook_is_3_and_one_without_secret_2() {
    let env = TestEnv::new();
    env.hookctl(["sign", "-w", "crm"]).run().fails(3);
    env.hookctl(["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*", "--no-secret"]).run().ok();
    let run = env.hookctl(["sign", "-w", "crm"]).run().fails(2);
    assert!(run.err().contains("has no secret"), "{run:?}");
    env.hookctl(["verify", "-w", "crm"]).run().fails(2);
    env.hookctl(["webhook", "secret", "reveal", "crm"]).run().fails(2);
    env.hookctl(["webhook", "secret", "rotate", "crm"]).run().fails(2);
}

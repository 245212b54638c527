//! `listen --record` and `--forward-to`, and `replay`: requests that are kept, and go on, byte for byte.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use crate::support::markdown::run;
use crate::support::{Child, Identity, TestEnv, TestReceiver, closed_port};

const SOON: Duration = Duration::from_secs(20);
const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// A body that is no text, headers that come twice, one in odd case, one with blanks.
const ODD: &[u8] = b"PATCH /in?a=1&a HTTP/1.1\r\nHost: odd.example\r\nX-Twice: 1\r\nx-tWICE:2\r\nX-Twice: 1\r\n\
    X-Blanks: \t b \r\nX-Latin: \xe9\r\ncontent-LENGTH: 9\r\n\r\n\x00\xff\r\n\r\n{}\n";

/// Takes one request a connection, and answers each with these bytes; the requests as they came.
fn sink(answer: &'static [u8]) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            while !is_whole(&bytes) {
                let mut buffer = [0; 4096];
                let count = stream.read(&mut buffer).unwrap();
                assert!(count > 0, "cut off: {}", bytes.escape_ascii());
                bytes.extend_from_slice(&buffer[..count]);
            }
            stream.write_all(answer).unwrap();
            let _ = sender.send(bytes);
        }
    });
    (address, requests)
}

fn is_whole(request: &[u8]) -> bool {
    let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&request[..head]).to_lowercase();
    if text.contains("transfer-encoding: chunked") {
        return request.ends_with(b"0\r\n\r\n");
    }
    let length =
        text.lines().find_map(|line| line.strip_prefix("content-length:")).map_or(0, |n| n.trim().parse().unwrap());
    request.len() >= head + 4 + length
}

fn listen(env: &TestEnv, arguments: &[&str]) -> (Child, SocketAddr) {
    let child = env.hookctl([&["listen"], arguments].concat()).spawn();
    let line = child.wait_for_stderr("listening on", SOON);
    let address = line.rsplit_once("http://").unwrap().1.trim_end_matches('/').parse().unwrap();
    (child, address)
}

fn send(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// Records these requests into `requests`.
fn record(env: &TestEnv, arguments: &[&str], requests: &[&[u8]]) -> PathBuf {
    let count = requests.len().to_string();
    let (child, address) = listen(env, &[&["--record", "requests", "--count", &count, "-q"], arguments].concat());
    for request in requests {
        assert!(send(address, request).starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
    child.wait_timeout(SOON).ok();
    env.path().join("requests")
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST /in HTTP/1.1\r\nHost: h\r\n{lines}Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn a_request_is_recorded_forwarded_and_replayed_byte_for_byte() {
    let env = TestEnv::new();
    let answer = b"HTTP/1.1 299 Mine\r\nX-Odd:  a\r\nx-odd: b\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\n\x00\xff\n\r\n0\r\nT: r\r\n\r\n";
    let (target, requests) = sink(answer);
    let url = format!("http://{target}/other?x=1");
    let port = closed_port().port().to_string();
    let recording = ["--port", &port, "--record", "requests", "--forward-to", &url, "--count", "1", "-o", "json"];
    let (child, address) = listen(&env, &recording);
    assert_eq!(send(address, ODD).escape_ascii().to_string(), answer.escape_ascii().to_string());
    let shown = &child.wait_timeout(SOON).ok().jsonl()[0];
    assert_eq!((&shown["answered"], &shown["recorded"]), (&299.into(), &"requests/000001.http".into()));
    let at = |target: &str| ODD.escape_ascii().to_string().replace("/in?a=1&a", target);
    assert_eq!(requests.recv().unwrap().escape_ascii().to_string(), at("/other?x=1"));
    // To where it was recorded, by a listener there; elsewhere with the path; and to exactly one URL.
    let (target, requests) = sink(OK);
    for (to, expected) in [("", "/in?a=1&a"), ("/", "/in?a=1&a"), ("/exact?y", "/exact?y")] {
        let run = env.hookctl(["replay", "requests", "--to", &format!("http://{target}{to}"), "-o", "json"]).run().ok();
        assert_eq!(run.json()[0]["response_status_code"], 200);
        assert_eq!(requests.recv().unwrap().escape_ascii().to_string(), at(expected));
    }
    let (child, _) = listen(&env, &["--port", &port, "--count", "1", "-o", "json"]);
    env.hookctl(["replay", "requests/000001.http"]).run().ok();
    assert_eq!(child.wait_timeout(SOON).ok().jsonl()[0]["path"], "/in?a=1&a");
}

#[test]
fn a_recording_is_plain_private_and_named_in_order() {
    let env = TestEnv::new();
    let folder = record(&env, &[], &[ODD, &post("", "{}")]);
    assert_eq!(names(&folder), ["000001.http", "000002.http"]);
    assert_eq!((mode(&folder), mode(&folder.join("000001.http"))), (0o700, 0o600));
    let text = fs::read_to_string(folder.join("000002.http")).unwrap();
    let (front, message) = text.split_once("\n\n").unwrap();
    assert_eq!(message, "POST /in HTTP/1.1\nHost: h\nContent-Length: 2\n\n{}\n");
    let front: Vec<&str> = front.lines().collect();
    assert_eq!((front[0], front[3], front.len()), ("hookctl-recording: 1", "answered: 200", 4), "{front:?}");
    assert!(front[1].starts_with("received: 20") && front[2].starts_with("at: http://127.0.0.1:"), "{front:?}");
    // A second run goes on where the first ended, and overwrites nothing.
    fs::write(folder.join("000007.http"), "mine").unwrap();
    fs::write(folder.join("000009.txt"), "mine").unwrap();
    record(&env, &[], &[ODD]);
    assert_eq!(fs::read_to_string(folder.join("000007.http")).unwrap(), "mine");
    assert_eq!(names(&folder), ["000001.http", "000002.http", "000007.http", "000008.http", "000009.txt"]);
}

#[test]
fn what_was_found_of_a_signature_is_recorded_with_the_request() {
    let env = TestEnv::new();
    let secret = env.file("secret", "key\n");
    let (child, address) = listen(
        &env,
        &["--record", "r", "--count", "2", "--verify", "--scheme", "github", "--secret-file", secret.to_str().unwrap()],
    );
    let signed = run(&env, "printf '{}' | hookctl sign --scheme github --secret-file secret").ok().text();
    send(address, &post(&signed.replace('\n', "\r\n"), "{}"));
    send(address, &post("", "{}"));
    child.wait_timeout(SOON).fails(4);
    let read = |name: &str| fs::read_to_string(env.path().join("r").join(name)).unwrap();
    assert!(read("000001.http").contains("\nverification: valid (github)\n"), "{}", read("000001.http"));
    assert!(read("000002.http").contains("\nverification: not valid: missing-header"), "{}", read("000002.http"));
}

#[test]
fn credentials_are_recorded_only_when_asked_for_and_signatures_always() {
    let lines =
        "AUTHORIZATION: Bearer s3cret\r\nX-Gitlab-Token: s3cret\r\nX-Webhook-Signature: sha256=00\r\nX-A: 1\r\n";
    let env = TestEnv::new();
    let masked = record(&env, &[], &[&post(lines, "{}")]).join("000001.http");
    let text = fs::read_to_string(&masked).unwrap();
    assert!(
        text.contains("\nAUTHORIZATION: [masked]\nX-Gitlab-Token: [masked]\nX-Webhook-Signature: sha256=00\n"),
        "{text}"
    );
    let (target, requests) = sink(OK);
    let to = format!("http://{target}");
    let run = env.hookctl(["replay", "requests", "--to", &to]).run().ok();
    assert!(run.text().contains("without AUTHORIZATION, X-Gitlab-Token"), "{run:?}");
    let sent = String::from_utf8(requests.recv().unwrap()).unwrap();
    assert_eq!(
        sent,
        "POST /in HTTP/1.1\r\nHost: h\r\nX-Webhook-Signature: sha256=00\r\nX-A: 1\r\nContent-Length: 2\r\n\r\n{}"
    );
    // A value that somebody writes in goes.
    fs::write(&masked, text.replacen("[masked]", "Bearer mine", 1)).unwrap();
    env.hookctl(["replay", "requests", "--to", &to]).run().ok();
    assert!(String::from_utf8(requests.recv().unwrap()).unwrap().contains("AUTHORIZATION: Bearer mine\r\nX-Webhook"));
    let env = TestEnv::new();
    let kept = record(&env, &["--record-secrets"], &[&post(lines, "{}")]).join("000001.http");
    assert!(fs::read_to_string(kept).unwrap().contains("AUTHORIZATION: Bearer s3cret\nX-Gitlab-Token: s3cret\n"));
    env.hookctl(["replay", "requests", "--to", &to, "-o", "json"]).run().ok();
    assert!(String::from_utf8(requests.recv().unwrap()).unwrap().contains("X-Gitlab-Token: s3cret\r\n"));
    let dry = env.hookctl(["replay", "requests", "--dry-run", "--to", &to]).run().ok();
    assert!(!dry.text().contains("s3cret"), "{dry:?}");
}

#[test]
fn record_edit_resign_replay_from_a_shell() {
    let env = TestEnv::new();
    let script = r#"
        printf 'old key' > old.txt; printf 'new key' > new.txt
        hookctl listen --port PORT --record requests --count 1 2> listen.txt > seen.txt & listener=$!
        until grep -q listening listen.txt; do sleep 0.1; done
        url=$(sed 's/listening on //' listen.txt)
        printf '{"amount":12.50,"id":12345678901234567890}' > body.json
        hookctl sign --scheme github --secret-file old.txt body.json > headers.txt
        curl -sS -H @headers.txt -H 'X-GitHub-Event: paid' --data-binary @body.json "$url"hooks > answer.txt
        wait $listener
        sed -i 's/12\.50/13.50/' requests/000001.http
        hookctl listen --port PORT --verify --scheme github --secret-file new.txt --count 1 > again.txt 2>&1 & listener=$!
        until grep -q listening again.txt; do sleep 0.1; done
        hookctl replay requests --set '.note = "edited"' --resign --scheme github --secret-file new.txt
        wait $listener
        cat again.txt
    "#;
    let script = script.replace("PORT", &closed_port().port().to_string());
    let text = run(&env, &script).ok().text();
    assert!(text.contains("Signature:  valid (github)"), "{text}");
    assert!(text.contains(r#"{"amount":13.50,"id":12345678901234567890,"note":"edited"}"#), "{text}");
    assert!(text.contains("X-GitHub-Event: paid") && text.contains("requests/000001.http"), "{text}");
    assert_eq!(text.to_lowercase().matches("x-hub-signature-256").count(), 1, "{text}");
}

#[test]
fn signing_anew_takes_the_time_of_now_and_keeps_the_id() {
    let env = TestEnv::new();
    let receiver = TestReceiver::start(200);
    env.hookctl(["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"]).run().ok();
    let lines =
        "Webhook-ID: evt-7\r\nwebhook-TIMESTAMP: 1\r\nWebhook-Signature: v1,old\r\nX-Webhook-Signature: sha256=old\r\n";
    record(&env, &[], &[&post(lines, "{\"a\":1}")]);
    let again = ["replay", "requests", "--to", &receiver.url(), "--resign", "-w", "crm", "-o", "jsonl"];
    env.hookctl(again).run().ok();
    let request = receiver.requests().remove(0);
    let names: Vec<&str> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    let expected =
        ["Host", "Webhook-ID", "webhook-TIMESTAMP", "Webhook-Signature", "X-Webhook-Signature", "Content-Length"];
    assert_eq!((names, request.header("webhook-id")), (expected.to_vec(), Some("evt-7")));
    let line = |(name, value): &(String, Vec<u8>)| format!("{name}: {}", String::from_utf8_lossy(value));
    let head = request.headers.iter().map(line).collect::<Vec<_>>().join("\n");
    env.file("head", head);
    env.file("body", &request.body);
    let verified = env.hookctl(["verify", "-w", "crm", "--headers-file", "head", "body", "-o", "json"]).run().ok();
    assert_eq!(verified.json()["schemes"].as_array().unwrap().len(), 2);
    env.hookctl(["replay", "requests", "-w", "crm"]).run().fails(2);
}

#[test]
fn what_is_not_json_cannot_be_edited_and_the_others_go() {
    let env = TestEnv::new();
    record(&env, &[], &[&post("", "{\"a\":-0,\"b\":1.0}"), ODD, &post("", "{\"a\":\"x\"}")]);
    let receiver = TestReceiver::start(204);
    let url = receiver.url();
    let edit = |set: &[&str]| {
        let arguments = [&["replay", "requests", "-o", "json", "--to"], &[url.as_str()][..], set].concat();
        env.hookctl(arguments).run().fails(5).json()
    };
    let answers = edit(&["--set", ".c = [.b]", "--set", ".b += 1"]);
    let codes: Vec<_> =
        answers.as_array().unwrap().iter().map(|answer| answer["response_status_code"].as_u64()).collect();
    assert_eq!(codes, [Some(204), None, Some(204)]);
    assert!(
        answers[1]["error"].as_str().unwrap().starts_with("--set: what is to be edited is not valid JSON"),
        "{answers}"
    );
    let bodies: Vec<String> = receiver.requests().iter().map(|request| request.text().to_owned()).collect();
    assert_eq!(bodies, [r#"{"a":-0,"b":2,"c":[1.0]}"#, r#"{"a":"x","c":[null],"b":1}"#]);
    let reason = |set: &str| edit(&["--set", set])[2]["error"].as_str().unwrap().to_owned();
    assert_eq!(reason(".a += 1"), "--set: cannot calculate \"x\" + 1");
    assert_eq!(reason("empty"), "--set: the expression gives nothing for this value");
    assert_eq!(reason("., ."), "--set: the expression gives more than one value; it must give one");
    let run = env.hookctl(["replay", "requests", "--set", ".a ="]).run().fails(2);
    assert!(run.err().contains("not a jq expression: expected term at column 5"), "{run:?}");
}

#[test]
fn a_replay_exits_5_unless_every_answer_is_a_2xx() {
    let env = TestEnv::new();
    record(&env, &[], &[&post("", "1"), &post("", "2")]);
    let receiver = TestReceiver::start([200, 302]);
    let run = env.hookctl(["replay", "requests", "--to", &receiver.url()]).run().fails(5);
    assert!(
        run.text().contains("302") && run.err().contains("2 recorded: 1 answered 2xx, 1 not, 0 refused"),
        "{run:?}"
    );
    let nobody = format!("http://{}", closed_port());
    let run = env.hookctl(["replay", "requests/000001.http", "--to", &nobody, "-o", "jsonl"]).run().fails(5);
    assert!(run.jsonl()[0]["error"].as_str().unwrap().ends_with("it refused the connection"), "{run:?}");
}

#[test]
fn the_original_gaps_are_kept_when_asked_for() {
    let env = TestEnv::new();
    let folder = record(&env, &[], &[&post("", "1"), &post("", "2")]);
    for (name, time) in [("000001.http", "00.000"), ("000002.http", "00.700")] {
        let text = fs::read_to_string(folder.join(name)).unwrap();
        let line = text.lines().find(|line| line.starts_with("received: ")).unwrap();
        fs::write(folder.join(name), text.replace(line, &format!("received: 2026-01-01T00:00:{time}Z"))).unwrap();
    }
    let receiver = TestReceiver::start(200);
    for (delay, least) in [("original", 700), ("300ms", 300)] {
        let run = env.hookctl(["replay", "requests", "--to", &receiver.url(), "--delay", delay]).run().ok();
        // On a machine that does much else the first may be seen late, and so soon before the second.
        assert!(run.took >= Duration::from_millis(least), "{delay}: {run:?}");
    }
    assert_eq!(receiver.count(), 4);
    env.hookctl(["replay", "requests", "--delay", "soon"]).run().fails(2);
}

#[test]
fn a_dry_run_shows_what_would_go_and_sends_nothing() {
    let env = TestEnv::new();
    record(&env, &[], &[&post("X-A: 1\r\n", "{\"a\":1}")]);
    let receiver = TestReceiver::start(200);
    let arguments = ["replay", "requests", "--dry-run", "--set", ".a = 2", "--to", &receiver.url_at("/x")];
    let text = env.hookctl(arguments).run().ok().text();
    assert!(
        text.starts_with(&format!(
            "POST {}\nRecorded:  requests/000001.http\nHost: h\nX-A: 1\n",
            receiver.url_at("/x")
        )),
        "{text}"
    );
    assert!(text.ends_with("\n  {\"a\":2}\n"), "{text}");
    let json = env.hookctl([&arguments[..], &["-o", "json"]].concat()).run().ok().json();
    assert_eq!((&json[0]["body"], &json[0]["headers"]["X-A"]), (&"{\"a\":2}".into(), &"1".into()));
    assert_eq!(receiver.count(), 0);
}

#[test]
fn nothing_leaves_this_machine_unless_it_is_allowed_to() {
    let env = TestEnv::new();
    let folder = record(&env, &[], &[&post("", "{}")]);
    for to in ["http://192.0.2.1/", "https://[2001:db8::1]/x", "http://169.254.169.254/"] {
        let run = env.hookctl(["replay", "requests", "--to", to]).run().fails(2);
        assert!(run.err().contains("is not this machine") && run.err().contains("--allow-remote"), "{run:?}");
        env.hookctl(["listen", "--forward-to", to]).run().fails(2);
    }
    env.hookctl(["replay", "requests", "--allow-remote", "--to", "http://169.254.169.254/"]).run().fails(2);
    env.hookctl(["listen", "--allow-remote", "--forward-to", "http://169.254.169.254/"]).run().fails(2);
    // A recording cannot send its request anywhere else either.
    let file = folder.join("000001.http");
    let text = fs::read_to_string(&file).unwrap();
    let line = text.lines().find(|line| line.starts_with("at: ")).unwrap();
    fs::write(&file, text.replace(line, "at: http://192.0.2.1")).unwrap();
    let run = env.hookctl(["replay", "requests"]).run().fails(2);
    assert!(run.err().contains("000001.http: 192.0.2.1:80 is not this machine"), "{run:?}");
}

#[test]
fn where_nothing_comes_back_the_answer_is_502_with_the_reason() {
    let env = TestEnv::new();
    let nobody = format!("http://{}/", closed_port());
    let (child, address) = listen(&env, &["--forward-to", &nobody, "--count", "1", "-o", "json", "--record", "r"]);
    let answer = String::from_utf8(send(address, ODD)).unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 502 Bad Gateway\r\n") && answer.contains("refused the connection"),
        "{answer}"
    );
    let shown = &child.wait_timeout(SOON).ok().jsonl()[0];
    assert_eq!(shown["answered"], 502);
    assert!(shown["forward_error"].as_str().unwrap().contains("refused the connection"), "{shown}");
    for broken in
        [&b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"[..], b"SSH-2.0\r\n", b"HTTP/1.1 101 No\r\n\r\n"]
    {
        let (target, _requests) = sink(broken);
        let (child, address) = listen(&env, &["--forward-to", &format!("http://{target}/"), "--count", "1"]);
        assert!(send(address, ODD).starts_with(b"HTTP/1.1 502 Bad Gateway\r\n"), "{}", broken.escape_ascii());
        child.wait_timeout(SOON).ok();
    }
}

#[test]
fn requests_that_two_readers_could_split_in_two_ways_are_not_passed_on() {
    let env = TestEnv::new();
    let (target, requests) = sink(OK);
    let (child, address) =
        listen(&env, &["--forward-to", &format!("http://{target}/"), "--count", "4", "--record", "r"]);
    let both = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n";
    assert!(send(address, both).starts_with(b"HTTP/1.1 400 "));
    // Two equal lengths become one; a chunked body one chunk; bare line feeds get their CR; 100-continue is answered here.
    let close = "Connection: close\r\n";
    for (request, expected) in [
        (
            format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 1\r\n{close}\r\nx"),
            format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n{close}\r\nx"),
        ),
        (
            format!(
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{close}\r\n1;GET=\r\na\r\n2\r\nbc\r\n0\r\nX: y\r\n\r\n"
            ),
            format!("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n{close}\r\n3\r\nabc\r\n0\r\n\r\n"),
        ),
        (
            "POST / HTTP/1.1\nHost: h\nConnection: close\n\n".to_owned(),
            format!("POST / HTTP/1.1\r\nHost: h\r\n{close}\r\n"),
        ),
        (
            format!("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n{close}\r\nx"),
            format!("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n{close}\r\nx"),
        ),
    ] {
        let answer = send(address, request.as_bytes());
        assert!(answer.ends_with(OK), "{}", answer.escape_ascii());
        assert_eq!(requests.recv().unwrap().escape_ascii().to_string(), expected.as_bytes().escape_ascii().to_string());
    }
    child.wait_timeout(SOON).ok();
    // As they were passed on, so they are replayed.
    env.hookctl(["replay", "r/000002.http", "--to", &format!("http://{target}")]).run().ok();
    assert!(requests.recv().unwrap().ends_with(b"3\r\nabc\r\n0\r\n\r\n"));
}

#[test]
fn a_receiver_with_tls_is_trusted_by_the_systems_roots() {
    let env = TestEnv::new();
    let identity = Identity::local();
    let roots = env.file("roots.pem", identity.pem());
    let receiver = TestReceiver::start_tls(identity, 204);
    let url = receiver.url_at("/x");
    record(&env, &[], &[ODD]);
    let replay = || env.hookctl(["replay", "requests", "--to", &url, "-o", "jsonl"]);
    let refused = replay().run().fails(5).jsonl();
    assert!(refused[0]["error"].as_str().unwrap().contains("certificate"), "{refused:?}");
    assert_eq!(replay().env("SSL_CERT_FILE", &roots).run().ok().jsonl()[0]["response_status_code"], 204);
    let request = receiver.requests().remove(0);
    assert_eq!((request.path.as_str(), &request.body[..]), ("/x", &ODD[ODD.len() - 9..]));
    assert_eq!(request.header_values("x-twice"), [b"1", b"2", b"1"]);
}

#[test]
fn an_answer_without_a_length_is_passed_on_to_its_end() {
    let env = TestEnv::new();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 64 * 1024];
        let _ = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.0 200 Yes\r\n\r\nfirst ").unwrap();
        thread::sleep(Duration::from_millis(100));
        stream.write_all(b"last").unwrap();
    });
    let (child, address) = listen(&env, &["--forward-to", &url, "--count", "1"]);
    assert_eq!(send(address, &post("", "{}")), b"HTTP/1.0 200 Yes\r\n\r\nfirst last");
    child.wait_timeout(SOON).ok();
}

#[test]
fn what_cannot_be_recorded_or_replayed_is_refused_in_one_line() {
    let env = TestEnv::new();
    let file = env.file("file", "x");
    fs::create_dir(env.path().join("empty")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", env.path().join("zero.http")).unwrap();
    let refused = |arguments: &[&str], code: i32, told: &str| {
        let run = env.hookctl(arguments.to_vec()).run().fails(code);
        assert!(run.err().contains(told), "{run:?}");
        assert_eq!(run.err().lines().filter(|line| line.starts_with("error: ")).count(), 1, "{run:?}");
    };
    refused(
        &["listen", "--record", file.to_str().unwrap()],
        2,
        "--record: 'file' is not a folder".trim_start_matches("--record: 'file' "),
    );
    refused(&["listen", "--record", "/dev/null"], 2, "is not a folder");
    refused(&["listen", "--record", "no/such/folder"], 1, "--record: cannot use the folder 'no/such/folder'");
    refused(&["listen", "--record-secrets"], 2, "--record");
    refused(&["listen", "--forward-to", "ftp://x/"], 2, "--forward-to");
    refused(&["listen", "--forward-to", "http://127.0.0.1:1/", "--respond", "500"], 2, "--respond");
    refused(&["listen", "--port", "9", "--forward-to", "http://127.0.0.1:9/"], 2, "the listener itself");
    refused(&["listen", "--bind", "nowhere"], 2, "--bind");
    refused(&["listen", "--bind", "192.0.2.1"], 1, "--bind: cannot listen at 192.0.2.1:0");
    refused(&["replay"], 2, "DIR|FILE");
    refused(&["replay", "missing"], 2, "cannot read 'missing'");
    refused(&["replay", "empty"], 2, "no recordings (*.http) in 'empty'");
    refused(&["replay", "file"], 2, "file: not a recording");
    refused(&["replay", "zero.http"], 2, "zero.http: it holds more than");
    refused(&["replay", "/dev/zero"], 2, "/dev/zero: it holds more than");
    // Nothing goes where one of the recordings cannot be read.
    record(&env, &[], &[&post("", "{}")]);
    let receiver = TestReceiver::start(200);
    fs::write(env.path().join("requests/000002.http"), "hookctl-recording: 1\nrec").unwrap();
    refused(&["replay", "requests", "--to", &receiver.url()], 2, "000002.http: cut off");
    assert_eq!(receiver.count(), 0);
}

#[test]
fn a_listener_that_lets_other_machines_in_says_so() {
    let env = TestEnv::new();
    let (child, address) = listen(&env, &["--bind", "0.0.0.0", "--count", "1", "--record", "r"]);
    assert!(address.ip().is_unspecified());
    send((Ipv4Addr::LOCALHOST, address.port()).into(), &post("", "{}"));
    let run = child.wait_timeout(SOON).ok();
    assert!(run.err().contains("warning: other machines that can reach 0.0.0.0 can send requests to it"), "{run:?}");
    let text = fs::read_to_string(env.path().join("r/000001.http")).unwrap();
    assert!(text.contains(&format!("\nat: http://127.0.0.1:{}\n", address.port())), "{text}");
    let child = env.hookctl(["listen", "--bind", "::1"]).spawn();
    let line = child.wait_for_stderr("listening on", SOON);
    assert!(line.contains("http://[::1]:"), "{line}");
    child.signal("TERM");
    assert!(!child.wait_timeout(SOON).fails(143).err().contains("warning"));
}

#[test]
fn json_is_spread_over_lines_at_a_terminal_alone() {
    let env = TestEnv::new();
    let address = closed_port();
    let mut terminal = env.hookctl(["listen", "--count", "1", "--port", &address.port().to_string()]).at_terminal();
    terminal.shows("listening on ");
    send(address, &post("", "{\"a\":[1.0,\"\\u001b[2J\"]}"));
    let shown = terminal.ends().ended_with(0);
    let expected = "  {\r\n    \"a\": [\r\n      1.0,\r\n      \"\\u001b[2J\"\r\n    ]\r\n  }\r\n";
    assert!(shown.raw.contains(expected), "{}", shown.raw);
}

#[test]
fn ctrl_c_ends_a_replay_that_waits() {
    let env = TestEnv::new();
    record(&env, &[], &[&post("", "1"), &post("", "2")]);
    let receiver = TestReceiver::start(200);
    let child = env.hookctl(["replay", "requests", "--to", &receiver.url(), "--delay", "10m", "-o", "jsonl"]).spawn();
    child.wait_for_stdout("000001.http", SOON);
    child.signal("INT");
    assert_eq!(child.wait_timeout(SOON).fails(130).jsonl().len(), 1);
}

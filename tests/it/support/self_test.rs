//! The tests' own tools do what they say.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// How long silence lasts before a connection counts as open and silent.
const PATIENCE: Duration = Duration::from_secs(1);

fn connect(receiver: &TestReceiver) -> TcpStream {
    let stream = TcpStream::connect(receiver.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn send(stream: &mut TcpStream, path: &str) {
    write!(stream, "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}").unwrap();
}

/// What comes until the connection ends, and how it ends.
fn rest(stream: &mut TcpStream) -> (String, Option<ErrorKind>) {
    let mut answer = Vec::new();
    let end = stream.read_to_end(&mut answer).err().map(|error| error.kind());
    (String::from_utf8(answer).unwrap(), end)
}

fn answer_to(reply: Reply) -> (String, Option<ErrorKind>) {
    let receiver = TestReceiver::start(reply);
    let mut stream = connect(&receiver);
    send(&mut stream, "/");
    rest(&mut stream)
}

#[test]
fn the_receiver_records_what_was_sent() {
    let receiver = TestReceiver::start(201);
    let mut first = connect(&receiver);
    first
        .write_all(b"PUT /a?b=c HTTP/1.1\r\nHost: x\r\nx-B: \xff\r\nX-A: 1\r\ncontent-length: 4\r\n\r\n\x00\r\n\xff")
        .unwrap();
    let request = &receiver.wait_for(1, SOON)[0];
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/a?b=c"));
    assert_eq!(request.body, b"\x00\r\n\xff");
    let fields: Vec<(&str, &[u8])> = request.headers.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assert_eq!(fields, [("Host", &b"x"[..]), ("x-B", b"\xff"), ("X-A", b"1"), ("content-length", b"4")]);
    assert_eq!(request.header("x-a"), Some("1"));
    assert_eq!(request.status, Some(201));
    send(&mut first, "/");
    send(&mut connect(&receiver), "/");
    let seen: Vec<_> = receiver.wait_for(3, SOON).iter().map(|request| request.number).collect();
    assert_eq!(seen, [1, 2, 3]);
    let mut places: Vec<_> =
        receiver.requests().iter().map(|request| (request.connection, request.on_connection)).collect();
    places.sort_unstable();
    assert_eq!(places, [(1, 1), (1, 2), (2, 1)]);
    assert_eq!((receiver.count(), receiver.connections()), (3, 2));
    assert!(receiver.malformed().is_empty());
}

#[test]
fn a_request_that_breaks_off_is_not_recorded_as_one() {
    let receiver = TestReceiver::start(200);
    connect(&receiver).write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nhalf").unwrap();
    let deadline = Instant::now() + SOON;
    while receiver.malformed().is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(receiver.malformed(), [b"half"]);
    assert_eq!(receiver.count(), 0);
}

#[test]
fn scripts_answer_in_turn_by_path_and_by_request() {
    let by_body = Script::each(|request| Reply::Status(if request.on_connection == 3 { 503 } else { 202 }));
    let receiver = TestReceiver::start([500, 200]).on("/other", by_body);
    let mut stream = connect(&receiver);
    for path in ["/", "/other", "/other?query", "/", "/"] {
        send(&mut stream, path);
    }
    let statuses: Vec<_> = receiver.wait_for(5, SOON).iter().map(|request| request.status.unwrap()).collect();
    assert_eq!(statuses, [500, 202, 503, 200, 200]);
    assert_eq!(receiver.requests_at("/other").len(), 2);
    receiver.now_answers(410);
    send(&mut stream, "/");
    assert_eq!(receiver.wait_for(6, SOON)[5].status, Some(410));
}

#[test]
fn answers_are_whole() {
    let last_answer = |reply: Reply| {
        let receiver = TestReceiver::start(reply);
        let mut stream = connect(&receiver);
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        rest(&mut stream)
    };
    for (reply, expected) in [
        (
            Reply::with_header(503, "Retry-After", "7"),
            "HTTP/1.1 503 Told\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n",
        ),
        (Reply::with_body(200, "body"), "HTTP/1.1 200 Told\r\nContent-Length: 4\r\n\r\nbody"),
        (Reply::Status(204), "HTTP/1.1 204 Told\r\n\r\n"),
    ] {
        assert_eq!(last_answer(reply.clone()), (expected.to_owned(), None), "{reply:?}");
        assert_eq!(answer_to(reply).1, Some(ErrorKind::WouldBlock), "the connection is kept unless asked");
    }
    assert!(last_answer(Reply::HugeBody(1_000_000)).0.len() > 1_000_000);
    let started = Instant::now();
    assert!(last_answer(Reply::StatusAfter(Duration::from_millis(100), 200)).0.starts_with("HTTP/1.1 200"));
    assert!(started.elapsed() >= Duration::from_millis(100));
}

#[test]
fn faults_are_the_faults_they_are_called() {
    let (open, closed, reset) = (Some(ErrorKind::WouldBlock), None, Some(ErrorKind::ConnectionReset));
    let whole = "HTTP/1.1 200 Told\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nok\n";
    let half_line = "HTTP/1.1 20";
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot all of it";
    let faults = [
        (Reply::Stall, ("", open)),
        (Reply::StallInHead, (half_line, open)),
        (Reply::StallInBody, (short, open)),
        (Reply::DripHead(PATIENCE * 2), ("H", open)),
        (Reply::DripBody(PATIENCE * 2), ("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n.", open)),
        (Reply::Reset, ("", reset)),
        (Reply::CloseBeforeAnswer, ("", closed)),
        (Reply::CloseAfterAnswer(200), (whole, closed)),
        (Reply::ShortBody, (short, closed)),
        (Reply::Raw(b"nonsense".to_vec()), ("nonsense", closed)),
    ];
    std::thread::scope(|scope| {
        for (reply, (text, end)) in faults {
            scope.spawn(move || assert_eq!(answer_to(reply.clone()), (text.to_owned(), end), "{reply:?}"));
        }
    });
    // A reset may overtake the bytes before it.
    for (reply, sent) in [(Reply::ResetInHead, half_line), (Reply::ResetInBody, short)] {
        let (answer, end) = answer_to(reply.clone());
        assert!(sent.starts_with(&answer) && end == reset, "{reply:?}: {answer:?} {end:?}");
    }
}

#[test]
fn connections_can_fail_before_the_first_byte() {
    let receiver = TestReceiver::start(200).on_connect(|number| match number {
        1 => OnConnect::Reset,
        2 => OnConnect::Close,
        3 => OnConnect::Stall,
        _ => OnConnect::Serve,
    });
    let end = |stream: &mut TcpStream| rest(stream).1;
    assert_eq!(end(&mut connect(&receiver)), Some(ErrorKind::ConnectionReset));
    assert_eq!(end(&mut connect(&receiver)), None);
    assert_eq!(end(&mut connect(&receiver)), Some(ErrorKind::WouldBlock));
    send(&mut connect(&receiver), "/");
    receiver.wait_for(1, SOON);
    assert_eq!(TcpStream::connect(closed_port()).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_receiver_with_tls_is_trusted_by_its_certificate_alone() {
    let send = |identity: Identity, trusted: &Identity| {
        let receiver = TestReceiver::start_tls(identity, 200);
        let root = ureq::tls::Certificate::from_pem(trusted.pem().as_bytes()).unwrap();
        let roots = ureq::tls::RootCerts::Specific(std::sync::Arc::new(vec![root]));
        let tls = ureq::tls::TlsConfig::builder().root_certs(roots).build();
        let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().tls_config(tls).proxy(None).build());
        let answer = agent.post(receiver.url()).send("body").map(|answer| answer.status().as_u16());
        (answer.ok(), receiver.requests().first().map(|request| request.text().to_owned()))
    };
    assert_eq!(send(Identity::local(), &Identity::local()), (None, None), "another certificate");
    for (identity, expected) in [
        (Identity::local(), (Some(200), Some("body".to_owned()))),
        (Identity::for_names(&["elsewhere.example"]), (None, None)),
        (Identity::expired(), (None, None)),
    ] {
        let trusted = identity.clone();
        assert_eq!(send(identity, &trusted), expected);
    }
}

#[test]
fn a_run_that_never_ends_is_killed_and_told() {
    let mut command = Command::new("sh");
    command.args(["-c", "echo before; echo beside >&2; exec sleep 60"]).stdout(Stdio::piped());
    let child = Child::start(command, Vec::new());
    assert_eq!(child.wait_for_stdout("bef", SOON), "before");
    assert_eq!(child.wait_for_stderr("bes", SOON), "beside");
    let started = Instant::now();
    let failure = catch_unwind(AssertUnwindSafe(|| child.wait_timeout(Duration::from_millis(50)))).unwrap_err();
    let message = failure.downcast_ref::<String>().unwrap();
    assert!(message.contains("still running") && message.contains("before") && message.contains("beside"), "{message}");
    assert!(started.elapsed() < SOON);
}

#[test]
fn no_child_outlives_its_test() {
    let mut command = Command::new("sleep");
    command.arg("60");
    let child = Child::start(command, Vec::new());
    let id = child.id();
    let alive = || Command::new("sh").args(["-c", &format!("kill -0 {id} 2>&-")]).status().unwrap().success();
    assert!(alive());
    drop(child);
    assert!(!alive());
}

#[test]
fn a_signal_and_an_exit_code_are_told_apart() {
    let start = |script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped());
        Child::start(command, b"input\n".to_vec())
    };
    let run = start("cat; exit 143").wait_timeout(SOON);
    assert_eq!((run.code, run.signal, run.text().as_str()), (Some(143), None, "input\n"));
    let child = start("echo up; exec sleep 60");
    child.wait_for_stdout("up", SOON);
    child.signal("TERM");
    let run = child.wait_timeout(SOON);
    assert_eq!((run.code, run.signal), (None, Some(15)));
    let run = start("exec sleep 60").kill();
    assert_eq!((run.code, run.signal), (None, Some(9)));
}

#[test]
fn the_database_is_read_as_text() {
    let env = TestEnv::on(Engine::File);
    rusqlite::Connection::open(env.database()).unwrap().execute_batch("PRAGMA journal_mode = WAL").unwrap();
    env.sql_write("CREATE TABLE t (a, b, c, d)");
    env.sql_write("INSERT INTO t VALUES (1, 'text', NULL, x'00ff')");
    assert_eq!(env.sql("SELECT * FROM t"), [["1", "text", "NULL", "00ff"]]);
    assert_eq!(env.sql_value("SELECT count(*) FROM t"), "1");
    assert!(env.sql("SELECT * FROM t WHERE a = 2").is_empty());
}

#[test]
fn the_binary_runs_in_an_environment_of_its_own() {
    let env = TestEnv::new();
    let run = env.hookctl(["--version"]).now("2026-01-01T00:00:00Z").stdin("nobody reads this").run().ok();
    assert_eq!((run.arguments.as_str(), run.signal), ("--version", None));
    assert!(!env.is_made());
    let failure = catch_unwind(AssertUnwindSafe(|| run.fails(2))).unwrap_err();
    let message = failure.downcast_ref::<String>().unwrap();
    assert!(message.contains("exit code 2") && message.contains("$ hookctl --version"), "{message}");
}

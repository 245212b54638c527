use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::connections::LIMIT;
use super::request::BODY_LIMIT;
use super::*;

const SOON: Duration = Duration::from_secs(5);
const AT_ONCE: Duration = Duration::from_millis(50);

fn start(script: Script) -> Receiver {
    start_at(0, script).unwrap()
}

fn start_at(port: u16, script: Script) -> std::io::Result<Receiver> {
    Receiver::start((Ipv4Addr::LOCALHOST, port).into(), script, None)
}

fn respond(statuses: &[u16]) -> Script {
    Script { respond: statuses.to_vec(), ..Script::default() }
}

fn connect(receiver: &Receiver) -> TcpStream {
    connect_to(receiver.address())
}

fn connect_to(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Sends the bytes, shuts down writing, and returns the whole answer.
fn exchange(receiver: &Receiver, request: impl AsRef<[u8]>) -> String {
    exchange_with(receiver.address(), request)
}

fn exchange_with(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = connect_to(address);
    // Writing may fail if the request is refused early; only the answer counts.
    let _ = stream.write_all(request.as_ref());
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Reads one answer with a `Content-Length` from a connection that stays open.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).unwrap();
        answer.push(byte[0]);
    }
    let mut head = String::from_utf8(answer).unwrap();
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: ")).map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    head.push_str(std::str::from_utf8(&body).unwrap());
    head
}

fn post(body: &str) -> String {
    format!("POST /hook HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_else(|| panic!("no status in {answer:?}"))
}

#[test]
fn hands_over_a_request_as_it_was_sent() {
    let receiver = start(Script::default());
    assert_eq!(receiver.url(), format!("http://127.0.0.1:{}/", receiver.address().port()));
    let answer = exchange(
        &receiver,
        b"PATCH /a%20b?c=d&c HTTP/1.1\r\nhost: x\r\nX-Two: \xe9\r\nx-two: b\r\nContent-Length: 5\r\n\r\n\x00{}\r\n",
    );
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\n200 OK\n");
    let request = receiver.recv_timeout(SOON).unwrap();
    assert_eq!((request.number, request.answered), (1, 200));
    assert_eq!((request.message.method.as_str(), request.message.target.as_str()), ("PATCH", "/a%20b?c=d&c"));
    assert_eq!(request.message.body, b"\x00{}\r\n");
    let names: Vec<String> = request.message.headers().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["host", "X-Two", "x-two", "Content-Length"]);
    assert_eq!(request.message.values("X-TWO").next(), Some(&b"\xe9"[..]));
    assert_eq!(request.message.values("absent").next(), None);
}

#[test]
fn one_connection_carries_many_requests_even_when_they_come_at_once() {
    let receiver = start(respond(&[500, 500, 200]));
    let mut stream = connect(&receiver);
    for expected in [500, 500, 200, 200] {
        stream.write_all(post("one").as_bytes()).unwrap();
        assert_eq!(status(&read_answer(&mut stream)), expected);
    }
    stream.write_all((post("two") + &post("three")).as_bytes()).unwrap();
    read_answer(&mut stream);
    read_answer(&mut stream);
    let bodies: Vec<Vec<u8>> = (0..6).map(|_| receiver.recv_timeout(SOON).unwrap().message.body).collect();
    assert_eq!(bodies, ["one", "one", "one", "one", "two", "three"].map(|body| body.as_bytes().to_vec()));
}

#[test]
fn the_answers_are_dealt_out_once_each_over_all_connections() {
    let receiver = start(respond(&[501, 502, 503, 504, 505, 506, 507, 508, 200]));
    let address = receiver.address();
    let mut answers: Vec<u16> = std::thread::scope(|scope| {
        let send = || status(&exchange_with(address, post("at the same time")));
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(send)).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    answers.sort_unstable();
    assert_eq!(answers, [501, 502, 503, 504, 505, 506, 507, 508]);
    let mut told: Vec<(u64, u16)> = (0..8)
        .map(|_| receiver.recv_timeout(SOON).unwrap())
        .map(|request| (request.number, request.answered))
        .collect();
    told.sort_unstable();
    assert_eq!(told, (1..=8).map(|number| (number, 500 + number as u16)).collect::<Vec<_>>());
}

#[test]
fn chunks_are_put_together_and_trailers_dropped() {
    let receiver = start(Script::default());
    let answer = exchange(
        &receiver,
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n\
         3;name=value\r\nabc\r\nA\r\n0123456789\r\n0\r\nX-Trailer: t\r\n\r\n",
    );
    assert_eq!(status(&answer), 200);
    assert_eq!(receiver.recv_timeout(SOON).unwrap().message.body, b"abc0123456789");
}

#[test]
fn a_sender_that_asks_first_is_told_to_go_on() {
    let receiver = start(Script::default());
    let mut stream = connect(&receiver);
    stream.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n").unwrap();
    assert_eq!(read_answer(&mut stream), "HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{}").unwrap();
    assert_eq!(status(&read_answer(&mut stream)), 200);
    assert_eq!(receiver.recv_timeout(SOON).unwrap().message.body, b"{}");
}

#[test]
fn a_sender_that_asks_for_too_much_is_refused_before_it_sends() {
    let receiver = start(Script::default());
    let mut stream = connect(&receiver);
    let length = BODY_LIMIT + 1;
    write!(stream, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n").unwrap();
    assert_eq!(status(&read_answer(&mut stream)), 413);
}

#[test]
fn bodies_end_at_the_limit_and_the_sender_can_read_why() {
    let receiver = start(Script::default());
    let body = "x".repeat(BODY_LIMIT);
    assert_eq!(status(&exchange(&receiver, post(&body))), 200);
    assert_eq!(receiver.recv_timeout(SOON).unwrap().message.body.len(), BODY_LIMIT);
    assert_eq!(status(&exchange(&receiver, post(&(body.clone() + "x")))), 413);
    let head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{BODY_LIMIT:x}\r\n{body}\r\n");
    assert_eq!(status(&exchange(&receiver, format!("{head}{chunk}0\r\n\r\n"))), 200);
    assert_eq!(receiver.recv_timeout(SOON).unwrap().message.body.len(), BODY_LIMIT);
    assert_eq!(status(&exchange(&receiver, format!("{head}{chunk}1\r\nx\r\n0\r\n\r\n"))), 413);
    assert_eq!(receiver.recv_timeout(AT_ONCE), None);
}

#[test]
fn what_is_not_a_request_is_refused_and_the_receiver_goes_on() {
    let receiver = start(Script::default());
    let refused: &[(&[u8], u16)] = &[
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"POST / HTTP/2.0\r\n\r\n", 400),
        (b"POST /\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\n", 400),
        (b"POST / HTTP/1.1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length:\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcde\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\nContent-Length: 0\r\n\r\n", 417),
    ];
    for (request, expected) in refused {
        let answer = exchange(&receiver, request);
        assert_eq!(status(&answer), *expected, "{}", String::from_utf8_lossy(request));
        assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    }
    let many_fields = format!("POST / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(300));
    assert_eq!(status(&exchange(&receiver, many_fields)), 431);
    let long_field = format!("POST / HTTP/1.1\r\nHost: x\r\nA: {}", "b".repeat(100_000));
    assert_eq!(status(&exchange(&receiver, long_field)), 431);
    let endless_chunk_line =
        format!("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;{}", "x".repeat(10_000));
    assert_eq!(status(&exchange(&receiver, endless_chunk_line)), 400);
    assert_eq!(receiver.recv_timeout(AT_ONCE), None);
    assert_eq!(status(&exchange(&receiver, post("still here"))), 200);
    assert_eq!(receiver.recv_timeout(SOON).unwrap().number, 1);
}

#[test]
fn a_connection_that_says_nothing_is_not_a_request() {
    let receiver = start(Script::default());
    assert_eq!(exchange(&receiver, ""), "");
    assert_eq!(receiver.recv_timeout(AT_ONCE), None);
}

#[test]
fn a_connection_ends_when_the_sender_says_so() {
    let receiver = start(Script::default());
    for head in ["GET / HTTP/1.1\r\nHost: x\r\nConnection: TE, Close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"] {
        let mut stream = connect(&receiver);
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"), "{answer}");
    }
}

#[test]
fn the_answer_waits_for_the_delay() {
    let receiver = start(Script { delay: Duration::from_millis(120), ..Script::default() });
    let started = Instant::now();
    exchange(&receiver, post("{}"));
    assert!(started.elapsed() >= Duration::from_millis(120));
    let request = receiver.recv_timeout(SOON).unwrap();
    assert!(request.received.elapsed() >= Duration::from_millis(120));
}

#[test]
fn failures_carry_retry_after() {
    let receiver = start(Script { retry_after: Some(Duration::from_secs(2)), ..respond(&[429, 200]) });
    assert!(exchange(&receiver, post("{}")).contains("\r\nRetry-After: 2\r\n"));
    assert!(!exchange(&receiver, post("{}")).contains("Retry-After"));
}

#[test]
fn stops_at_once_with_idle_and_waiting_connections_and_frees_the_port() {
    let receiver = start(Script { delay: Duration::from_secs(60), ..Script::default() });
    let mut idle = connect(&receiver);
    let mut waiting = connect(&receiver);
    waiting.write_all(post("{}").as_bytes()).unwrap();
    let mut half = connect(&receiver);
    half.write_all(b"POST / HT").unwrap();
    std::thread::sleep(AT_ONCE);
    let port = receiver.address().port();
    let started = Instant::now();
    receiver.stop();
    assert!(started.elapsed() < Duration::from_secs(30));
    for stream in [&mut idle, &mut waiting, &mut half] {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("200"));
    }
    assert!(started.elapsed() < Duration::from_secs(30));
    start_at(port, Script::default()).unwrap().stop();
}

#[test]
fn a_taken_port_and_an_impossible_status_are_errors() {
    let receiver = start(Script::default());
    let taken = start_at(receiver.address().port(), Script::default()).err().unwrap();
    assert_eq!(taken.kind(), std::io::ErrorKind::AddrInUse);
    let announced = start_at(0, respond(&[200, 100])).err().unwrap();
    assert_eq!(announced.kind(), std::io::ErrorKind::InvalidInput);
}

#[test]
fn one_connection_too_many_is_turned_away_and_the_others_go_on() {
    let receiver = start(Script::default());
    let mut held: Vec<TcpStream> = (0..LIMIT).map(|_| connect(&receiver)).collect();
    // Accepted in order: when the last one is answered, all are.
    held[LIMIT - 1].write_all(post("last").as_bytes()).unwrap();
    assert_eq!(status(&read_answer(&mut held[LIMIT - 1])), 200);
    let mut turned_away = connect(&receiver);
    let mut answer = String::new();
    let _ = turned_away.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503 "), "{answer}");
    held[0].write_all(post("first").as_bytes()).unwrap();
    assert_eq!(status(&read_answer(&mut held[0])), 200);
}

//! A receiver that costs little: a thread per kept-alive connection, one read and one write per request. It runs in a
//! process of its own, so that what it uses is not counted as the client's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use super::Identity;

/// How many addresses of loopback a certificate is for.
pub const LOOPBACK_HOSTS: usize = 100;

/// One of them, from 1.
pub fn loopback_host(number: usize) -> String {
    format!("127.0.0.{number}")
}

/// A running receiver process; ends with this value.
pub struct Receiver {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Where it listens.
    pub url: String,
}

impl Receiver {
    /// Starts this very program again as a receiver that answers after `latency`.
    pub fn start(latency: Duration) -> Receiver {
        Receiver::spawn(&[("BENCH_RECEIVER", latency.as_micros().to_string())])
    }

    /// Starts one on that port which tells of each request.
    pub fn counting_at(port: u16) -> Receiver {
        Receiver::spawn(&[("BENCH_RECEIVER", "0".to_owned()), ("BENCH_RECEIVER_PORT", port.to_string())])
    }

    /// Starts one that speaks TLS on every address of loopback, and writes its certificate into that file.
    pub fn with_tls(certificate: &Path) -> Receiver {
        let path = certificate.to_str().expect("UTF-8").to_owned();
        Receiver::spawn(&[("BENCH_RECEIVER", "0".to_owned()), ("BENCH_RECEIVER_TLS", path)])
    }

    /// Waits until it has told of so many requests.
    pub fn wait_for(mut self, count: usize) {
        let mut line = String::new();
        for _ in 0..count {
            self.stdout.read_line(&mut line).expect("a request");
        }
    }

    fn spawn(environment: &[(&str, String)]) -> Receiver {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("a receiver");
        let mut url = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut url).expect("its address");
        Receiver { child, stdout, url: url.trim().to_owned() }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Must be called first by every benchmark: serves for ever when this process was started as a receiver.
pub fn serve_if_asked() {
    let Ok(latency) = std::env::var("BENCH_RECEIVER") else { return };
    let latency = Duration::from_micros(latency.parse().expect("microseconds"));
    let port = std::env::var("BENCH_RECEIVER_PORT");
    let listener = TcpListener::bind(format!("0.0.0.0:{}", port.as_deref().unwrap_or("0"))).expect("a port");
    let identity = std::env::var("BENCH_RECEIVER_TLS").ok().map(|path| {
        let hosts: Vec<String> = (1..=LOOPBACK_HOSTS).map(loopback_host).collect();
        let identity = Identity::for_names(&hosts.iter().map(String::as_str).collect::<Vec<_>>());
        std::fs::write(path, identity.pem()).expect("a certificate");
        identity
    });
    let scheme = if identity.is_some() { "https" } else { "http" };
    println!("{scheme}://127.0.0.1:{}/hook", listener.local_addr().expect("an address").port());
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        stream.set_nodelay(true).expect("an option");
        let (tells, identity) = (port.is_ok(), identity.clone());
        let work = move || match identity {
            Some(identity) => serve(identity.accept(stream), latency, tells),
            None => serve(stream, latency, tells),
        };
        std::thread::Builder::new().stack_size(256 * 1024).spawn(work).expect("a thread");
    }
}

fn serve(mut stream: impl Read + Write, latency: Duration, tells: bool) -> Option<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok";
    let (mut buffer, mut filled) = (vec![0; 16 * 1024], 0);
    loop {
        while let Some(length) = request_length(&buffer[..filled]) {
            buffer.copy_within(length..filled, 0);
            filled -= length;
            if !latency.is_zero() {
                std::thread::sleep(latency);
            }
            stream.write_all(ANSWER).ok()?;
            if tells {
                println!();
            }
        }
        let read = stream.read(&mut buffer[filled..]).ok()?;
        if read == 0 {
            return None;
        }
        filled += read;
    }
}

/// The length of the whole request that the bytes begin with, once it is all there.
fn request_length(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let body = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    })?;
    (bytes.len() >= head + body).then_some(head + body)
}

//! A receiver that costs little: a thread per kept-alive connection, one read and one write per request. It runs in a
//! process of its own, so that what it uses is not counted as the client's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running receiver process; ends with this value.
pub struct Receiver {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Receiver {
    /// Starts this very program again as a receiver that answers after `latency`.
    pub fn start(latency: Duration) -> Receiver {
        let program = std::env::current_exe().expect("this program");
        let mut child = Command::new(program)
            .env("BENCH_RECEIVER", latency.as_micros().to_string())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a receiver");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut url).expect("its address");
        Receiver { child, url: url.trim().to_owned() }
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
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    println!("http://{}/hook", listener.local_addr().expect("an address"));
    for stream in listener.incoming() {
        let stream = stream.expect("a connection");
        std::thread::Builder::new().stack_size(64 * 1024).spawn(move || serve(stream, latency)).expect("a thread");
    }
}

fn serve(mut stream: TcpStream, latency: Duration) -> Option<()> {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok";
    stream.set_nodelay(true).ok()?;
    let (mut buffer, mut filled) = (vec![0; 16 * 1024], 0);
    loop {
        while let Some(length) = request_length(&buffer[..filled]) {
            buffer.copy_within(length..filled, 0);
            filled -= length;
            if !latency.is_zero() {
                std::thread::sleep(latency);
            }
            stream.write_all(ANSWER).ok()?;
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

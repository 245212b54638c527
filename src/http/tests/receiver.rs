//! A receiver on loopback that counts its connections and requests and answers as a script says.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Whether the connection stays open after a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    KeepOpen,
    Close,
}

pub struct Receiver {
    port: u16,
    connections: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Receiver {
    /// Runs `serve` on a thread for every connection.
    pub fn raw(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Receiver {
            port: listener.local_addr().unwrap().port(),
            connections: Arc::default(),
            closed: Arc::default(),
            requests: Arc::default(),
        };
        let (connections, closed) = (Arc::clone(&receiver.connections), Arc::clone(&receiver.closed));
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                connections.fetch_add(1, Ordering::SeqCst);
                let (stream, serve, closed) = (stream.unwrap(), Arc::clone(&serve), Arc::clone(&closed));
                thread::spawn(move || {
                    serve(stream);
                    closed.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        receiver
    }

    /// Reads requests whole; `script` gets each with its number on its connection, from 1.
    pub fn start(script: impl Fn(&mut TcpStream, &str, usize) -> Then + Send + Sync + 'static) -> Receiver {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let receiver = Receiver::raw(move |mut stream| {
            let mut number = 0;
            while let Some(request) = read_request(&mut stream) {
                counted.fetch_add(1, Ordering::SeqCst);
                number += 1;
                if script(&mut stream, &request, number) == Then::Close {
                    return;
                }
            }
        });
        Receiver { requests, ..receiver }
    }

    /// Answers every request with these bytes and keeps the connection open.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Receiver {
        let answer = answer.into();
        Receiver::start(move |stream, _, _| {
            let _ = stream.write_all(&answer);
            Then::KeepOpen
        })
    }

    /// Answers with these bytes and closes the connection.
    pub fn answering_once(answer: impl Into<Vec<u8>>) -> Receiver {
        let answer = answer.into();
        Receiver::start(move |stream, _, _| {
            let _ = stream.write_all(&answer);
            Then::Close
        })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        self.url_at("127.0.0.1")
    }

    pub fn url_at(&self, host: &str) -> String {
        format!("http://{host}:{}/hook", self.port)
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until that many connections were closed from here.
    pub fn wait_for_closed(&self, count: usize) {
        while self.closed.load(Ordering::SeqCst) < count {
            thread::yield_now();
        }
    }

    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// One request with its body, as text; `None` when the connection ends.
pub fn read_request(stream: &mut impl Read) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if bytes.len() >= end + 4 + length.map_or(0, |length| length.parse().unwrap()) {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(amount) => bytes.extend_from_slice(&buffer[..amount]),
        }
    }
}

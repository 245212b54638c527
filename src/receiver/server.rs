//! Accepts connections, answers requests and queues them for the caller.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::answer::{self, After};
use super::connections::{Admission, Connections};
use super::request::{self, Refusal, Request};
use super::script::{self, Script};
use super::wire::Wire;
use crate::domain::message::Message;

/// The length of the queue. While it is full, connections wait before they read another request.
const BACKLOG: usize = 1024;

/// A running receiver; dropping it stops it.
pub struct Receiver {
    address: SocketAddr,
    requests: mpsc::Receiver<ReceivedRequest>,
    connections: Arc<Connections>,
    acceptor: Option<JoinHandle<()>>,
}

/// Forwards a request; an error is the reason why there is no answer.
pub type PassOn = dyn Fn(&Message) -> Result<PassedOn, String> + Send + Sync;

/// The answer to a forwarded request.
pub struct PassedOn {
    pub status: u16,
    pub answer: Vec<u8>,
    /// Whether the connection ends with it.
    pub ends: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedRequest {
    /// Counted from 1 over all connections, in order of arrival.
    pub number: u64,
    /// When its last byte arrived.
    pub received: Instant,
    pub message: Message,
    /// The status code of the answer.
    pub answered: u16,
    /// Why forwarding failed.
    pub not_passed_on: Option<String>,
}

impl Receiver {
    /// Binds the address (port 0: any free one) and answers by the script, or with what `pass_on` returns. A status code below
    /// 200 or above 999 in the script is `InvalidInput`.
    pub fn start(at: SocketAddr, script: Script, pass_on: Option<Box<PassOn>>) -> io::Result<Receiver> {
        if let Some(status) = script.respond.iter().find(|status| !script::is_final(**status)) {
            let message = format!("{status} cannot be answered: a status code is a number from 200 to 999");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let listener = TcpListener::bind(at)?;
        let address = listener.local_addr()?;
        let (deliver, requests) = mpsc::sync_channel(BACKLOG);
        let connections = Arc::new(Connections::default());
        let server = Server { script, pass_on, arrived: AtomicU64::new(0), connections: Arc::clone(&connections) };
        let acceptor = thread::Builder::new()
            .name("receiver".to_owned())
            .spawn(move || accept(&listener, &Arc::new(server), &deliver))?;
        Ok(Receiver { address, requests, connections, acceptor: Some(acceptor) })
    }

    #[cfg(test)]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its root URL, such as `http://127.0.0.1:8000/`.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The address to reach it at from this machine: loopback if it is bound to every address.
    pub fn local_address(&self) -> SocketAddr {
        let ip = match self.address.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        SocketAddr::new(ip, self.address.port())
    }

    /// The next answered request; waits for it up to the time-out. Malformed and too long requests are left out.
    pub fn recv_timeout(&self, wait: Duration) -> Option<ReceivedRequest> {
        self.requests.recv_timeout(wait).ok()
    }

    /// Closes every connection and the port.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.connections.end();
        // The acceptor blocks in accept; this connection wakes it.
        let woken = TcpStream::connect_timeout(&self.local_address(), Duration::from_millis(500)).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
    }
}

struct Server {
    script: Script,
    pass_on: Option<Box<PassOn>>,
    arrived: AtomicU64,
    connections: Arc<Connections>,
}

fn accept(listener: &TcpListener, server: &Arc<Server>, deliver: &SyncSender<ReceivedRequest>) {
    while !server.connections.are_ended() {
        let Ok((stream, _)) = listener.accept() else {
            // No file descriptor is free, or the sender has gone: neither stops the receiver.
            server.connections.still_open_after(Duration::from_millis(10));
            continue;
        };
        match server.connections.admit(&stream) {
            Admission::Served(key) => {
                let (serving, deliver) = (Arc::clone(server), deliver.clone());
                let thread = thread::Builder::new().name("connection".to_owned()).spawn(move || {
                    serving.serve(stream, &deliver);
                    serving.connections.forget(key);
                });
                if thread.is_err() {
                    server.connections.forget(key);
                }
            }
            Admission::Full => refuse(stream),
            Admission::Ended => return,
        }
    }
}

/// Answers 503 without reading the request. The sender may see a reset instead; either way it tries later.
fn refuse(stream: TcpStream) {
    if let Ok(mut wire) = Wire::new(stream) {
        let _ = wire.send(&answer::bytes(503, None, "POST", After::Close));
    }
}

impl Server {
    fn serve(&self, stream: TcpStream, deliver: &SyncSender<ReceivedRequest>) {
        let Ok(mut wire) = Wire::new(stream) else { return };
        loop {
            let request = match request::read(&mut wire) {
                Ok(request) => request,
                Err(Refusal::Gone) => return,
                Err(Refusal::Status(status)) => {
                    let _ = wire.send(&answer::bytes(status, None, "POST", After::Close));
                    return wire.close();
                }
            };
            let received = Instant::now();
            let number = self.arrived.fetch_add(1, Ordering::Relaxed) + 1;
            if !self.connections.still_open_after(self.script.delay) {
                return;
            }
            let Reply { status, bytes, after, not_passed_on } = self.reply(number, &request);
            let sent = wire.send(&bytes);
            let received =
                ReceivedRequest { number, received, message: request.message, answered: status, not_passed_on };
            // The request counts even if its sender has gone. Without a caller at the queue the receiver is stopping.
            if deliver.send(received).is_err() || sent.is_err() {
                return;
            }
            if after == After::Close {
                return wire.close();
            }
        }
    }

    fn reply(&self, number: u64, request: &Request) -> Reply {
        let (message, method) = (&request.message, request.message.method.as_str());
        let after = if request.keep_alive { After::KeepAlive } else { After::Close };
        let Some(pass_on) = &self.pass_on else {
            let status = self.script.status(number);
            let bytes = answer::bytes(status, self.script.retry_after_seconds(status), method, after);
            return Reply { status, bytes, after, not_passed_on: None };
        };
        match pass_on(message) {
            Ok(PassedOn { status, answer, ends }) => {
                let after = if ends { After::Close } else { after };
                Reply { status, bytes: answer, after, not_passed_on: None }
            }
            Err(why) => {
                let bytes = answer::bad_gateway(&why, method, after);
                Reply { status: 502, bytes, after, not_passed_on: Some(why) }
            }
        }
    }
}

struct Reply {
    status: u16,
    bytes: Vec<u8>,
    after: After,
    not_passed_on: Option<String>,
}

//! One connection of the receiver: its bytes, and the requests in them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Instant, SystemTime};

use rustls::{ServerConnection, StreamOwned};

use super::Recorded;

/// A connection with or without TLS.
pub enum Wire {
    Plain(TcpStream),
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

impl Wire {
    /// Says that no more comes.
    pub fn close(mut self) {
        match &mut self {
            Wire::Plain(stream) => drop(stream.shutdown(Shutdown::Write)),
            Wire::Tls(stream) => {
                stream.conn.send_close_notify();
                let _ = stream.flush();
                let _ = stream.sock.shutdown(Shutdown::Write);
            }
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.read(buffer),
            Wire::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Wire::Plain(stream) => stream.write(bytes),
            Wire::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Wire::Plain(stream) => stream.flush(),
            Wire::Tls(stream) => stream.flush(),
        }
    }
}

/// Reads until the sender closes, or the receiver stops.
pub fn hold(wire: &mut impl Read) {
    let mut chunk = [0; 1024];
    while wire.read(&mut chunk).is_ok_and(|count| count > 0) {}
}

/// The next request of a connection; without one, what came of it stays in `unread`.
pub fn read_request(
    wire: &mut Wire,
    unread: &mut Vec<u8>,
    connection: usize,
    on_connection: usize,
) -> Option<Recorded> {
    let mut request = loop {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut head = httparse::Request::new(&mut fields);
        if let httparse::Status::Complete(length) = head.parse(unread).ok()? {
            let request = Recorded {
                number: 0,
                at: Instant::now(),
                at_millis: 0,
                connection,
                on_connection,
                method: head.method?.to_owned(),
                path: head.path?.to_owned(),
                headers: head.headers.iter().map(|field| (field.name.to_owned(), field.value.to_vec())).collect(),
                body: Vec::new(),
                status: None,
            };
            unread.drain(..length);
            break request;
        }
        fill(wire, unread)?;
    };
    if request.header("expect").is_some() {
        wire.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
    }
    // What hookctl sends has a length; anything else is a finding.
    let length = match (request.header("content-length"), request.header("transfer-encoding")) {
        (Some(length), None) => length.parse().ok()?,
        (None, None) => 0,
        _ => return None,
    };
    while unread.len() < length {
        fill(wire, unread)?;
    }
    request.body = unread.drain(..length).collect();
    request.at = Instant::now();
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    request.at_millis = i64::try_from(since_1970.as_millis()).unwrap();
    Some(request)
}

fn fill(wire: &mut Wire, unread: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 16 * 1024];
    match wire.read(&mut chunk) {
        Ok(count) if count > 0 => unread.extend_from_slice(&chunk[..count]),
        _ => return None,
    }
    Some(())
}

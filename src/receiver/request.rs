//! Reads one request from a connection (RFC 9112).

use std::io;

use super::wire::Wire;
use crate::domain::message::{HeadError, Message};

/// The longest body, in bytes; a longer one is answered 413. Twice the largest payload.
pub const BODY_LIMIT: usize = 2 * 1024 * 1024;

/// The longest head, and the longest trailer section, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
const CHUNK_LINE_LIMIT: usize = 4 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub struct Request {
    pub message: Message,
    /// Whether the connection may be kept alive.
    pub keep_alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The sender closed the connection, or was idle between two requests for too long.
    Gone,
    /// It is answered with this status code, and the connection is closed.
    Status(u16),
}

/// For a request that ends early or too slowly.
impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Refusal {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Refusal::Status(400),
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Refusal::Status(408),
            _ => Refusal::Gone,
        }
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Refusal {
        match error {
            HeadError::TooManyHeaders => Refusal::Status(431),
            HeadError::Malformed => Refusal::Status(400),
        }
    }
}

/// Reads the next request, answering `Expect: 100-continue` on the way.
pub fn read(wire: &mut Wire) -> Result<Request, Refusal> {
    let mut message = read_head(wire)?;
    let framing = framing(&message)?;
    if expects_continue(&message)? && framing != Framing::Length(0) && wire.unread().is_empty() {
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    match framing {
        Framing::Length(length) => wire.take(length, &mut message.body)?,
        Framing::Chunked => message.body = read_chunks(wire)?,
    }
    Ok(Request { keep_alive: keep_alive(&message), message })
}

/// How the length of a body is given.
#[derive(Debug, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
}

/// RFC 9112, section 6.3. Both a length and a coding, or two lengths, are refused: they are used for request smuggling.
fn framing(head: &Message) -> Result<Framing, Refusal> {
    let codings: Vec<&[u8]> = head.values("transfer-encoding").collect();
    let lengths: Vec<&[u8]> = head.values("content-length").collect();
    match (&codings[..], &lengths[..]) {
        ([], []) => Ok(Framing::Length(0)),
        ([], [length, others @ ..]) if others.iter().all(|other| other == length) => body_length(length),
        ([coding], []) if head.version == 1 && coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([_], []) if head.version == 1 => Err(Refusal::Status(501)),
        _ => Err(Refusal::Status(400)),
    }
}

/// RFC 9110, section 10.1.1: an expectation in HTTP/1.0 is ignored, an unknown one refused.
fn expects_continue(head: &Message) -> Result<bool, Refusal> {
    let mut expectations = head.values("expect").filter(|_| head.version == 1);
    match expectations.next() {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => Ok(true),
        Some(_) => Err(Refusal::Status(417)),
    }
}

fn keep_alive(head: &Message) -> bool {
    let mut options = head.values("connection").flat_map(|value| value.split(|byte| *byte == b','));
    head.version == 1 && !options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

fn read_head(wire: &mut Wire) -> Result<Message, Refusal> {
    loop {
        if !wire.unread().is_empty()
            && let Some((head, length)) = parse_head(wire.unread())?
        {
            wire.consume(length);
            return Ok(head);
        }
        if wire.unread().len() >= HEAD_LIMIT {
            return Err(Refusal::Status(431));
        }
        match wire.fill() {
            Ok(0) | Err(_) if wire.unread().is_empty() => return Err(Refusal::Gone),
            Ok(0) => return Err(Refusal::Status(400)),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// A head and its length in bytes; `None` if it is not complete yet.
fn parse_head(bytes: &[u8]) -> Result<Option<(Message, usize)>, Refusal> {
    let Some((head, length)) = Message::read_head(bytes)? else { return Ok(None) };
    // RFC 9112, section 3.2: HTTP/1.1 needs exactly one Host.
    match (head.version, head.values("host").count()) {
        (_, 1) | (0, 0) => Ok(Some((head, length))),
        _ => Err(Refusal::Status(400)),
    }
}

fn body_length(digits: &[u8]) -> Result<Framing, Refusal> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Refusal::Status(400));
    }
    // A length that does not fit the type is longer than any body.
    let length = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(usize::MAX);
    match length {
        0..=BODY_LIMIT => Ok(Framing::Length(length)),
        _ => Err(Refusal::Status(413)),
    }
}

/// RFC 9112, section 7.1. Chunk extensions and trailer fields are read and dropped.
fn read_chunks(wire: &mut Wire) -> Result<Vec<u8>, Refusal> {
    let mut body = Vec::new();
    loop {
        let line = read_line(wire, CHUNK_LINE_LIMIT)?;
        let size = match httparse::parse_chunk_size(&line) {
            // The parser reads a line without a digit as 0.
            Ok(httparse::Status::Complete((_, size))) if line[0].is_ascii_hexdigit() => size,
            _ => return Err(Refusal::Status(400)),
        };
        if size == 0 {
            break;
        }
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > BODY_LIMIT - body.len() {
            return Err(Refusal::Status(413));
        }
        wire.take(size, &mut body)?;
        let mut end = Vec::new();
        wire.take(2, &mut end)?;
        if end != b"\r\n" {
            return Err(Refusal::Status(400));
        }
    }
    let mut trailers = 0;
    loop {
        let line = read_line(wire, HEAD_LIMIT)?;
        trailers += line.len();
        match line.as_slice() {
            b"\r\n" => return Ok(body),
            _ if trailers > HEAD_LIMIT => return Err(Refusal::Status(431)),
            _ => {}
        }
    }
}

/// The bytes up to and including the next CR LF, at most `limit`.
fn read_line(wire: &mut Wire, limit: usize) -> Result<Vec<u8>, Refusal> {
    let mut line = Vec::new();
    loop {
        if let Some(end) = wire.unread().windows(2).position(|pair| pair == b"\r\n") {
            wire.take(end + 2, &mut line)?;
            return Ok(line);
        }
        if wire.unread().len() >= limit {
            return Err(Refusal::Status(400));
        }
        if wire.fill()? == 0 {
            return Err(Refusal::Status(400));
        }
    }
}

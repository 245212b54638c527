//! How the receiver answers one request, rightly or wrongly.

use std::io::{self, Write};
use std::time::Duration;

/// One answer, or the lack of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer with a short body.
    Status(u16),
    /// An answer with these headers and this body.
    StatusWith { status: u16, headers: Vec<(String, String)>, body: Vec<u8> },
    /// An answer that comes late.
    StatusAfter(Duration, u16),
    /// An answer that waits for `TestReceiver::release`.
    WhenReleased(u16),
    /// A right answer that promises to keep the connection, which then closes at once.
    CloseAfterAnswer(u16),
    /// No answer; the connection stays open.
    Stall,
    /// Half of a status line, and then nothing; the connection stays open.
    StallInHead,
    /// A head that promises more body than comes; the connection stays open.
    StallInBody,
    /// No answer; the connection is reset.
    Reset,
    /// Half of a status line, then the connection is reset.
    ResetInHead,
    /// A head that promises more body than comes, then the connection is reset.
    ResetInBody,
    /// No answer; the connection closes.
    CloseBeforeAnswer,
    /// A 200 whose head comes one byte at a time, this far apart.
    DripHead(Duration),
    /// A 200 whose head comes at once and whose body of 1,000 bytes comes one byte at a time, this far apart.
    DripBody(Duration),
    /// A head that promises more body than comes, then the connection closes.
    ShortBody,
    /// A 200 with a body of that many bytes.
    HugeBody(u64),
    /// These bytes, then the connection closes.
    Raw(Vec<u8>),
}

/// What becomes of a connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It carries the next request.
    Keep,
    /// It closes in order.
    Close,
    /// It is reset.
    Reset,
    /// It stays open, and says nothing more.
    Hold,
}

impl Reply {
    /// An answer with one header.
    pub fn with_header(status: u16, name: &str, value: &str) -> Reply {
        Reply::StatusWith { status, headers: vec![(name.to_owned(), value.to_owned())], body: Vec::new() }
    }

    /// An answer with a body.
    pub fn with_body(status: u16, body: impl Into<Vec<u8>>) -> Reply {
        Reply::StatusWith { status, headers: Vec::new(), body: body.into() }
    }

    /// The status code of an answer that is whole, as far as it can be told.
    pub fn status(&self) -> Option<u16> {
        match self {
            Reply::Status(status)
            | Reply::StatusWith { status, .. }
            | Reply::StatusAfter(_, status)
            | Reply::WhenReleased(status)
            | Reply::CloseAfterAnswer(status) => Some(*status),
            Reply::DripHead(_) | Reply::DripBody(_) | Reply::HugeBody(_) => Some(200),
            _ => None,
        }
    }

    /// How long the answer waits.
    pub fn delay(&self) -> Duration {
        match self {
            Reply::StatusAfter(delay, _) => *delay,
            _ => Duration::ZERO,
        }
    }

    /// Writes it; `pause` waits between single bytes and fails when the receiver stops.
    pub fn write(&self, wire: &mut impl Write, pause: impl Fn(Duration) -> io::Result<()>) -> io::Result<Then> {
        const HALF_LINE: &[u8] = b"HTTP/1.1 20";
        const SHORT: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nnot all of it";
        match self {
            Reply::Status(status) | Reply::StatusAfter(_, status) | Reply::WhenReleased(status) => {
                wire.write_all(&whole(*status, &[], b"ok\n"))?;
            }
            Reply::StatusWith { status, headers, body } => wire.write_all(&whole(*status, headers, body))?,
            Reply::CloseAfterAnswer(status) => {
                let kept = ("Connection".to_owned(), "keep-alive".to_owned());
                wire.write_all(&whole(*status, &[kept], b"ok\n"))?;
                return Ok(Then::Close);
            }
            Reply::Stall => return Ok(Then::Hold),
            Reply::StallInHead => {
                wire.write_all(HALF_LINE)?;
                return Ok(Then::Hold);
            }
            Reply::StallInBody => {
                wire.write_all(SHORT)?;
                return Ok(Then::Hold);
            }
            Reply::Reset => return Ok(Then::Reset),
            Reply::ResetInHead => {
                wire.write_all(HALF_LINE)?;
                return Ok(Then::Reset);
            }
            Reply::ResetInBody => {
                wire.write_all(SHORT)?;
                return Ok(Then::Reset);
            }
            Reply::CloseBeforeAnswer => return Ok(Then::Close),
            Reply::DripHead(every) => drip(wire, &whole(200, &[], b"ok\n"), || pause(*every))?,
            Reply::DripBody(every) => {
                wire.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")?;
                drip(wire, &[b'.'; 1000], || pause(*every))?;
            }
            Reply::ShortBody => {
                wire.write_all(SHORT)?;
                return Ok(Then::Close);
            }
            Reply::HugeBody(length) => {
                write!(wire, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
                io::copy(&mut io::Read::take(io::repeat(b'x'), *length), wire)?;
            }
            Reply::Raw(bytes) => {
                wire.write_all(bytes)?;
                return Ok(Then::Close);
            }
        }
        Ok(Then::Keep)
    }
}

/// A whole answer in one piece.
fn whole(status: u16, headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    // RFC 9110, section 15.3.5 and 15.4.5: these have no body.
    let body = if matches!(status, 204 | 304) { b"" } else { body };
    let mut answer = format!("HTTP/1.1 {status} Told\r\n").into_bytes();
    for (name, value) in headers {
        answer.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !matches!(status, 204 | 304) {
        answer.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    answer.extend_from_slice(b"\r\n");
    answer.extend_from_slice(body);
    answer
}

fn drip(wire: &mut impl Write, bytes: &[u8], pause: impl Fn() -> io::Result<()>) -> io::Result<()> {
    for byte in bytes {
        wire.write_all(&[*byte])?;
        wire.flush()?;
        pause()?;
    }
    Ok(())
}

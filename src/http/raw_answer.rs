//! Reads one HTTP answer and keeps its raw bytes.

use std::io::{self, ErrorKind, Read};

use crate::domain::text::whole_number;

/// The longest head, chunk line or trailer line, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
/// The longest answer, in bytes.
const ANSWER_LIMIT: usize = 8 * 1024 * 1024;
const HEADER_LIMIT: usize = 256;

/// One answer, without the interim answers (1xx) before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawAnswer {
    pub status: u16,
    /// The raw head and body.
    pub bytes: Vec<u8>,
    /// The decoded body.
    pub body: Vec<u8>,
    /// Whether the connection ends with the answer: the head says so, or the body has no length.
    pub ends: bool,
}

/// Reads the answer to a request of that method.
pub fn read(stream: &mut impl Read, method: &str) -> io::Result<RawAnswer> {
    let mut input = Input { stream, bytes: Vec::new() };
    let head = loop {
        let head = input.head()?;
        match head.status {
            101 => return Err(bad("it switched to another protocol")),
            100..=199 => drop(input.bytes.drain(..head.length)),
            _ => break head,
        }
    };
    let start = head.length;
    let (body, ends) = match head.framing(method)? {
        Framing::Length(length) => {
            input.fill_to(start + length)?;
            input.bytes.truncate(start + length);
            (input.bytes[start..].to_vec(), head.is_last)
        }
        Framing::Chunked => (input.chunks(start)?, head.is_last),
        Framing::Close => {
            while input.more()? {}
            (input.bytes[start..].to_vec(), true)
        }
    };
    Ok(RawAnswer { status: head.status, bytes: input.bytes, body, ends })
}

enum Framing {
    Length(usize),
    Chunked,
    /// Until the connection is closed.
    Close,
}

struct Head {
    status: u16,
    version: u8,
    length: usize,
    lengths: Vec<Vec<u8>>,
    codings: Vec<Vec<u8>>,
    is_last: bool,
}

impl Head {
    fn parse(bytes: &[u8]) -> io::Result<Option<Head>> {
        let mut fields = [httparse::EMPTY_HEADER; HEADER_LIMIT];
        let mut parsed = httparse::Response::new(&mut fields);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(error) => return Err(bad(&format!("what it answered is not HTTP/1.1: {error}"))),
        };
        let version = parsed.version.unwrap_or(0);
        let values = |name: &str| -> Vec<Vec<u8>> {
            let named = parsed.headers.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
            named.map(|field| field.value.trim_ascii().to_vec()).collect()
        };
        let closes = |value: &Vec<u8>| {
            value.split(|byte| *byte == b',').any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
        };
        Ok(Some(Head {
            status: parsed.code.unwrap_or(0),
            version,
            length,
            lengths: values("content-length"),
            codings: values("transfer-encoding"),
            is_last: version == 0 || values("connection").iter().any(closes),
        }))
    }

    /// RFC 9112, section 6.3. An answer with an ambiguous length is refused.
    fn framing(&self, method: &str) -> io::Result<Framing> {
        if method == "HEAD" || matches!(self.status, 204 | 304) {
            return Ok(Framing::Length(0));
        }
        match (&self.codings[..], &self.lengths[..]) {
            ([], []) => Ok(Framing::Close),
            ([], [first, others @ ..]) if others.iter().all(|other| other == first) => {
                let length = std::str::from_utf8(first).ok().and_then(whole_number);
                let length = length.ok_or_else(|| bad("its Content-Length is not a number"))?;
                if length > ANSWER_LIMIT { Err(too_long()) } else { Ok(Framing::Length(length)) }
            }
            ([coding], []) if self.version == 1 && coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
            _ => Err(bad("its headers do not agree on where its body ends")),
        }
    }
}

struct Input<'a, S> {
    stream: &'a mut S,
    bytes: Vec<u8>,
}

impl<S: Read> Input<'_, S> {
    fn head(&mut self) -> io::Result<Head> {
        loop {
            if let Some(head) = Head::parse(&self.bytes)? {
                return Ok(head);
            }
            if self.bytes.len() > HEAD_LIMIT {
                return Err(bad("the head of its answer is too long"));
            }
            self.need_more()?;
        }
    }

    /// Reads chunks and trailers from `start` on; returns the decoded body.
    fn chunks(&mut self, start: usize) -> io::Result<Vec<u8>> {
        let (mut body, mut at) = (Vec::new(), start);
        loop {
            let line = self.line(at)?;
            let size = match httparse::parse_chunk_size(&self.bytes[at..line]) {
                // The parser reads a line without a digit as 0.
                Ok(httparse::Status::Complete((_, size))) if self.bytes[at].is_ascii_hexdigit() => size,
                _ => return Err(bad("a chunk of its answer has no size")),
            };
            at = line;
            if size == 0 {
                break;
            }
            let size = usize::try_from(size).ok().filter(|size| *size <= ANSWER_LIMIT).ok_or_else(too_long)?;
            self.fill_to(at + size + 2)?;
            body.extend_from_slice(&self.bytes[at..at + size]);
            at += size + 2;
            if !self.bytes[..at].ends_with(b"\r\n") {
                return Err(bad("a chunk of its answer has another size than it says"));
            }
        }
        loop {
            let line = self.line(at)?;
            let is_empty = line == at + 2;
            at = line;
            if is_empty {
                self.bytes.truncate(at);
                return Ok(body);
            }
        }
    }

    /// The end of the line that begins at `at`, with its CR LF.
    fn line(&mut self, at: usize) -> io::Result<usize> {
        loop {
            if let Some(end) = self.bytes[at..].windows(2).position(|pair| pair == b"\r\n") {
                return Ok(at + end + 2);
            }
            if self.bytes.len() - at > HEAD_LIMIT {
                return Err(bad("a line of its answer is too long"));
            }
            self.need_more()?;
        }
    }

    fn fill_to(&mut self, length: usize) -> io::Result<()> {
        while self.bytes.len() < length {
            self.need_more()?;
        }
        Ok(())
    }

    fn need_more(&mut self) -> io::Result<()> {
        if self.more()? { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
    }

    /// Reads more bytes; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        let mut chunk = [0; 16 * 1024];
        let count = loop {
            match self.stream.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.bytes.extend_from_slice(&chunk[..count]);
        if self.bytes.len() > ANSWER_LIMIT + 2 * HEAD_LIMIT {
            return Err(too_long());
        }
        Ok(count > 0)
    }
}

fn bad(reason: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}

fn too_long() -> io::Error {
    bad(&format!("its answer has more than {ANSWER_LIMIT} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the bytes in pieces of that size.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len());
            buffer[..count].copy_from_slice(&self.0[..count]);
            self.0 = &self.0[count..];
            Ok(count)
        }
    }

    fn answer(bytes: &str, method: &str) -> Result<RawAnswer, String> {
        let whole = read(&mut Pieces(bytes.as_bytes(), 16 * 1024), method);
        let dripped = read(&mut Pieces(bytes.as_bytes(), 1), method);
        let text = |result: io::Result<RawAnswer>| result.map_err(|error| error.to_string());
        let (whole, dripped) = (text(whole), text(dripped));
        assert_eq!(whole, dripped, "{bytes}");
        whole
    }

    #[test]
    fn an_answer_is_kept_as_it_came_and_what_follows_is_none_of_it() {
        for (head, body, text, ends) in [
            ("HTTP/1.1 200 Fine\r\nx-A: b\r\nX-a:c\r\nContent-Length: 3\r\n\r\n", "abc", "abc", false),
            ("HTTP/1.1 201 \r\nConnection: TE, Close\r\nContent-Length: 0\r\n\r\n", "", "", true),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "3;a=b\r\nabc\r\n0\r\nT: r\r\n\r\n",
                "abc",
                false,
            ),
            ("HTTP/1.1 204 No Content\r\n\r\n", "", "", false),
            ("HTTP/1.0 500 Oh\r\nContent-Length: 1\r\n\r\n", "x", "x", true),
        ] {
            let found =
                answer(&format!("HTTP/1.1 100 Continue\r\n\r\n{head}{body}HTTP/1.1 500 Smuggled\r\n\r\n"), "POST")
                    .unwrap();
            assert_eq!(
                (found.bytes, found.body, found.ends),
                ((head.to_owned() + body).into_bytes(), text.into(), ends)
            );
        }
        let closed = answer("HTTP/1.1 200 OK\r\n\r\nto the end", "POST").unwrap();
        assert_eq!((closed.body, closed.ends), (b"to the end".to_vec(), true));
        assert_eq!(answer("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD").unwrap().body, b"");
    }

    #[test]
    fn an_answer_that_has_no_clear_end_is_an_error() {
        for (bytes, reason) in [
            ("", "unexpected end of file"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", "unexpected end of file"),
            ("SSH-2.0-x\r\n\r\n", "what it answered is not HTTP/1.1: invalid HTTP version"),
            ("HTTP/1.1 101 Other\r\n\r\n", "it switched to another protocol"),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
                "its headers do not agree on where its body ends",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                "its headers do not agree on where its body ends",
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na", "its Content-Length is not a number"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\na", "its answer has more than 8388608 bytes"),
            ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "a chunk of its answer has no size"),
            (
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc0\r\n\r\n",
                "a chunk of its answer has another size than it says",
            ),
        ] {
            assert_eq!(answer(bytes, "POST").unwrap_err(), reason, "{bytes}");
        }
    }
}

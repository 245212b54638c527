//! A request as it is on the wire, kept so that it can be sent again byte for byte.

use super::signature::{Header, parse_header};
use super::text::whole_number;

/// The most header lines of a request.
const HEADER_LIMIT: usize = 256;

/// One request. What it is sent as differs from what came in two points: every line ends with CR LF, and a chunked body is
/// one chunk, without extensions and trailers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// In the sender's spelling.
    pub method: String,
    /// Path and query as a rule.
    pub target: String,
    /// The minor version of HTTP/1: 0 or 1.
    pub version: u8,
    /// The header lines as they came, without their ends; each is a header by RFC 9112.
    pub lines: Vec<Vec<u8>>,
    /// Without its transfer coding.
    pub body: Vec<u8>,
}

/// Why bytes are no head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    #[error("more than {HEADER_LIMIT} headers")]
    TooManyHeaders,
    #[error("not the head of an HTTP/1.1 request")]
    Malformed,
}

/// The headers say in no one way where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Content-Length and Transfer-Encoding do not agree on where the body ends")]
pub struct Unframed;

impl Message {
    /// Reads a whole head, and how long it is with its last line; `None` while it is not complete. The body is empty.
    pub fn read_head(bytes: &[u8]) -> Result<Option<(Message, usize)>, HeadError> {
        let mut fields = [httparse::EMPTY_HEADER; HEADER_LIMIT];
        let mut parsed = httparse::Request::new(&mut fields);
        let length = match parsed.parse(bytes) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(httparse::Error::TooManyHeaders) => return Err(HeadError::TooManyHeaders),
            Err(_) => return Err(HeadError::Malformed),
        };
        let (Some(method), Some(target), Some(version)) = (parsed.method, parsed.path, parsed.version) else {
            return Err(HeadError::Malformed);
        };
        // Empty lines before a request are passed over (RFC 9112, section 2.2).
        let start = bytes.iter().position(|byte| !b"\r\n".contains(byte)).unwrap_or(0);
        let lines = bytes[start..length].split(|byte| *byte == b'\n').skip(1);
        let lines = lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line).to_vec());
        let message = Message {
            method: method.to_owned(),
            target: target.to_owned(),
            version,
            lines: lines.take_while(|line| !line.is_empty()).collect(),
            body: Vec::new(),
        };
        Ok(Some((message, length)))
    }

    /// Name and value of each header, in order.
    pub fn headers(&self) -> Vec<Header> {
        self.lines.iter().filter_map(|line| parse_header(line)).collect()
    }

    /// The values of the headers of that name, in any case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.lines.iter().map(|line| split(line)).filter(move |(known, _)| is_same(known, name)).map(|(_, value)| value)
    }

    /// Gives a header this value: in the line where it is, as its name is written there; else in a new line at the end.
    /// Further lines of the name go.
    pub fn set(&mut self, name: &str, value: &str) {
        let is_set = |line: &[u8]| is_same(split(line).0, name);
        match self.lines.iter().position(|line| is_set(line)) {
            Some(first) => {
                let written = [split(&self.lines[first]).0, b": ", value.as_bytes()].concat();
                self.lines[first] = written;
                let mut index = 0;
                self.lines.retain(|line| {
                    index += 1;
                    index <= first + 1 || !is_set(line)
                });
            }
            None => self.lines.push(format!("{name}: {value}").into_bytes()),
        }
    }

    /// Gives every header whose name is meant this value.
    pub fn overwrite(&mut self, is_meant: impl Fn(&str) -> bool, value: &str) {
        for line in &mut self.lines {
            let (name, _) = split(line);
            if is_meant(&String::from_utf8_lossy(name)) {
                *line = [name, b": ", value.as_bytes()].concat();
            }
        }
    }

    /// Takes out the headers that are unwanted by name and value; their names.
    pub fn remove(&mut self, mut is_unwanted: impl FnMut(&str, &[u8]) -> bool) -> Vec<String> {
        let mut removed = Vec::new();
        self.lines.retain(|line| {
            let (name, value) = split(line);
            let name = String::from_utf8_lossy(name);
            let goes = is_unwanted(&name, value);
            if goes {
                removed.push(name.into_owned());
            }
            !goes
        });
        removed
    }

    /// The bytes to send. The length is set right; of several lines with a length one is left, which is what RFC 9112,
    /// section 6.3, asks of whoever passes a request on.
    pub fn wire(&self) -> Result<Vec<u8>, Unframed> {
        let mut framed = self.clone();
        let codings: Vec<&[u8]> = self.values("transfer-encoding").collect();
        let lengths: Vec<&[u8]> = self.values("content-length").collect();
        let is_chunked = match (&codings[..], &lengths[..]) {
            ([], []) if self.body.is_empty() => false,
            ([], [length]) if is_length(length, self.body.len()) => false,
            ([], _) => {
                let first = lengths.first().filter(|length| is_length(length, self.body.len()));
                let right =
                    first.map_or_else(|| self.body.len().to_string(), |as_is| String::from_utf8_lossy(as_is).into());
                framed.set("Content-Length", &right);
                false
            }
            ([coding], []) if self.version == 1 && coding.eq_ignore_ascii_case(b"chunked") => true,
            _ => return Err(Unframed),
        };
        let mut bytes = format!("{} {} HTTP/1.{}\r\n", self.method, self.target, self.version).into_bytes();
        for line in &framed.lines {
            bytes.extend_from_slice(line);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"\r\n");
        match is_chunked {
            false => bytes.extend_from_slice(&self.body),
            true if self.body.is_empty() => bytes.extend_from_slice(b"0\r\n\r\n"),
            true => {
                bytes.extend_from_slice(format!("{:x}\r\n", self.body.len()).as_bytes());
                bytes.extend_from_slice(&self.body);
                bytes.extend_from_slice(b"\r\n0\r\n\r\n");
            }
        }
        Ok(bytes)
    }
}

fn is_length(value: &[u8], length: usize) -> bool {
    std::str::from_utf8(value).ok().and_then(whole_number) == Some(length)
}

/// Name and value of a header line, the value without blanks around it.
fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let colon = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
    let value = line.get(colon + 1..).unwrap_or_default();
    (&line[..colon], value.trim_ascii())
}

fn is_same(known: &[u8], name: &str) -> bool {
    known.eq_ignore_ascii_case(name.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(head: &str, body: &[u8]) -> Message {
        let (message, length) = Message::read_head(head.as_bytes()).unwrap().unwrap();
        assert_eq!(length, head.len());
        Message { body: body.to_vec(), ..message }
    }

    fn wire(head: &str, body: &[u8]) -> String {
        message(head, body).wire().unwrap().escape_ascii().to_string()
    }

    #[test]
    fn order_case_blanks_and_duplicates_of_headers_stay() {
        let head = "PATCH /a?b HTTP/1.1\r\nhOsT: x\r\nX-A:b\r\nx-a: \t c\t\r\ncontent-LENGTH:  3\r\nEmpty:\r\n\r\n";
        assert_eq!(message(head, b"\x00\r\n").wire().unwrap(), [head.as_bytes(), b"\x00\r\n"].concat());
        let message = message(head, b"");
        assert_eq!(message.values("X-A").collect::<Vec<_>>(), [b"b", b"c"]);
        assert_eq!(message.headers()[1], ("X-A".to_owned(), b"b".to_vec()));
    }

    #[test]
    fn the_length_is_that_of_the_body() {
        let head = |lines: &str| format!("POST / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
        let sent = |lines: &str, body: &str| wire(&head(lines), body.as_bytes());
        let expected = |lines: &str, body: &str| (head(lines) + body).as_bytes().escape_ascii().to_string();
        assert_eq!(sent("content-length: 2\r\nA: b\r\n", "abc"), expected("content-length: 3\r\nA: b\r\n", "abc"));
        assert_eq!(sent("Content-Length:3\r\nContent-Length: 3\r\n", "abc"), expected("Content-Length: 3\r\n", "abc"));
        assert_eq!(sent("", "abc"), expected("Content-Length: 3\r\n", "abc"));
        assert_eq!(sent("", ""), expected("", ""));
        assert_eq!(sent("Content-Length: 0003\r\n", "abc"), expected("Content-Length: 0003\r\n", "abc"));
        let chunked = "Transfer-Encoding: Chunked\r\n";
        assert_eq!(sent(chunked, "0123456789abcdef!"), expected(chunked, "11\r\n0123456789abcdef!\r\n0\r\n\r\n"));
        assert_eq!(sent(chunked, ""), expected(chunked, "0\r\n\r\n"));
    }

    #[test]
    fn what_two_readers_could_split_in_two_ways_is_not_sent() {
        for head in [
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        ] {
            assert_eq!(message(head, b"abc").wire(), Err(Unframed), "{head}");
        }
        for head in [
            "POST / HTTP/1.1\r\nA: b\rC: d\r\n\r\n",
            "POST / HTTP/1.1\r\nA: b\r\n c\r\n\r\n",
            "POST / HTTP/1.1\nA : b\n\n",
        ] {
            assert_eq!(Message::read_head(head.as_bytes()), Err(HeadError::Malformed), "{head}");
        }
    }

    #[test]
    fn a_header_is_set_where_it_is() {
        let mut message = message("POST / HTTP/1.1\nA: 1\nx-SIG: 2\nB: 3\nX-Sig: 4\n\n", b"");
        message.set("X-Sig", "new");
        message.set("C", "5");
        assert_eq!(message.remove(|name, _| name == "B"), ["B"]);
        assert_eq!(message.lines, [&b"A: 1"[..], b"x-SIG: new", b"C: 5"]);
    }
}

//! Recorded requests: front matter, an empty line, the request as it was received, and a line feed.
//!
//! ```text
//! hookctl-recording: 1
//! received: 2026-11-26T09:00:00.123Z
//! at: http://127.0.0.1:8000
//! answered: 200
//!
//! POST /hooks HTTP/1.1
//! Host: 127.0.0.1:8000
//! Content-Length: 12
//!
//! {"paid":1.0}
//! ```
//!
//! The lines of the head end with a line feed, which stands for the CR LF that was sent. The body is what was sent, and
//! the last line feed of the file is none of it: editors want one there, and a file without it was cut off.

use super::message::{HeadError, Message};
use super::time::Timestamp;

/// What stands for the value of a header that was not recorded.
pub const MASKED: &str = "[masked]";

const FORMAT: &str = "hookctl-recording";
const VERSION: &str = "1";

/// Name and value of one line of the front matter.
pub type Field = (String, String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    pub received: Timestamp,
    /// Where it was received, `http://HOST:PORT`.
    pub at: String,
    /// Other lines of the front matter.
    pub notes: Vec<Field>,
    pub request: Message,
}

/// Why a file is no recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordingError {
    #[error("not a recording: it does not begin with `{FORMAT}: {VERSION}`")]
    Format,
    #[error("of format {0}, and this hookctl knows {VERSION}")]
    Newer(String),
    #[error("line {0} is not a line of front matter; write `name: value`, and an empty line after the last")]
    Line(usize),
    #[error("its front matter has no line `{0}: …`")]
    Missing(&'static str),
    #[error("the time in `received: {0}` is not RFC 3339")]
    Time(String),
    #[error("its request cannot be read: {0}")]
    Head(#[from] HeadError),
    #[error("cut off: its request has no end")]
    CutOff,
}

impl Recording {
    pub fn parse(bytes: &[u8]) -> Result<Recording, RecordingError> {
        let (fields, request) = front_matter(bytes)?;
        let field = |name: &'static str| {
            let value = fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
            value.ok_or(RecordingError::Missing(name))
        };
        let received = field("received")?;
        let received = Timestamp::parse_rfc3339(&received).ok_or(RecordingError::Time(received))?;
        let at = field("at")?;
        let (head, length) = Message::read_head(request)?.ok_or(RecordingError::CutOff)?;
        let body = request[length..].strip_suffix(b"\n").ok_or(RecordingError::CutOff)?;
        let notes = fields.into_iter().filter(|(name, _)| !matches!(name.as_str(), FORMAT | "received" | "at"));
        Ok(Recording { received, at, notes: notes.collect(), request: Message { body: body.to_vec(), ..head } })
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let Message { method, target, version, lines, body } = &self.request;
        let mut head = format!("{FORMAT}: {VERSION}\nreceived: {}\nat: {}\n", self.received.rfc3339(), self.at);
        for (name, value) in &self.notes {
            head.push_str(&format!("{name}: {value}\n"));
        }
        head.push_str(&format!("\n{method} {target} HTTP/1.{version}\n"));
        let mut bytes = head.into_bytes();
        for line in lines {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        bytes.push(b'\n');
        bytes.extend_from_slice(body);
        bytes.push(b'\n');
        bytes
    }

    /// Replaces credentials by [`MASKED`].
    pub fn mask(&mut self) {
        self.request.overwrite(is_credential, MASKED);
    }
}

/// The lines up to the first empty one, and what follows it.
fn front_matter(bytes: &[u8]) -> Result<(Vec<Field>, &[u8]), RecordingError> {
    let mut fields = Vec::new();
    let mut rest = bytes;
    for number in 1.. {
        let end = rest.iter().position(|byte| *byte == b'\n').ok_or(RecordingError::CutOff);
        let end = if number == 1 { end.map_err(|_| RecordingError::Format)? } else { end? };
        let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
        rest = &rest[end + 1..];
        if number > 1 && line.is_empty() {
            break;
        }
        let field = std::str::from_utf8(line).ok().and_then(|line| line.split_once(':'));
        let field = field.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()));
        match (number, field) {
            (1, Some((name, version))) if name == FORMAT && version == VERSION => {}
            (1, Some((name, version))) if name == FORMAT => return Err(RecordingError::Newer(version)),
            (1, _) => return Err(RecordingError::Format),
            (_, Some(field)) => fields.push(field),
            (_, None) => return Err(RecordingError::Line(number)),
        }
    }
    Ok((fields, rest))
}

/// Whether a header of this name carries a credential. A signature is not one: it is valid for one request.
pub fn is_credential(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words: Vec<&str> = name.split(['-', '_', '.']).collect();
    let is_secret = |word: &&str| {
        matches!(
            *word,
            "authorization" | "cookie" | "token" | "apikey" | "secret" | "password" | "passwd" | "credential"
        )
    };
    let is_key = |pair: &[&str]| matches!(pair, ["api" | "access" | "auth" | "subscription", "key"]);
    words.iter().any(is_secret) || words.windows(2).any(is_key) || matches!(words[..], ["x", "auth"])
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "hookctl-recording: 1\nreceived: 2026-11-26T09:00:00.123Z\nat: http://127.0.0.1:8000\nnote: a: b\n\n\
        POST /hooks HTTP/1.1\nHost: x\nX-Odd:  b \n\n{\r\n}\n\n";

    #[test]
    fn a_recording_is_read_as_it_was_written() {
        let recording = Recording::parse(FILE.as_bytes()).unwrap();
        assert_eq!(recording.request.body, b"{\r\n}\n");
        assert_eq!(recording.request.lines, [&b"Host: x"[..], b"X-Odd:  b "]);
        assert_eq!(recording.notes, [("note".to_owned(), "a: b".to_owned())]);
        assert_eq!(recording.to_bytes(), FILE.as_bytes());
        for body in [&b""[..], b"\n", b"\r\n\r\n", b"\x00\xff\n\n", b"no end"] {
            let request = Message { body: body.to_vec(), ..recording.request.clone() };
            let written = Recording { request, ..recording.clone() };
            assert_eq!(Recording::parse(&written.to_bytes()).unwrap(), written);
        }
    }

    #[test]
    fn an_editor_may_write_other_line_ends_into_the_head() {
        let head = FILE.replace('\n', "\r\n");
        assert_eq!(Recording::parse(head.as_bytes()).unwrap().request.lines, [&b"Host: x"[..], b"X-Odd:  b "]);
    }

    #[test]
    fn what_is_no_whole_recording_is_refused() {
        let error = |text: &str| Recording::parse(text.as_bytes()).unwrap_err();
        for text in ["", "\n", "POST / HTTP/1.1\n\n", "hookctl-recording: 1", "hookctl-recording"] {
            assert_eq!(error(text), RecordingError::Format, "{text}");
        }
        assert_eq!(error(&FILE.replacen(": 1", ": 2", 1)), RecordingError::Newer("2".to_owned()));
        assert_eq!(error(&FILE.replace("note: a: b", "note")), RecordingError::Line(4));
        assert_eq!(error(&FILE.replace("at: ", "to: ")), RecordingError::Missing("at"));
        assert_eq!(
            error(&FILE.replace("2026-11-26T", "26.11. ")),
            RecordingError::Time("26.11. 09:00:00.123Z".to_owned())
        );
        assert_eq!(error(&FILE.replace("POST /", "POST  ")), RecordingError::Head(HeadError::Malformed));
        for length in 21..FILE.len() - 7 {
            assert!(Recording::parse(&FILE.as_bytes()[..length]).is_err(), "{length}");
        }
        assert_eq!(error(FILE.trim_end()), RecordingError::CutOff);
    }

    #[test]
    fn credentials_are_masked_and_signatures_are_not() {
        for name in [
            "Authorization",
            "proxy-authorization",
            "Cookie",
            "X-Api-Key",
            "api_key",
            "X-Gitlab-Token",
            "Set-Cookie",
            "ApiKey",
            "X-Auth",
            "X-Auth-Key",
            "X-Client-Secret",
            "Ocp-Apim-Subscription-Key",
        ] {
            assert!(is_credential(name), "{name}");
        }
        for name in [
            "X-Webhook-Signature",
            "webhook-id",
            "Stripe-Signature",
            "X-Hub-Signature-256",
            "Idempotency-Key",
            "Content-Type",
            "X-Shopify-Hmac-Sha256",
            "X-Key",
            "Tokens-Left",
            "X-Auth-Timestamp",
            "Host",
        ] {
            assert!(!is_credential(name), "{name}");
        }
        let file = FILE.replace("Host: x", "Host: x\nAUTHORIZATION: Bearer s\nauthorization: Basic t");
        let mut recording = Recording::parse(file.as_bytes()).unwrap();
        recording.mask();
        assert_eq!(
            recording.to_bytes(),
            FILE.replace("Host: x", "Host: x\nAUTHORIZATION: [masked]\nauthorization: [masked]").as_bytes()
        );
    }
}

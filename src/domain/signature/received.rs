//! The headers of a request as people save them: an HTTP head, or a JSON object.

use serde::Deserialize;

use crate::domain::custom_headers::is_token;
use crate::domain::members::Members;

/// A header: its name, and its value as bytes, without blanks around it.
pub type Header = (String, Vec<u8>);

/// Why a text holds no headers.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HeadersError {
    /// A line of a head that is no header.
    #[error("line {0} is not a header; write `Name: value`")]
    Line(usize),
    /// Begins with a brace, but is no JSON object of headers.
    #[error("not a JSON object of headers, at line {line} column {column}; write {{\"Name\": \"value\"}}")]
    Json { line: usize, column: usize },
}

/// Reads the headers of an HTTP head, as `curl -i` saves it, or of a JSON object `{"Name": "value"}`.
///
/// A head may begin with a status or request line, ends at the first blank line, and has CRLF or LF line ends;
/// interim answers (1xx) before it are passed over. In JSON a value may be a list, a whole number, or null for none.
/// Names are kept as they are, repeated ones included.
pub fn parse_headers(text: &[u8]) -> Result<Vec<Header>, HeadersError> {
    // Some editors and shells put a byte order mark before what they save.
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match text.trim_ascii_start() {
        [b'{', ..] => parse_json(text),
        _ => parse_head(text),
    }
}

/// Reads `Name: value`, the value without spaces and tabs around it; `None` when it is no header.
///
/// A blank before the colon and a folded line are refused, as RFC 9112 section 5 has it. The value may be any bytes here:
/// one that no request can carry is malformed when a scheme reads it.
pub fn parse_header(line: &[u8]) -> Option<Header> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = str::from_utf8(&line[..colon]).ok().filter(|name| is_token(name))?;
    let value = trim_blanks(&line[colon + 1..]);
    Some((name.to_owned(), value.to_vec()))
}

fn parse_head(text: &[u8]) -> Result<Vec<Header>, HeadersError> {
    let mut headers = Vec::new();
    let mut interim = false;
    let mut first_of_head = true;
    for (number, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let starts_head = std::mem::replace(&mut first_of_head, false);
        if line.is_empty() && interim {
            interim = false;
            first_of_head = true;
        } else if line.is_empty() {
            break;
        } else if starts_head && is_start_line(line) {
            interim = is_interim(line);
        } else {
            let header = parse_header(line).ok_or(HeadersError::Line(number + 1))?;
            if !interim {
                headers.push(header);
            }
        }
    }
    Ok(headers)
}

/// A status line (`HTTP/1.1 200 OK`) or a request line (`POST /hook HTTP/1.1`); `Upgrade: HTTP/2.0` is a header.
fn is_start_line(line: &[u8]) -> bool {
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    (line.starts_with(b"HTTP/") || last.starts_with(b"HTTP/")) && parse_header(line).is_none()
}

fn is_interim(line: &[u8]) -> bool {
    line.starts_with(b"HTTP/") && line.split(|byte| *byte == b' ').nth(1).is_some_and(|status| status.starts_with(b"1"))
}

/// Without the optional whitespace around it: spaces and tabs (RFC 9110 section 5.6.3).
fn trim_blanks(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

fn parse_json(text: &[u8]) -> Result<Vec<Header>, HeadersError> {
    let Members(fields) = serde_json::from_slice::<Members<Value>>(text)
        .map_err(|error| HeadersError::Json { line: error.line(), column: error.column() })?;
    let mut headers = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        match value {
            Value::Text(text) => headers.push((name, text.into_bytes())),
            Value::Number(number) => headers.push((name, number.to_string().into_bytes())),
            Value::None(()) => {}
            Value::List(texts) => headers.extend(texts.into_iter().map(|text| (name.clone(), text.into_bytes()))),
        }
    }
    Ok(headers)
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Value {
    Text(String),
    Number(u64),
    None(()),
    List(Vec<String>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Vec<(String, String)> {
        let text_of = |value| String::from_utf8(value).unwrap();
        parse_headers(text.as_bytes()).unwrap().into_iter().map(|(name, value)| (name, text_of(value))).collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_head_is_read_with_either_line_end_and_without_its_first_line_or_body() {
        let expected = pairs(&[("Content-Type", "text/plain"), ("X-Signature", "a: b"), ("X-Empty", "")]);
        let head = "Content-Type: text/plain\nX-Signature:\t a: b \nX-Empty:\n\nBody: no header";
        assert_eq!(parsed(head), expected);
        assert_eq!(parsed(&format!("POST /hook HTTP/1.1\n{head}")), expected);
        assert_eq!(parsed(&format!("HTTP/2 200 \n{head}").replace('\n', "\r\n")), expected);
        assert_eq!(
            parsed("X-Signature: last line without an end"),
            pairs(&[("X-Signature", "last line without an end")])
        );
        assert_eq!(parsed(""), []);
        assert_eq!(parsed("X-Signature: HTTP/1.1\nA: b"), pairs(&[("X-Signature", "HTTP/1.1"), ("A", "b")]));
        assert_eq!(parsed("CONNECT a.example:443 HTTP/1.1\nA: b"), pairs(&[("A", "b")]));
    }

    #[test]
    fn an_interim_answer_is_passed_over() {
        let head = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-Signature: y\r\n\r\nbody";
        assert_eq!(parsed(head), pairs(&[("X-Signature", "y")]));
    }

    #[test]
    fn a_json_object_is_read_with_lists_numbers_and_repeated_names() {
        let json = r#" {"webhook-id": "evt_1", "webhook-timestamp": 1614265330, "A": ["1", "2"], "A": "3"}"#;
        let expected =
            [("webhook-id", "evt_1"), ("webhook-timestamp", "1614265330"), ("A", "1"), ("A", "2"), ("A", "3")];
        assert_eq!(parsed(json), pairs(&expected));
    }

    #[test]
    fn a_byte_order_mark_and_null_are_passed_over() {
        assert_eq!(parsed("\u{feff}A: b\r\n"), pairs(&[("A", "b")]));
        assert_eq!(parsed("\u{feff}{\"A\": null, \"B\": \"c\"}"), pairs(&[("B", "c")]));
    }

    #[test]
    fn what_is_no_header_is_told_with_its_line() {
        for text in ["A: b\nno colon\n", "A: b\n folded: line\n", "A: b\nName : value\n", "A: b\n: value\n"] {
            assert_eq!(parse_headers(text.as_bytes()), Err(HeadersError::Line(2)), "{text}");
        }
        assert!(matches!(parse_headers(b"{\"a\": true}"), Err(HeadersError::Json { line: 1, .. })));
        assert!(matches!(parse_headers(b"{\n\"a\""), Err(HeadersError::Json { line: 2, .. })));
    }

    #[test]
    fn a_value_keeps_bytes_that_are_not_utf8() {
        assert_eq!(parse_headers(b"A: \xff\r\0\xfe"), Ok(vec![("A".to_owned(), vec![0xff, b'\r', 0, 0xfe])]));
    }
}

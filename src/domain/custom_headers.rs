//! The headers that a webhook or an event adds to requests: names and values that may be sent, and those that are not theirs.

use super::members::Members;

/// The most headers a webhook may add.
pub const MAX_HEADERS: usize = 50;

/// The longest name, in bytes.
pub const MAX_NAME_LENGTH: usize = 128;

/// The longest value, in bytes.
pub const MAX_VALUE_LENGTH: usize = 8 * 1024;

/// The most that the names and values of an event's headers may have together, in bytes: receivers take no more.
pub const MAX_EVENT_BYTES: usize = 16 * 1024;

/// Why a header may not be a webhook's or an event's own. No message repeats a value: it may be a credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    #[error("a header is written 'Name: value'; the colon is missing")]
    NoColon,
    /// The name is not a token of RFC 9110 section 5.6.2.
    #[error("the header name {0:?} is not valid; use letters, digits and hyphens")]
    Name(String),
    #[error("a header name is too long; the limit is 128 characters")]
    NameTooLong,
    /// The value holds something else than visible ASCII and blanks.
    #[error("the value of header {0} holds a character that may not be sent; use visible ASCII")]
    Value(String),
    #[error("the value of header {0} is too long; the limit is 8192 bytes")]
    ValueTooLong(String),
    #[error("the header {name} cannot be set: {reason}")]
    Reserved {
        name: String,
        /// Whose it is, and what to do instead.
        reason: &'static str,
    },
    #[error("the header {0} is given twice; each may be given once")]
    Twice(String),
    #[error("too many headers; the limit is 50")]
    TooMany,
    #[error("the headers are too long; the limit of all together is 16384 bytes")]
    TooLong,
    #[error("the content type is not valid; write one such as application/json")]
    ContentType,
}

/// Reads `Name: value`; blanks around the value are dropped, as RFC 9110 section 5.5 says.
pub fn parse_line(line: &str) -> Result<(String, String), HeaderError> {
    let (name, value) = line.split_once(':').ok_or(HeaderError::NoColon)?;
    let value = value.trim_matches([' ', '\t']);
    check_name(name)?;
    check_value(name, value)?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Checks all headers of a webhook together. `signature_names` are the headers its signature schemes send.
pub fn validate(headers: &[(String, String)], signature_names: &[&str]) -> Result<(), HeaderError> {
    if headers.len() > MAX_HEADERS {
        return Err(HeaderError::TooMany);
    }
    for (index, (name, value)) in headers.iter().enumerate() {
        check_name(name)?;
        check_value(name, value)?;
        if let Some(reason) = reserved(name, signature_names) {
            return Err(HeaderError::Reserved { name: name.clone(), reason });
        }
        if headers[..index].iter().any(|(earlier, _)| earlier.eq_ignore_ascii_case(name)) {
            return Err(HeaderError::Twice(name.clone()));
        }
    }
    Ok(())
}

/// Checks the name of a header that carries a signature: of those that hookctl sends, it may be another signature's.
pub fn check_signature_name(name: &str) -> Result<(), HeaderError> {
    check_name(name)?;
    match reserved(name, &[]).filter(|_| !name.to_ascii_lowercase().ends_with("-signature")) {
        Some(reason) => Err(HeaderError::Reserved { name: name.to_owned(), reason }),
        None => Ok(()),
    }
}

/// Names and values of a JSON object. The library's messages would repeat what may be a credential.
pub fn of_json(object: &[u8]) -> Result<Vec<(String, String)>, &'static str> {
    let Members(headers) = serde_json::from_slice::<Members<String>>(object)
        .map_err(|_| "headers: expected an object of texts, such as {\"X-Request-Id\": \"7f3\"}")?;
    Ok(headers.into_iter().map(|(name, value)| (name, value.trim_matches([' ', '\t']).to_owned())).collect())
}

/// Checks the headers of an event, which go to webhooks of any signature schemes.
pub fn validate_event(headers: &[(String, String)]) -> Result<(), HeaderError> {
    validate(headers, &[])?;
    let bytes: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > MAX_EVENT_BYTES { Err(HeaderError::TooLong) } else { Ok(()) }
}

/// Checks a `Content-Type` value: `type/subtype`, then parameters if any (RFC 9110 section 8.3).
pub fn validate_content_type(text: &str) -> Result<(), HeaderError> {
    let (essence, parameters) = text.split_once(';').unwrap_or((text, ""));
    let (kind, subtype) = essence.trim_end_matches(' ').split_once('/').ok_or(HeaderError::ContentType)?;
    let visible = parameters.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if is_token(kind) && is_token(subtype) && visible && text.len() <= 255 && !text.ends_with(' ') {
        Ok(())
    } else {
        Err(HeaderError::ContentType)
    }
}

fn check_name(name: &str) -> Result<(), HeaderError> {
    if name.len() > MAX_NAME_LENGTH {
        return Err(HeaderError::NameTooLong);
    }
    if is_token(name) { Ok(()) } else { Err(HeaderError::Name(name.to_owned())) }
}

fn check_value(name: &str, value: &str) -> Result<(), HeaderError> {
    if value.len() > MAX_VALUE_LENGTH {
        return Err(HeaderError::ValueTooLong(name.to_owned()));
    }
    let trimmed = !value.starts_with(' ') && !value.ends_with(' ');
    if trimmed && value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Ok(())
    } else {
        Err(HeaderError::Value(name.to_owned()))
    }
}

/// Whether it is a token, as header names are (RFC 9110 section 5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn reserved(name: &str, signature_names: &[&str]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    if signature_names.iter().any(|signature| signature.eq_ignore_ascii_case(&name)) {
        return Some("a signature of this webhook uses it");
    }
    match name.as_str() {
        "content-type" => Some("--content-type of the webhook sets it"),
        "host" | "content-length" | "content-encoding" | "transfer-encoding" | "connection" | "keep-alive" | "te"
        | "trailer" | "upgrade" | "expect" | "accept-encoding" | "http2-settings" => {
            Some("it belongs to the HTTP connection")
        }
        "user-agent" | "webhook-id" | "webhook-timestamp" | "webhook-signature" => Some("hookctl sends it itself"),
        name if name.starts_with("proxy-") => Some("it belongs to the HTTP connection"),
        name if name.starts_with("x-webhook-") || name.starts_with("svix-") => Some("hookctl sends it itself"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_line_is_a_name_a_colon_and_a_value() {
        let read = |line: &str| parse_line(line).unwrap();
        assert_eq!(read("Authorization: Bearer a b"), ("Authorization".to_owned(), "Bearer a b".to_owned()));
        assert_eq!(read("X-Empty:"), ("X-Empty".to_owned(), String::new()));
        assert_eq!(read("X-Url:\thttps://a/?b:c  "), ("X-Url".to_owned(), "https://a/?b:c".to_owned()));
        assert_eq!(read("~odd!#$%&'*+-.^_`|: 1").0, "~odd!#$%&'*+-.^_`|");
    }

    #[test]
    fn lines_that_could_smuggle_something_are_refused() {
        let wrong = [
            "",
            "no colon",
            ": value",
            " X-A: b",
            "X A: b",
            "X-A : b",
            "X-Ä: b",
            "X-A: ä",
            "X-A: a\rb",
            "X-A: a\nb",
            "X-A: a\r\nHost: evil",
            "X-A: a\0b",
            "X-A: \u{1b}[2J",
            "X-A: a\tb",
            "X-A: \u{7f}",
            "(X): b",
            "X\n: b",
            "X@A: b",
            "X\"A: b",
        ];
        for line in wrong {
            assert!(parse_line(line).is_err(), "{line:?}");
        }
        let secret = parse_line("Authorization: hunter2\u{1}").unwrap_err().to_string();
        assert_eq!(
            secret,
            "the value of header Authorization holds a character that may not be sent; use visible ASCII"
        );
    }

    #[test]
    fn names_that_belong_to_hookctl_or_to_http_are_refused() {
        let reserved = [
            "Host",
            "content-length",
            "Content-Encoding",
            "TRANSFER-ENCODING",
            "Connection",
            "Keep-Alive",
            "Proxy-Authorization",
            "Proxy-Connection",
            "TE",
            "Trailer",
            "Upgrade",
            "Expect",
            "Content-Type",
            "User-Agent",
            "Accept-Encoding",
            "X-Webhook-Event",
            "x-webhook-signature",
            "X-Webhook-Anything",
            "webhook-id",
            "Webhook-Timestamp",
            "webhook-signature",
            "svix-id",
            "Svix-Signature",
            "X-Hub-Signature-256",
        ];
        for name in reserved {
            let result = validate(&headers(&[(name, "x")]), &["x-hub-signature-256"]);
            assert!(matches!(result, Err(HeaderError::Reserved { .. })), "{name}: {result:?}");
        }
        assert_eq!(
            validate(&headers(&[("X-Hub-Signature-256", "x"), ("Authorization", "y"), ("Accept", "z")]), &[]),
            Ok(())
        );
    }

    #[test]
    fn each_header_is_given_once_whatever_its_case() {
        let result = validate(&headers(&[("X-A", "1"), ("x-a", "2")]), &[]);
        assert_eq!(result, Err(HeaderError::Twice("x-a".to_owned())));
    }

    #[test]
    fn sizes_are_bounded() {
        let value = |length: usize| validate(&[("X-A".to_owned(), "v".repeat(length))], &[]);
        assert_eq!(value(MAX_VALUE_LENGTH), Ok(()));
        assert!(value(MAX_VALUE_LENGTH + 1).is_err());
        assert!(validate(&[("n".repeat(MAX_NAME_LENGTH + 1), String::new())], &[]).is_err());
        let many = |count: usize| (0..count).map(|n| (format!("X-{n}"), String::new())).collect::<Vec<_>>();
        assert_eq!(validate(&many(MAX_HEADERS), &[]), Ok(()));
        assert_eq!(validate(&many(MAX_HEADERS + 1), &[]), Err(HeaderError::TooMany));
        let of_event = |length: usize| {
            validate_event(&[("X-A".to_owned(), "v".repeat(length)), ("X-B".to_owned(), "v".repeat(MAX_VALUE_LENGTH))])
        };
        assert_eq!(of_event(MAX_VALUE_LENGTH - 6), Ok(()));
        assert_eq!(of_event(MAX_VALUE_LENGTH - 5), Err(HeaderError::TooLong));
    }

    #[test]
    fn validation_does_not_trust_what_was_read_elsewhere() {
        for (name, value) in [("X-A", "a\nb"), ("X A", "b"), ("", "b"), ("X-A", " b"), ("X-A", "b ")] {
            assert!(validate(&headers(&[(name, value)]), &[]).is_err(), "{name:?}: {value:?}");
        }
    }

    #[test]
    fn a_content_type_is_a_type_and_a_subtype() {
        for right in ["application/json", "text/plain; charset=utf-8", "application/vnd.api+json;v=\"1\""] {
            assert_eq!(validate_content_type(right), Ok(()), "{right}");
        }
        for wrong in [
            "",
            "json",
            "application/",
            "/json",
            "a/b/c",
            "application/json\r\nX: y",
            " a/b",
            "a/b ",
            "a b/c",
            "a/b; ü",
        ] {
            assert_eq!(validate_content_type(wrong), Err(HeaderError::ContentType), "{wrong:?}");
        }
    }
}

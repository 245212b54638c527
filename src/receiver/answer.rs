//! Writes answers.

use std::fmt::Write as _;

/// Whether the connection is kept alive after this answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    KeepAlive,
    Close,
}

/// An answer with that status code, which its body repeats; `retry_after` is in seconds. Without a body for `HEAD`.
pub fn bytes(status: u16, retry_after: Option<u64>, method: &str, after: After) -> Vec<u8> {
    let body = format!("{status} {}", reason(status)).trim_end().to_owned() + "\n";
    with_body(status, retry_after, method, after, &body)
}

/// The answer to a request that could not be forwarded.
pub fn bad_gateway(why: &str, method: &str, after: After) -> Vec<u8> {
    with_body(502, None, method, after, &format!("502 Bad Gateway: {why}\n"))
}

fn with_body(status: u16, retry_after: Option<u64>, method: &str, after: After, body: &str) -> Vec<u8> {
    let reason = reason(status);
    let mut answer = format!("HTTP/1.1 {status} {reason}\r\n");
    if let Some(seconds) = retry_after {
        let _ = write!(answer, "Retry-After: {seconds}\r\n");
    }
    if after == After::Close {
        answer.push_str("Connection: close\r\n");
    }
    // RFC 9110, sections 8.6 and 15: 204 and 304 have neither a body nor a length, 205 an empty body.
    match status {
        204 | 304 => answer.push_str("\r\n"),
        205 => answer.push_str("Content-Length: 0\r\n\r\n"),
        _ => {
            let _ = write!(answer, "Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
            if method != "HEAD" {
                answer.push_str(body);
            }
        }
    }
    answer.into_bytes()
}

/// The reason phrase of a status code; empty if it has none.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        205 => "Reset Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        410 => "Gone",
        413 => "Content Too Large",
        417 => "Expectation Failed",
        422 => "Unprocessable Content",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(status: u16, retry_after: Option<u64>, method: &str, after: After) -> String {
        String::from_utf8(bytes(status, retry_after, method, after)).unwrap()
    }

    #[test]
    fn carries_its_length_and_its_retry_after() {
        assert_eq!(
            text(503, Some(2), "POST", After::Close),
            "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nConnection: close\r\n\
             Content-Type: text/plain\r\nContent-Length: 24\r\n\r\n503 Service Unavailable\n"
        );
    }

    #[test]
    fn has_no_body_where_http_allows_none() {
        assert_eq!(text(204, None, "POST", After::KeepAlive), "HTTP/1.1 204 No Content\r\n\r\n");
        assert!(text(200, None, "HEAD", After::KeepAlive).ends_with("Content-Length: 7\r\n\r\n"));
    }

    #[test]
    fn a_code_without_words_is_answered_all_the_same() {
        assert!(text(999, None, "POST", After::KeepAlive).starts_with("HTTP/1.1 999 \r\n"));
        assert!(text(999, None, "POST", After::KeepAlive).ends_with("\r\n\r\n999\n"));
    }
}

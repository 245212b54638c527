//! Whether an HTTP proxy that refuses a tunnel does so by itself, or because it cannot reach the receiver.

use httparse::Response;

/// The errors of RFC 9209 section 2.3 about the next hop: for a tunnel, the receiver.
const OF_RECEIVER: [&str; 9] = [
    "dns_timeout",
    "dns_error",
    "destination_not_found",
    "destination_unavailable",
    "destination_ip_unroutable",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "connection_limit_reached",
];

/// Whether the answer to a CONNECT says that the receiver could not be reached.
pub fn is_about_receiver(response: &Response<'_, '_>) -> bool {
    // The last header of a name counts: it has the entry of the last proxy.
    let header = |name: &str| {
        let header = response.headers.iter().rfind(|header| header.name.eq_ignore_ascii_case(name))?;
        str::from_utf8(header.value).ok()
    };
    if let Some(error) = header("proxy-status").and_then(proxy_status_error) {
        return OF_RECEIVER.contains(&error.as_str());
    }
    if let Some(error) = header("x-squid-error") {
        return ["ERR_CONNECT_FAIL", "ERR_DNS_FAIL"].iter().any(|about| error.starts_with(about));
    }
    match (response.code, response.reason) {
        // RFC 9110 sections 15.6.3 and 15.6.5: the fault is behind the gateway.
        (Some(502 | 504), _) => true,
        // Written by tinyproxy.
        (Some(500), Some(reason)) => reason == "Unable to connect",
        _ => false,
    }
}

/// The error that the last proxy of the list names: `proxy.example; error=connection_refused`.
fn proxy_status_error(value: &str) -> Option<String> {
    // Quoted text is for people and may look like parameters.
    let bare: String = value.replace("\\\"", "").split('"').step_by(2).collect();
    let last = bare.rsplit(',').next()?;
    last.split(';').find_map(|parameter| parameter.trim().strip_prefix("error=")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_so(head: &str) -> bool {
        let mut headers = [httparse::EMPTY_HEADER; 8];
        let mut response = Response::new(&mut headers);
        let head = format!("HTTP/1.1 {head}\r\n\r\n");
        response.parse(head.as_bytes()).unwrap();
        is_about_receiver(&response)
    }

    #[test]
    fn a_refusal_is_the_receivers_where_the_proxy_says_so() {
        for receivers in [
            "502 Bad Gateway",
            "504 Gateway Timeout",
            "500 Unable to connect",
            "503 Service Unavailable\r\nX-Squid-Error: ERR_CONNECT_FAIL 111",
            "503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0",
            "503 x\r\nProxy-Status: edge.example; error=connection_refused; details=\"x\"",
            "503 x\r\nProxy-Status: a.example, edge.example;error=dns_error",
            "503 x\r\nProxy-Status: edge.example; error=connection_refused; details=\"a, b; error=x \\\" c\"",
            "503 x\r\nProxy-Status: a.example; error=proxy_internal_error\r\nProxy-Status: edge.example; error=dns_error",
        ] {
            assert!(is_so(receivers), "{receivers}");
        }
        for proxys in [
            "403 Forbidden",
            "407 Proxy Authentication Required",
            "500 Internal Server Error",
            "503 Service Unavailable",
            "403 Forbidden\r\nX-Squid-Error: ERR_ACCESS_DENIED 0",
            "502 Bad Gateway\r\nProxy-Status: edge.example; error=proxy_internal_error",
            "503 x\r\nProxy-Status: edge.example; details=\"; error=dns_error\"",
            "301 Moved",
        ] {
            assert!(!is_so(proxys), "{proxys}");
        }
    }
}

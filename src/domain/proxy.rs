//! Proxies for outgoing requests.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use url::Url;

use super::secret::Secret;
use super::text;

const MAX_LENGTH: usize = 2_048;
/// The longest user name and password: RFC 1929 has one byte for their length.
const LONGEST_PART: usize = 255;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyScheme {
    Http,
    /// HTTP inside TLS.
    Https,
    /// RFC 1928.
    Socks5,
}

/// A proxy, without its password.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Proxy {
    pub scheme: ProxyScheme,
    pub user: Option<String>,
    /// A name or an address; IPv6 without brackets.
    pub host: String,
    pub port: u16,
}

/// A proxy and the password for its user.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProxyLogin {
    pub proxy: Proxy,
    pub password: Option<Secret>,
}

/// Why a proxy is refused. No message repeats the text: it may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    #[error("not a proxy; write http://HOST:PORT, https://HOST:PORT, socks5://HOST:PORT, or none")]
    Form,
    #[error("a password may not be an argument, which other users of the machine can see")]
    Password,
    #[error("a proxy's URL has no path, query or fragment; write http://HOST:PORT")]
    Path,
    #[error("the port of a proxy is 1 to 65535")]
    Port,
    #[error("the user or the password of a proxy is longer than 255 bytes, or holds a control character")]
    Login,
}

impl Proxy {
    /// Reads a proxy's URL without a password.
    pub fn parse(text: &str) -> Result<Proxy, ProxyError> {
        let ProxyLogin { proxy, password } = ProxyLogin::parse(text)?;
        if password.is_some() { Err(ProxyError::Password) } else { Ok(proxy) }
    }

    /// Host and port, for messages.
    pub fn place(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }

    /// Whether the proxy speaks HTTP, with or without TLS.
    pub fn is_http(&self) -> bool {
        matches!(self.scheme, ProxyScheme::Http | ProxyScheme::Https)
    }
}

impl ProxyLogin {
    /// Reads a proxy's URL from the environment or a file; it may contain a password.
    pub fn parse(text: &str) -> Result<ProxyLogin, ProxyError> {
        if text.len() > MAX_LENGTH
            || text.contains('\\')
            || text.chars().any(|c| c.is_whitespace() || text::is_unsafe(c))
        {
            return Err(ProxyError::Form);
        }
        let url = Url::parse(text).map_err(|error| match error {
            url::ParseError::InvalidPort => ProxyError::Port,
            _ => ProxyError::Form,
        })?;
        let (scheme, default_port) = match url.scheme() {
            "http" => (ProxyScheme::Http, 80),
            "https" => (ProxyScheme::Https, 443),
            // socks5h is curl's name for a SOCKS5 proxy that resolves names; here --proxy-resolves decides that.
            "socks5" | "socks5h" => (ProxyScheme::Socks5, 1080),
            _ => return Err(ProxyError::Form),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(ProxyError::Path);
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or(ProxyError::Form)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = url.port().unwrap_or(default_port);
        let user = (!url.username().is_empty()).then(|| decoded(url.username())).transpose()?;
        let password = url.password().map(decoded).transpose()?;
        if port == 0 {
            return Err(ProxyError::Port);
        }
        if user.is_none() && password.is_some() {
            return Err(ProxyError::Form);
        }
        Ok(ProxyLogin { proxy: Proxy { scheme, user, host, port }, password: password.map(Secret::of_text) })
    }
}

pub fn check_password(text: &str) -> Result<(), ProxyError> {
    let is_right = (1..=LONGEST_PART).contains(&text.len()) && !text.chars().any(char::is_control);
    if is_right { Ok(()) } else { Err(ProxyError::Login) }
}

/// A user or a password, percent-decoded.
fn decoded(part: &str) -> Result<String, ProxyError> {
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| *first == b'%');
        let byte = digits.and_then(|digits| hex::decode(digits).ok()).and_then(|bytes| bytes.first().copied());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    let text = String::from_utf8(bytes).map_err(|_| ProxyError::Login)?;
    check_password(&text).map(|()| text)
}

/// Writes a URL; the user name is percent-encoded where needed.
impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            ProxyScheme::Http => "http",
            ProxyScheme::Https => "https",
            ProxyScheme::Socks5 => "socks5",
        };
        write!(f, "{scheme}://")?;
        for byte in self.user.iter().flat_map(|user| user.bytes()) {
            let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            if is_plain { write!(f, "{}", char::from(byte)) } else { write!(f, "%{byte:02X}") }?;
        }
        write!(f, "{}{}", if self.user.is_some() { "@" } else { "" }, self.place())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyChoice {
    /// No proxy, whatever the environment or the profile says.
    None,
    Through(Proxy),
}

impl fmt::Display for ProxyChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyChoice::None => f.write_str("none"),
            ProxyChoice::Through(proxy) => proxy.fmt(f),
        }
    }
}

impl ProxyChoice {
    /// Reads `none` or the URL of a proxy.
    pub fn parse(text: &str) -> Result<ProxyChoice, ProxyError> {
        match text {
            "none" => Ok(ProxyChoice::None),
            text => Proxy::parse(text).map(ProxyChoice::Through),
        }
    }
}

impl Serialize for ProxyChoice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ProxyChoice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<ProxyChoice, D::Error> {
        let text = String::deserialize(deserializer)?;
        ProxyChoice::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_a_scheme_a_host_and_a_port() {
        for (text, written) in [
            ("http://proxy.corp:3128", "http://proxy.corp:3128"),
            ("http://proxy.corp/", "http://proxy.corp:80"),
            ("https://proxy.corp", "https://proxy.corp:443"),
            ("socks5://127.0.0.1", "socks5://127.0.0.1:1080"),
            ("socks5h://[::1]:9", "socks5://[::1]:9"),
            ("http://us%40er@proxy.corp:1", "http://us%40er@proxy.corp:1"),
        ] {
            let proxy = Proxy::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(proxy.to_string(), written);
            assert_eq!(Proxy::parse(&proxy.to_string()), Ok(proxy));
        }
    }

    #[test]
    fn what_is_no_proxy_is_refused_and_never_repeated() {
        for (text, error) in [
            ("", ProxyError::Form),
            ("proxy.corp:3128", ProxyError::Form),
            ("ftp://proxy.corp", ProxyError::Form),
            ("http://", ProxyError::Form),
            ("socks5://", ProxyError::Form),
            ("http://:hunter2@proxy.corp", ProxyError::Form),
            ("http://a b/", ProxyError::Form),
            ("http://proxy.corp:0", ProxyError::Port),
            ("http://proxy.corp:65536", ProxyError::Port),
            ("http://proxy.corp/path", ProxyError::Path),
            ("socks5://proxy.corp/?a", ProxyError::Path),
            ("http://user:hunter2@proxy.corp", ProxyError::Password),
            ("http://us%00er@proxy.corp", ProxyError::Login),
        ] {
            let refused = Proxy::parse(text).expect_err(text);
            assert_eq!(refused, error, "{text}");
            assert!(!refused.to_string().contains("hunter2"));
        }
    }

    #[test]
    fn the_environments_proxy_may_hold_a_password() {
        let login = ProxyLogin::parse("http://user:p%40ss%25@proxy.corp:3128").unwrap();
        assert_eq!(login.password.as_ref().unwrap().expose(), "p@ss%");
        assert!(!format!("{login:?} {}", login.proxy).contains("p@ss"));
    }
}

//! A webhook's URL: which are accepted, and how they are shown.

use url::{Host, Url};

use super::text;

/// The longest URL in characters, as given and as serialised.
pub const MAX_LENGTH: usize = 2_048;

/// Why a URL is refused. No message repeats it: it may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetUrlError {
    #[error("the URL is empty; give one such as https://example.com/hook")]
    Empty,
    #[error("the URL is too long; the limit is 2048 characters")]
    TooLong,
    /// A blank, a control character, or an invisible one.
    #[error("the URL holds {what} at character {position}; percent-encode it or remove it")]
    Character {
        what: String,
        /// Counted from 1.
        position: usize,
    },
    /// The URL standard reads it as `/`, other parsers do not: `http://a\@b/` would name two hosts.
    #[error(
        "the URL holds a backslash, which programs read in different ways; write / or, for the character itself, %5C"
    )]
    Backslash,
    #[error("the URL has no scheme; begin it with https:// or http://")]
    NoScheme,
    #[error("the URL's scheme is {0}; only https and http are delivered to")]
    Scheme(String),
    #[error("the URL names no host; write one such as https://example.com/hook")]
    NoHost,
    #[error("the URL's host is not a host name: 1 to 63 letters, digits, - or _ between dots, 253 characters in all")]
    Host,
    #[error("the URL's port is out of range; use 1 to 65535")]
    Port,
    /// `user:password@` before the host.
    #[error("the URL holds a user name or password; give them in a header, by --header-env or --header-file")]
    Credentials,
    /// `#...` at the end, which HTTP never sends.
    #[error("the URL holds a fragment (#...), which is never sent; remove it")]
    Fragment,
    /// Anything else that the `url` crate refuses.
    #[error("the URL is not valid: {0}")]
    Invalid(String),
}

/// Parses a webhook's URL and returns its serialisation, which is what is stored and requested.
pub fn parse(text: &str) -> Result<Url, TargetUrlError> {
    if text.is_empty() {
        return Err(TargetUrlError::Empty);
    }
    if text.chars().count() > MAX_LENGTH {
        return Err(TargetUrlError::TooLong);
    }
    // The URL standard silently drops tabs, line ends and outer blanks; what is stored must be what was given.
    if let Some((index, character)) = text.chars().enumerate().find(|(_, character)| is_refused(*character)) {
        return Err(TargetUrlError::Character { what: text::describe(character), position: index + 1 });
    }
    if text.contains('\\') {
        return Err(TargetUrlError::Backslash);
    }
    let url = Url::parse(text).map_err(explain)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(scheme_error(text, url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() || authority(text).contains('@') {
        return Err(TargetUrlError::Credentials);
    }
    if url.host().is_none() {
        return Err(TargetUrlError::NoHost);
    }
    if matches!(url.host(), Some(Host::Domain(name)) if !is_host_name(name)) {
        return Err(TargetUrlError::Host);
    }
    if url.port() == Some(0) {
        return Err(TargetUrlError::Port);
    }
    if url.fragment().is_some() {
        return Err(TargetUrlError::Fragment);
    }
    if url.as_str().len() > MAX_LENGTH {
        return Err(TargetUrlError::TooLong);
    }
    Ok(url)
}

/// The URL with every query value as `***`: they often are tokens.
pub fn masked(url: &Url) -> String {
    let text = url.as_str();
    let Some((before, query)) = text.split_once('?') else { return text.to_owned() };
    let pairs: Vec<String> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) => format!("{name}=***"),
            // A query without a name is a value too: `?token`.
            None if pair.is_empty() => String::new(),
            None => "***".to_owned(),
        })
        .collect();
    format!("{before}?{}", pairs.join("&"))
}

/// Lengths as in RFC 1035, characters as in RFC 1123, and the underscore, which occurs in practice.
fn is_host_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    name.len() <= 253
        && name.split('.').all(|label| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
        })
}

fn is_refused(character: char) -> bool {
    character.is_whitespace() || text::is_unsafe(character)
}

fn explain(error: url::ParseError) -> TargetUrlError {
    match error {
        url::ParseError::InvalidPort => TargetUrlError::Port,
        url::ParseError::EmptyHost => TargetUrlError::NoHost,
        url::ParseError::RelativeUrlWithoutBase => TargetUrlError::NoScheme,
        other => TargetUrlError::Invalid(other.to_string()),
    }
}

/// `example.com:8080/x` reads as the scheme `example.com`: say what is missing rather than that.
fn scheme_error(text: &str, scheme: &str) -> TargetUrlError {
    let is_port = text.get(scheme.len() + 1..).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if is_port || scheme.contains('.') { TargetUrlError::NoScheme } else { TargetUrlError::Scheme(scheme.to_owned()) }
}

/// The part between `//` and the path; an `@` in it means credentials, even empty ones.
fn authority(text: &str) -> &str {
    let rest = text.split_once(':').map_or("", |(_, rest)| rest).trim_start_matches('/');
    rest.split(['/', '?', '#']).next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_and_https_urls_are_taken_and_serialised() {
        let cases = [
            ("https://example.com/hook", "https://example.com/hook"),
            ("HTTP://EXAMPLE.com", "http://example.com/"),
            ("https://example.com:443/a?b=c&d", "https://example.com/a?b=c&d"),
            ("http://example.com:65535/", "http://example.com:65535/"),
            ("http://my_host.example./", "http://my_host.example./"),
            ("http://127.1/", "http://127.0.0.1/"),
            ("http://[::1]:8080/x", "http://[::1]:8080/x"),
            ("https://bücher.example/ü", "https://xn--bcher-kva.example/%C3%BC"),
            ("https://example.com/@me?mail=a@b", "https://example.com/@me?mail=a@b"),
        ];
        for (text, serialised) in cases {
            assert_eq!(parse(text).expect(text).as_str(), serialised);
        }
    }

    #[test]
    fn what_is_wrong_with_a_url_is_named() {
        use TargetUrlError::{Backslash, Credentials, Empty, Fragment, Host, NoHost, NoScheme, Port, Scheme};
        let long_label = format!("http://{}.example/", "a".repeat(64));
        let long_name = format!("http://{}example/", "abcdefg.".repeat(32));
        let cases = [
            ("", Empty),
            ("example.com/hook", NoScheme),
            ("//example.com", NoScheme),
            ("/hook", NoScheme),
            ("example.com:8080/hook", NoScheme),
            ("localhost:8080", NoScheme),
            ("ftp://example.com", Scheme("ftp".into())),
            ("file:///etc/passwd", Scheme("file".into())),
            ("javascript:alert(1)", Scheme("javascript".into())),
            ("data:text/plain,x", Scheme("data".into())),
            ("ws://example.com", Scheme("ws".into())),
            ("http://", NoHost),
            ("https://:443/", NoHost),
            ("http://a..b/", Host),
            ("http://.example/", Host),
            ("http://example../", Host),
            ("http://*.example/", Host),
            ("http://a&b.example/", Host),
            (&long_label, Host),
            (&long_name, Host),
            ("http://example.com:0/", Port),
            ("http://example.com:65536/", Port),
            ("http://example.com:99999/", Port),
            ("http://example.com:x/", Port),
            ("http://example.com:-1/", Port),
            ("http://user@example.com/", Credentials),
            ("http://user:secret@example.com/", Credentials),
            ("http://@example.com/", Credentials),
            ("http://:@example.com/", Credentials),
            ("http://127.0.0.1\\@example.com/", Backslash),
            ("http:\\\\example.com/", Backslash),
            ("https://example.com/a\\b", Backslash),
            ("https://example.com/?a=\\", Backslash),
            ("https://example.com/#x", Fragment),
            ("https://example.com/#", Fragment),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text), Err(error), "{text}");
        }
        for text in [
            "http://exa mple",
            "http://[::1",
            "http://[::1%25eth0]/",
            "http://1.2.3.4.5/",
            "http://256.1.1.1/",
            "http://a<b/",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn control_blank_and_invisible_characters_are_refused_wherever_they_stand() {
        for character in [
            '\0', '\t', '\n', '\r', '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', ' ', '\u{a0}', '\u{200b}', '\u{202e}',
            '\u{2028}', '\u{2066}', '\u{feff}', '\u{3000}',
        ] {
            for text in [
                format!("{character}https://example.com/"),
                format!("https://exam{character}ple.com/"),
                format!("https://example.com/a{character}b?c"),
                format!("https://example.com/{character}"),
            ] {
                assert!(matches!(parse(&text), Err(TargetUrlError::Character { .. })), "{text:?}");
            }
        }
        let error = parse("https://example.com/a b").unwrap_err().to_string();
        assert_eq!(error, "the URL holds a blank at character 22; percent-encode it or remove it");
    }

    #[test]
    fn a_url_is_at_most_2048_characters_as_written_and_as_sent() {
        let padded = |length: usize, filling: char| {
            let start = "https://example.com/";
            format!("{start}{}", filling.to_string().repeat(length - start.len()))
        };
        assert!(parse(&padded(2_048, 'a')).is_ok());
        assert_eq!(parse(&padded(2_049, 'a')), Err(TargetUrlError::TooLong));
        assert_eq!(parse(&padded(1_000, 'ü')), Err(TargetUrlError::TooLong));
    }

    #[test]
    fn no_message_repeats_a_password() {
        for text in [
            "http://user:hunter2@example.com/",
            "ftp://user:hunter2@example.com/",
            "http://user:hunter2@[::/",
            "http://user:hunter2@a b/",
            "http://user:hunter2@example.com:99999/",
        ] {
            let message = parse(text).unwrap_err().to_string();
            assert!(!message.contains("hunter2") && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn query_values_are_masked() {
        let shown = |text: &str| masked(&parse(text).unwrap());
        assert_eq!(shown("https://example.com/a"), "https://example.com/a");
        assert_eq!(shown("https://example.com/a?key=secret&b=2"), "https://example.com/a?key=***&b=***");
        assert_eq!(shown("https://example.com/a?secret"), "https://example.com/a?***");
        assert_eq!(shown("https://example.com/a?k=a=b?c&&x="), "https://example.com/a?k=***&&x=***");
        assert_eq!(shown("https://example.com/a?"), "https://example.com/a?");
    }
}

//! The URL as HubSpot signs it: some of its escapes decoded.

/// The characters that HubSpot decodes before it signs, as its documentation lists them
/// (<https://developers.hubspot.com/docs/guides/apps/authentication/validating-requests>).
const DECODED: &[u8] = b":/?@!$'()*,;";

/// `url` with the escapes of those characters decoded, once each; `None` when it has none.
pub fn decode(url: &str) -> Option<String> {
    let mut decoded = String::with_capacity(url.len());
    let mut rest = url;
    while let Some(at) = rest.find('%') {
        let (before, escape) = rest.split_at(at);
        decoded.push_str(before);
        let byte = escape.get(1..3).and_then(|digits| hex::decode(digits).ok()).map(|bytes| bytes[0]);
        if let Some(byte) = byte.filter(|byte| DECODED.contains(byte)) {
            decoded.push(char::from(byte));
            rest = &escape[3..];
        } else {
            decoded.push('%');
            rest = &escape[1..];
        }
    }
    decoded.push_str(rest);
    (decoded != url).then_some(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_listed_escapes_are_decoded_in_either_case_and_once() {
        assert_eq!(decode("https://a.example/h%2Fk?to=%40b%2c").as_deref(), Some("https://a.example/h/k?to=@b,"));
        assert_eq!(decode("/%3A%2F%3F%40%21%24%27%28%29%2A%2C%3B").as_deref(), Some("/:/?@!$'()*,;"));
        assert_eq!(decode("/%252F%3A").as_deref(), Some("/%252F:"));
    }

    #[test]
    fn other_escapes_and_broken_ones_stay() {
        for url in ["", "/a?b=c", "/%20%26%3D%25", "/%", "/%2", "/%zz", "/%+2F", "/%é"] {
            assert_eq!(decode(url), None, "{url}");
        }
    }
}

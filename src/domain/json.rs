//! JSON that is checked and passed on byte for byte.

pub mod layout;

use serde_json::value::RawValue;

/// How deep objects and arrays may be nested: common parsers of receivers accept this.
pub const DEEPEST: usize = 128;

/// Why a text is refused as JSON.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error("not valid JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    #[error("not accepted: the JSON is nested deeper than {DEEPEST} levels")]
    TooDeep,
    /// Half of a UTF-16 surrogate pair, which no UTF-8 text can hold.
    #[error("not valid JSON: a lone surrogate \\u{0} at byte {1}")]
    LoneSurrogate(String, usize),
}

/// Checks `text` and returns it unchanged: numbers keep their spelling, duplicate keys stay.
pub fn parse(text: &[u8]) -> Result<&RawValue, JsonError> {
    let raw: &RawValue = serde_json::from_slice(text)?;
    check(raw.get().as_bytes())?;
    Ok(raw)
}

/// Checks what the parser accepts and others do not: depth, and lone surrogates. `json` is well-formed.
pub fn check(json: &[u8]) -> Result<(), JsonError> {
    let (mut depth, mut in_string, mut at) = (0_usize, false, 0);
    while at < json.len() {
        match (in_string, json[at]) {
            (_, b'"') => in_string = !in_string,
            (true, b'\\') if json[at + 1] == b'u' => at += check_escape(json, at)?,
            (true, b'\\') => at += 1,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth -= 1,
            _ => {}
        }
        if depth > DEEPEST {
            return Err(JsonError::TooDeep);
        }
        at += 1;
    }
    Ok(())
}

/// How many bytes after the backslash at `at` belong to its `\uXXXX`, or to the pair that it begins.
fn check_escape(json: &[u8], at: usize) -> Result<usize, JsonError> {
    match unit(json, at) {
        Some(0xD800..=0xDBFF) if matches!(unit(json, at + 6), Some(0xDC00..=0xDFFF)) => Ok(11),
        Some(0xD800..=0xDFFF) => {
            Err(JsonError::LoneSurrogate(String::from_utf8_lossy(&json[at + 2..at + 6]).into_owned(), at))
        }
        _ => Ok(5),
    }
}

/// The UTF-16 unit that `\uXXXX` at `at` stands for.
fn unit(json: &[u8], at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_blanks_and_duplicate_keys_stay_as_they_are() {
        for text in [r#"{"a":12345678901234567890.10}"#, r#"{"a":1,"a":2}"#, r#"[ 1e400, -0.0 , "😀\ud83d\ude00" ]"#]
        {
            assert_eq!(parse(text.as_bytes()).unwrap().get(), text);
        }
    }

    #[test]
    fn broken_deep_and_half_characters_are_refused() {
        for text in ["", "{", "{\"a\":}", "nul", "{} {}", r#""\ud800""#, r#""\ud800A""#, r#""\udc00""#, "\"\u{1}\""] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(matches!(parse(&[b'['; 10_000]), Err(JsonError::Syntax(_))));
        let deep = [vec![b'['; 10_000], vec![b']'; 10_000]].concat();
        assert!(matches!(parse(&deep), Err(JsonError::TooDeep)));
        assert!(parse(&[b'"', 0xff, b'"']).is_err());
    }

    #[test]
    fn a_syntax_error_tells_line_and_column() {
        assert!(parse(b"{\n  \"a\": x}").unwrap_err().to_string().contains("line 2 column 8"));
    }

    proptest! {
        #[test]
        fn no_input_panics_and_what_is_accepted_is_unchanged(text in "[\\[\\]{}\",:\\\\u0d8c1e\\-. ]{0,40}") {
            if let Ok(raw) = parse(text.as_bytes()) {
                prop_assert_eq!(raw.get(), text.trim());
            }
        }
    }
}

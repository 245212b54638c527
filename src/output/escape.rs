//! Escapes text from outside: characters that move the cursor, reorder or hide text are never written.

use std::borrow::Cow;
use std::fmt::Write as _;

pub use crate::domain::text::is_unsafe;

/// The text on one line with every unsafe character escaped: `\n`, `\r`, `\t`, else `\u{1b}`. Backslashes are not escaped, so it
/// is for people; JSON is exact.
pub fn escape(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// As [`escape`], for bytes: those that are not UTF-8 become `\xNN`.
pub fn escape_bytes(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        escaped.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            write!(escaped, "\\x{byte:02x}").expect("writing to a String cannot fail");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(escape("a\nb\tc\rd"), "a\\nb\\tc\\rd");
        assert_eq!(escape("\u{1b}[31mred\u{7}"), "\\u{1b}[31mred\\u{7}");
        assert_eq!(
            escape("\u{9b}2J\u{202e}x\u{2028}\u{200b}\u{feff}"),
            "\\u{9b}2J\\u{202e}x\\u{2028}\\u{200b}\\u{feff}"
        );
    }

    #[test]
    fn ordinary_text_of_any_language_is_left_alone() {
        for text in ["Grüße, Welt", "請求書", "it's \"quoted\" \\ 100 %", "🎉", "שלום"] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn bytes_that_are_not_utf8_show_as_hex() {
        assert_eq!(escape_bytes(b"ok \xff\xc3( \x1b"), "ok \\xff\\xc3( \\u{1b}");
        assert_eq!(escape_bytes("\u{85}é".as_bytes()), "\\u{85}é");
    }
}

//! Text that people give: which characters are dangerous in it, and how long it may be.

use std::str::FromStr;

/// The most characters of a description.
pub const LONGEST_DESCRIPTION: usize = 2_000;

/// Whether a character could steer a terminal, break a line, reorder text or hide in it: C0, DEL, C1, line and paragraph
/// separators, bidirectional controls (Unicode Standard Annex 9), zero-width and other characters that show nothing
/// (`Default_Ignorable_Code_Point`, but for the variation selectors that emoji need).
pub fn is_unsafe(c: char) -> bool {
    // Most text is printable ASCII.
    !matches!(c, ' '..='~')
        && matches!(c,
        '\u{0}'..='\u{1f}'
        | '\u{7f}'..='\u{9f}'
        | '\u{ad}'
        | '\u{34f}'
        | '\u{61c}'
        | '\u{115f}'..='\u{1160}'
        | '\u{17b4}'..='\u{17b5}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{3164}'
        | '\u{feff}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}'
        | '\u{e0000}'..='\u{e007f}')
}

/// A character for a message: a name where it has one, else its code point; never the character itself.
pub fn describe(c: char) -> String {
    match c {
        ' ' => "a blank".to_owned(),
        '\t' => "a tab".to_owned(),
        '\n' | '\r' => "a line end".to_owned(),
        c if c.is_control() => format!("the control character U+{:04X}", u32::from(c)),
        c => format!("the invisible character U+{:04X}", u32::from(c)),
    }
}

/// A whole number written in ASCII digits alone: no sign, no blank.
pub fn whole_number<N: FromStr>(text: &str) -> Option<N> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The first `most` characters of a text for a message; one that is longer ends in `…`.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Why a text is not accepted. Reads on from the text's name: `a name holds a tab at character 2`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    #[error("is empty")]
    Empty,
    #[error("has {length} characters; the limit is {longest}")]
    TooLong { length: usize, longest: usize },
    /// `position` counts characters from 1.
    #[error("holds {} at character {position}; remove it", describe(*.character))]
    Unsafe { character: char, position: usize },
}

/// Checks one line of 1 to `longest` characters.
pub fn check_line(text: &str, longest: usize) -> Result<(), TextError> {
    check(text, longest, is_unsafe)
}

/// Checks a text of 1 to `longest` characters that may hold line feeds.
pub fn check_lines(text: &str, longest: usize) -> Result<(), TextError> {
    check(text, longest, |c| is_unsafe(c) && c != '\n')
}

fn check(text: &str, longest: usize, is_refused: impl Fn(char) -> bool) -> Result<(), TextError> {
    let length = text.chars().count();
    match text.chars().zip(1..).find(|(c, _)| is_refused(*c)) {
        _ if length == 0 => Err(TextError::Empty),
        _ if length > longest => Err(TextError::TooLong { length, longest }),
        Some((character, position)) => Err(TextError::Unsafe { character, position }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_bidi_marks_separators_and_invisible_characters_are_unsafe() {
        assert!(('\u{0}'..=char::MAX).filter(|c| c.is_control()).all(is_unsafe));
        for c in "\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{3164}\u{feff}\u{e0041}".chars() {
            assert!(is_unsafe(c), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn ordinary_text_of_any_language_is_accepted() {
        for text in ["Grüße, Welt", "請求書", "it's \"quoted\" \\ 100 %", "❤\u{fe0f}", "שלום", "a\u{a0}b"] {
            assert_eq!(check_line(text, 100), Ok(()), "{text}");
        }
    }

    #[test]
    fn a_long_text_is_shortened_between_two_characters() {
        assert_eq!([shortened("héé", 3), shortened("héé", 2), shortened("", 0)], ["héé", "hé…", ""]);
    }

    #[test]
    fn a_text_that_is_not_accepted_is_told_why() {
        let told = |text: &str| check_line(text, 3).unwrap_err().to_string();
        assert_eq!(told(""), "is empty");
        assert_eq!(told("abcd"), "has 4 characters; the limit is 3");
        assert_eq!(told("é\t"), "holds a tab at character 2; remove it");
        assert_eq!(told("\u{1b}"), "holds the control character U+001B at character 1; remove it");
        assert_eq!(told("a\u{200b}"), "holds the invisible character U+200B at character 2; remove it");
        assert_eq!(check_lines("a\nb", 3), Ok(()));
        assert!(check_line("a\nb", 3).is_err() && check_lines("a\r", 3).is_err());
    }
}

//! Texts within the bounds of a receiver, and with no meaning but their own.

/// What stands for a character in a receiver's texts.
pub type Escape = fn(char, &mut String);

/// At most `most` units of UTF-16, which is the most that any receiver counts; what is cut ends in an ellipsis. No escape is cut
/// in the middle.
pub fn within(text: &str, most: usize, escape: Escape) -> String {
    let (mut escaped, mut units) = (String::new(), 0);
    // Where there is room for the ellipsis.
    let mut last_cut = 0;
    for character in text.trim().chars() {
        let before = escaped.len();
        escape(character, &mut escaped);
        units += escaped[before..].encode_utf16().count();
        if units > most {
            escaped.truncate(last_cut);
            escaped.push('…');
            break;
        }
        if units < most {
            last_cut = escaped.len();
        }
    }
    escaped
}

pub fn plain(character: char, text: &mut String) {
    text.push(character);
}

/// Markdown takes a backslash before punctuation for the punctuation itself.
pub fn markdown(character: char, text: &mut String) {
    if "\\*_~`|<>#[]".contains(character) {
        text.push('\\');
    }
    text.push(character);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis_and_no_escape_is_cut() {
        for (text, most, expected) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            (" a ", 3, "a"),
            ("a*b", 4, "a\\*b"),
            ("a*bc", 4, "a\\*…"),
            ("ab*c", 4, "ab…"),
            ("ab*c", 3, "ab…"),
            ("😀😀", 4, "😀😀"),
            ("😀😀😀", 4, "😀…"),
            ("", 3, ""),
        ] {
            assert_eq!(within(text, most, markdown), expected, "{text}");
        }
    }
}

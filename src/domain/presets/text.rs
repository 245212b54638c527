//! Texts within the bounds of a receiver, and with no meaning but their own.

/// Marks of Markdown that are ordinary in URLs.
const URL_MARKS: &str = "_~#";

/// The escape for a character in a receiver's texts.
pub type Escape = fn(char, &mut String);

/// At most `most` units of UTF-16, which is the most that any receiver counts; what is cut ends in an ellipsis. No escape is cut
/// in the middle. In a URL, which receivers make a link by themselves, the marks that URLs have stay as they are.
pub fn within(text: &str, most: usize, escape: Escape) -> String {
    let (mut escaped, mut units) = (String::new(), 0);
    // Where there is room for the ellipsis.
    let (mut last_cut, mut is_in_url) = (0, false);
    let text = text.trim();
    for (at, character) in text.char_indices() {
        let before = escaped.len();
        is_in_url = !ends_url(character) && (is_in_url || begins_url(&text[at..]));
        match is_in_url && URL_MARKS.contains(character) {
            true => plain(character, &mut escaped),
            false => escape(character, &mut escaped),
        }
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

fn begins_url(text: &str) -> bool {
    text.starts_with("https://") || text.starts_with("http://")
}

/// Blanks, and what no URL has (RFC 3986, appendix C).
fn ends_url(character: char) -> bool {
    character.is_whitespace() || "<>\"|`\\[]".contains(character)
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

    #[test]
    fn a_url_in_a_text_stays_usable_and_what_is_beside_it_is_escaped() {
        for (text, expected) in [
            ("see https://x.example/a_b~c#d_e now_", "see https://x.example/a_b~c#d_e now\\_"),
            ("_http://x.example/_", "\\_http://x.example/_"),
            ("[a_b](http://x.example/a_b)*c*", "\\[a\\_b\\](http://x.example/a_b)\\*c\\*"),
            ("<http://x.example/a_b|c_d>", "\\<http://x.example/a_b\\|c\\_d\\>"),
            ("httpx://a_b", "httpx://a\\_b"),
        ] {
            assert_eq!(within(text, 100, markdown), expected, "{text}");
        }
    }
}

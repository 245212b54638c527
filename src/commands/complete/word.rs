//! Words as each shell writes them.

use std::ffi::OsString;

use super::super::completions::Shell;

/// What a word of the line means. Bash, zsh and fish hand it over as it was typed, perhaps with a quote still open; the others
/// have read it themselves.
pub fn meant(shell: Shell, word: OsString) -> OsString {
    match (shell, word.to_str()) {
        (Shell::Bash | Shell::Zsh | Shell::Fish, Some(text)) => unquoted(text).into(),
        // The older shells drop an argument that is empty, so it comes quoted.
        (Shell::Powershell, Some(r#""""#)) => OsString::new(),
        _ => word,
    }
}

/// A line for the script: the value, and what it is where the shell shows that. Zsh, fish and elvish quote what they insert;
/// for the others it is quoted here, so that no name from the database is ever read as anything but a word.
pub fn line(shell: Shell, value: &str, help: Option<&str>, typed: &str) -> String {
    let help = help.unwrap_or_default();
    match shell {
        Shell::Bash => format!("{}\n", quoted_for_bash(value, typed.chars().next())),
        Shell::Elvish => format!("{value}\n"),
        Shell::Fish => format!("{value}\t{help}\n"),
        Shell::Powershell => format!("{}\t{help}\n", quoted_for_powershell(value)),
        Shell::Zsh => {
            let value = value.replace('\\', "\\\\").replace(':', "\\:");
            match help {
                "" => format!("{value}\n"),
                help => format!("{value}:{help}\n"),
            }
        }
    }
}

/// Quoted by the quote that is open, if one is.
fn quoted_for_bash(value: &str, open: Option<char>) -> String {
    let behind_backslash = |is_plain: fn(char) -> bool| {
        value.chars().fold(String::new(), |mut quoted, c| {
            if !is_plain(c) {
                quoted.push('\\');
            }
            quoted.push(c);
            quoted
        })
    };
    match open {
        Some('\'') => value.replace('\'', r"'\''"),
        Some('"') => behind_backslash(|c| !"\"$`\\".contains(c)),
        _ => behind_backslash(|c| c.is_alphanumeric() || "_-./:=@%+,".contains(c)),
    }
}

fn quoted_for_powershell(value: &str) -> String {
    match value.chars().all(|c| c.is_ascii_alphanumeric() || "_-./:=".contains(c)) {
        true => value.to_owned(),
        false => format!("'{}'", value.replace('\'', "''")),
    }
}

/// The word without its quotes, by the rules that the POSIX shells share.
fn unquoted(word: &str) -> String {
    let mut meant = String::with_capacity(word.len());
    let mut open = None;
    let mut characters = word.chars().peekable();
    while let Some(c) = characters.next() {
        match (open, c) {
            (None, '\'' | '"') => open = Some(c),
            (Some(quote), c) if quote == c => open = None,
            (None, '\\') => meant.extend(characters.next()),
            (Some('"'), '\\') => {
                meant.push(characters.next_if(|next| "\"$`\\".contains(*next)).unwrap_or('\\'));
            }
            (_, c) => meant.push(c),
        }
    }
    meant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_means_what_the_shell_would_read() {
        for (typed, meant) in [
            ("crm", "crm"),
            ("", ""),
            (r"a\ b\'c", "a b'c"),
            ("'a b'\\''c'", "a b'c"),
            (r#""a \$b \n"#, r"a $b \n"),
            ("'open", "open"),
            ("--db='x y'", "--db=x y"),
            ("a\\", "a"),
        ] {
            assert_eq!(unquoted(typed), meant, "{typed}");
        }
    }

    #[test]
    fn a_name_stays_one_word_whatever_it_holds() {
        let name = r#"a $(b) 'c' "d" \e"#;
        for quote in ["", "\"", "'"] {
            let inserted = format!("{quote}{}{quote}", quoted_for_bash(name, quote.chars().next()));
            assert_eq!(unquoted(&inserted), name, "{inserted}");
        }
        assert_eq!(quoted_for_bash("a$(b)", None), r"a\$\(b\)");
        assert_eq!(quoted_for_powershell("it's"), "'it''s'");
        assert_eq!(line(Shell::Zsh, r"a:b\", Some("c:d"), ""), "a\\:b\\\\:c:d\n");
    }
}

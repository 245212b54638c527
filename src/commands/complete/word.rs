//! Quoting in each shell.

use std::ffi::OsString;

use super::super::completions::Shell;

/// Unquotes a word of the line. Bash, zsh and fish pass it as typed, perhaps with an open quote; the others unquote it.
pub fn meant(shell: Shell, word: OsString) -> OsString {
    match (shell, word.to_str()) {
        (Shell::Bash | Shell::Zsh | Shell::Fish, Some(text)) => unquoted(text).into(),
        // Older versions drop empty arguments, so the script quotes them.
        (Shell::Powershell, Some(r#""""#)) => OsString::new(),
        _ => word,
    }
}

/// A line for the script: the value, with a description if the shell shows one. Zsh, fish and elvish quote the value; for the
/// others it is quoted here, so that a name from the database is always one word.
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

/// Continues the open quote, if there is one.
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

/// Unquotes by the rules that POSIX shells share.
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

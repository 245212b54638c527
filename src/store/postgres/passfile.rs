//! Passwords from a file, as psql reads them. <https://www.postgresql.org/docs/current/libpq-pgpass.html>

use std::path::Path;

/// The password in a password file for a host, port, database and user. A file that others can read is left alone, which is
/// worth a warning.
pub fn password_for(file: &Path, place: &[String; 4], warnings: &mut Vec<String>) -> Option<String> {
    let metadata = std::fs::metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o077 != 0 {
        let warning = format!("{} is not used: others can read it; run `chmod 600` on it", file.display());
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
        return None;
    }
    #[cfg(not(unix))]
    let _ = (metadata, warnings);
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().filter(|line| !line.starts_with('#')).find_map(|line| password_in(line, place))
}

/// The password of a line whose four fields are these, or `*`.
fn password_in(line: &str, place: &[String; 4]) -> Option<String> {
    let fields = fields(line);
    let (password, found) = fields.split_last()?;
    let is_meant = found.len() == place.len()
        && found.iter().zip(place).all(|((field, is_plain), wanted)| (*is_plain && field == "*") || field == wanted);
    is_meant.then(|| password.0.clone()).filter(|password| !password.is_empty())
}

/// The fields of a line, each with whether nothing in it was escaped. `\` takes the next character as it is.
fn fields(line: &str) -> Vec<(String, bool)> {
    let mut fields = vec![(String::new(), true)];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let is_last = fields.len() == 5;
        let Some((field, is_plain)) = fields.last_mut() else { break };
        match character {
            '\\' => {
                *is_plain = false;
                field.extend(characters.next());
            }
            ':' if !is_last => fields.push((String::new(), true)),
            other => field.push(other),
        }
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_password(line: &str, expected: Option<&str>) {
        let place = ["db.example", "5432", "hooks", "app"].map(str::to_owned);
        assert_eq!(password_in(line, &place).as_deref(), expected, "{line}");
    }

    #[test]
    fn a_line_counts_where_its_four_fields_fit() {
        assert_password("db.example:5432:hooks:app:secret", Some("secret"));
        assert_password("*:*:*:app:secret", Some("secret"));
        assert_password("*:*:*:*:with\\:colon\\\\", Some("with:colon\\"));
        assert_password("*:*:*:*:a:b", Some("a:b"));
        assert_password("db.example:5433:hooks:app:secret", None);
        assert_password("\\*:*:*:*:secret", None);
        assert_password("*:*:*:*:", None);
        assert_password("*:*:*:app", None);
        assert_password("", None);
    }
}

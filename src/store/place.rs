//! The place of a database: a file or a server.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use super::postgres::{AddressError, Server, Variables};

/// The place of a database. `Display` never shows a password.
#[derive(Clone, Debug)]
pub enum Place {
    File(PathBuf),
    Server(Box<Server>),
}

impl Place {
    /// Reads `--db`: a PostgreSQL URL or a path. `variables` is called for a URL only.
    pub fn parse(text: &OsStr, variables: impl FnOnce() -> Variables) -> Result<Place, AddressError> {
        let Some((scheme, _)) = text.to_str().and_then(scheme) else { return Ok(Place::File(text.into())) };
        match scheme {
            "postgres" | "postgresql" => {
                let url = text.to_str().unwrap_or_default();
                Ok(Place::Server(Box::new(Server::parse(url, &variables())?)))
            }
            other => Err(AddressError::new(format!("'{other}' is not a kind of database that hookctl knows"))
                .hint("give the path of a file, or postgres://user@host/database")),
        }
    }

    /// The path, if it is a file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Place::File(path) => Some(path),
            Place::Server(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File(path) => path.display().fmt(f),
            Place::Server(server) => server.fmt(f),
        }
    }
}

/// Splits a URL into its scheme (RFC 3986, section 3.1) and what follows `://`; `None` for a path.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = text.split_once("://")?;
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some((scheme, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Place, AddressError> {
        Place::parse(OsStr::new(text), Variables::default)
    }

    #[test]
    fn a_path_is_a_file_and_a_url_a_server() {
        for path in ["hooks.db", "/var/lib/hooks.db", "file:x?mode=memory", "a/b://c", ":memory:"] {
            assert_eq!(parse(path).unwrap().file(), Some(Path::new(path)), "{path}");
        }
        let server = parse("postgresql://app@db.example/hooks").unwrap();
        assert_eq!((server.file(), server.to_string().as_str()), (None, "postgres://app@db.example/hooks"));
    }

    #[test]
    fn another_scheme_is_refused_by_its_name() {
        let error = parse("mysql://root@db/hooks").unwrap_err();
        assert_eq!(error.to_string(), "'mysql' is not a kind of database that hookctl knows");
    }
}

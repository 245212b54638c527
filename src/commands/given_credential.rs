//! Credentials given by options and files: the environment variable or the file that holds them.

use std::convert::Infallible;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _};
use serde_json::Value;

use super::arguments;
use crate::domain::credential::{Credential, Source};
use crate::domain::secret::Secret;
use crate::domain::webhook::{Field, Invalid};
use crate::settings;

/// The source of a credential, or the credential itself, which `export --with-secrets` writes.
#[derive(Clone, Debug, PartialEq)]
pub enum GivenCredential {
    /// Named by an option: it must exist.
    Named(Source),
    /// Referred to by a file: if the variable is not set, the webhook keeps its credential.
    Referred(Source),
    Text(Secret),
}

impl GivenCredential {
    #[allow(clippy::unnecessary_wraps, reason = "clap takes functions that may fail")]
    pub fn env(name: &str) -> Result<GivenCredential, Infallible> {
        Ok(GivenCredential::Named(Source::Env(name.to_owned())))
    }

    /// The path is made absolute: other commands run in other folders.
    #[allow(clippy::unnecessary_wraps, reason = "clap takes functions that may fail")]
    pub fn file(name: &str) -> Result<GivenCredential, Infallible> {
        let path = std::path::absolute(name).ok().and_then(|path| path.into_os_string().into_string().ok());
        Ok(GivenCredential::Named(Source::File(path.unwrap_or_else(|| name.to_owned()))))
    }

    /// The credential with its value; without one if a file refers to a variable that is not set.
    pub fn read(&self, field: Field, longest: usize) -> Result<Credential, Invalid> {
        let (source, is_referred) = match self {
            GivenCredential::Text(secret) => return Ok(Credential::new(secret.clone(), None)),
            GivenCredential::Named(source) => (source, false),
            GivenCredential::Referred(source) => (source, true),
        };
        let field = field.given_by(Some(source));
        let bytes = match source {
            Source::Env(name) => match settings::variable(name) {
                Some(bytes) => bytes,
                None if is_referred => return Ok(Credential { value: None, source: Some(source.clone()) }),
                None => {
                    return Err(field
                        .invalid("that environment variable is not set")
                        .hint("give the name of a variable, not the credential itself"));
                }
            },
            // The user may have given the credential itself as the name.
            Source::File(path) => arguments::read_file(path, longest)
                .map_err(|reason| field.invalid(reason.replace(&format!("'{path}'"), "the file")))?,
        };
        let text = String::from_utf8(bytes).map_err(|_| field.invalid("it is not UTF-8"))?;
        let text = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
        match text.is_empty() {
            true => Err(field.invalid("it is empty")),
            false => Ok(Credential::new(Secret::of_text(text), Some(source.clone()))),
        }
    }
}

/// A header whose value is a credential.
pub type GivenHeader = (String, GivenCredential);

/// `NAME=VAR`, for clap.
pub fn header_env(text: &str) -> Result<GivenHeader, String> {
    let (name, variable) = text.split_once('=').ok_or("write NAME=VAR: the header, and the variable with its value")?;
    Ok((name.to_owned(), GivenCredential::Named(Source::Env(variable.to_owned()))))
}

/// `NAME=FILE`, for clap.
pub fn header_file(text: &str) -> Result<GivenHeader, String> {
    let (name, file) = text.split_once('=').ok_or("write NAME=FILE: the header, and the file with its value")?;
    GivenCredential::file(file).map(|given| (name.to_owned(), given)).map_err(|never| match never {})
}

/// `{ env = "VARIABLE" }`, `{ file = "PATH" }`, `{ value = "TEXT" }`, or the text itself.
impl<'de> Deserialize<'de> for GivenCredential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GivenCredential, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Literal {
            value: String,
        }
        let given = match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(GivenCredential::Text(Secret::of_text(text))),
            given if given.get("value").is_some() => {
                Literal::deserialize(given).map(|literal| GivenCredential::Text(Secret::of_text(literal.value)))
            }
            given => Source::deserialize(given).map(GivenCredential::Referred),
        };
        // The library's messages would repeat what may be a credential.
        given.map_err(|_| D::Error::custom("write { env = \"VARIABLE\" }, { file = \"PATH\" } or { value = \"TEXT\" }"))
    }
}

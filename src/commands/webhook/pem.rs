//! Certificates given by options and files.

use std::convert::Infallible;
use std::str::FromStr;

use serde::Deserialize;

use crate::commands::arguments;
use crate::domain::webhook::{Field, Invalid};

/// Certificates: a file that the option names, or the text that a configuration file holds.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(from = "String")]
pub enum Pem {
    File(String),
    Text(String),
}

impl FromStr for Pem {
    type Err = Infallible;

    fn from_str(name: &str) -> Result<Pem, Infallible> {
        Ok(Pem::File(name.to_owned()))
    }
}

impl From<String> for Pem {
    fn from(text: String) -> Pem {
        Pem::Text(text)
    }
}

impl Pem {
    /// The certificates; an error if they are longer than `longest` bytes.
    pub fn read(&self, field: Field, longest: usize) -> Result<String, Invalid> {
        let bytes = match self {
            Pem::Text(text) if text.contains("-----BEGIN") => return Ok(text.clone()),
            Pem::Text(_) => {
                return Err(field.invalid("it is not PEM; put the certificate itself here, not its path"));
            }
            Pem::File(name) => arguments::read_file(name, longest).map_err(|reason| field.invalid(reason))?,
        };
        String::from_utf8(bytes).map_err(|_| field.invalid("not a PEM file"))
    }
}

//! A change of the settings of the scheme `hmac`: options of create and update, and keys of a configuration file.

use clap::Args;
use serde::Deserialize;

use crate::commands::candidates::Candidates;
use crate::domain::webhook::{Field, HmacSettings, Invalid};

/// The settings to change; the others keep their values.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HmacChange {
    /// Of the scheme hmac: the header that carries the signature [default: X-Signature]
    #[arg(long, value_name = "NAME", help_heading = "Signature")]
    pub signature_header: Option<String>,
    /// Of the scheme hmac: the text before the signature, such as sha256= [default: none]
    #[arg(long, value_name = "TEXT", help_heading = "Signature")]
    pub signature_prefix: Option<String>,
    /// Of the scheme hmac: hex or base64 [default: hex]
    #[arg(long, value_name = "ENCODING", add = Candidates::Words(&["hex", "base64"]), help_heading = "Signature")]
    pub signature_encoding: Option<String>,
    /// Of the scheme hmac: sha256, sha1 or sha512 [default: sha256]
    #[arg(long, value_name = "HASH", add = Candidates::Words(&["sha256", "sha1", "sha512"]), help_heading = "Signature")]
    pub signature_algorithm: Option<String>,
}

impl HmacChange {
    /// Whether a key of a file is one of these settings.
    pub fn has_key(key: &str) -> bool {
        const FIELDS: [Field; 4] =
            [Field::SIGNATURE_HEADER, Field::SIGNATURE_PREFIX, Field::SIGNATURE_ENCODING, Field::SIGNATURE_ALGORITHM];
        FIELDS.iter().any(|field| field.key == key)
    }

    pub fn apply(&self, hmac: &mut HmacSettings) -> Result<(), Invalid> {
        self.signature_header.as_deref().map_or(Ok(()), |name| hmac.set_header(name))?;
        self.signature_prefix.as_deref().map_or(Ok(()), |text| hmac.set_prefix(text))?;
        self.signature_encoding.as_deref().map_or(Ok(()), |name| hmac.set_encoding(name))?;
        self.signature_algorithm.as_deref().map_or(Ok(()), |name| hmac.set_algorithm(name))
    }
}

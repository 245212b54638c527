//! The settings of the signature scheme `hmac`, which fits many receivers: header, prefix, encoding and hash.

use serde::{Deserialize, Serialize};

use super::field::{Field, Invalid};
use crate::domain::custom_headers;
use crate::domain::signature::{Encoding, Hash, Overrides, Scheme, is_prefix};

pub(super) const HMAC: &str = "hmac";

/// `None` is the default that `hookctl schemes` shows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HmacSettings {
    pub signature_header: Option<String>,
    pub signature_prefix: Option<String>,
    pub signature_encoding: Option<String>,
    pub signature_algorithm: Option<String>,
}

impl HmacSettings {
    pub fn set_header(&mut self, name: &str) -> Result<(), Invalid> {
        custom_headers::check_signature_name(name).map_err(|error| Field::SIGNATURE_HEADER.invalid(error))?;
        self.signature_header = Some(name.to_owned());
        Ok(())
    }

    pub fn set_prefix(&mut self, text: &str) -> Result<(), Invalid> {
        if !is_prefix(text) {
            return Err(Field::SIGNATURE_PREFIX.invalid("not visible ASCII text"));
        }
        self.signature_prefix = Some(text.to_owned());
        Ok(())
    }

    pub fn set_encoding(&mut self, name: &str) -> Result<(), Invalid> {
        let encoding: Encoding = name.parse().map_err(|error| Field::SIGNATURE_ENCODING.invalid(error))?;
        self.signature_encoding = Some(encoding.name().to_owned());
        Ok(())
    }

    pub fn set_algorithm(&mut self, name: &str) -> Result<(), Invalid> {
        let hash: Hash = name.parse().map_err(|error| Field::SIGNATURE_ALGORITHM.invalid(error))?;
        self.signature_algorithm = Some(hash.name().to_owned());
        Ok(())
    }

    /// The scheme of this name, with these settings applied to `hmac`; `None` if there is no such scheme.
    pub(super) fn scheme(&self, name: &str) -> Option<Scheme> {
        let scheme = Scheme::find(name)?;
        let own = (scheme.name == HMAC).then(|| scheme.with(&self.overrides()).ok()).flatten();
        Some(own.unwrap_or_else(|| scheme.clone()))
    }

    /// Refuses settings of `hmac` for a webhook that does not sign with it.
    pub(super) fn check(&self, schemes: &[String]) -> Result<(), Invalid> {
        match self.field() {
            Some(field) if !schemes.iter().any(|name| name == HMAC) => Err(field
                .invalid("goes with the scheme hmac, and the webhook does not sign with it")
                .hint("add --signature hmac; the other schemes are fixed")),
            _ => Ok(()),
        }
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            hash: self.signature_algorithm.as_deref().and_then(|name| name.parse().ok()),
            encoding: self.signature_encoding.as_deref().and_then(|name| name.parse().ok()),
            prefix: self.signature_prefix.clone(),
            header: self.signature_header.clone(),
        }
    }

    /// The first setting that has a value.
    fn field(&self) -> Option<Field> {
        let fields = [
            (Field::SIGNATURE_HEADER, self.signature_header.is_some()),
            (Field::SIGNATURE_PREFIX, self.signature_prefix.is_some()),
            (Field::SIGNATURE_ENCODING, self.signature_encoding.is_some()),
            (Field::SIGNATURE_ALGORITHM, self.signature_algorithm.is_some()),
        ];
        fields.into_iter().find(|(_, is_set)| *is_set).map(|(field, _)| field)
    }
}

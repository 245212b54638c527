//! The options by which the user adapts a scheme whose sender leaves them open.

use std::borrow::Cow;

use super::{Algorithm, Encoding, Form, Hash, Scheme};
use crate::domain::custom_headers::is_token;

/// What the user may change about `hmac` and the convoy schemes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// `--algorithm`.
    pub hash: Option<Hash>,
    /// `--encoding`.
    pub encoding: Option<Encoding>,
    /// `--prefix`.
    pub prefix: Option<String>,
    /// `--header`.
    pub header: Option<String>,
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OverrideError {
    #[error("scheme {0} is fixed; --algorithm, --encoding, --prefix and --header go with hmac and the convoy schemes")]
    Fixed(&'static str),
    #[error("scheme {0} writes a list of signatures and takes no --prefix")]
    NoPrefix(&'static str),
    /// The header's name is not a token of RFC 9110.
    #[error("--header is not a header name; use letters, digits and hyphens")]
    HeaderName,
    #[error("--prefix is not visible ASCII text")]
    Prefix,
}

impl Scheme {
    /// This scheme with the user's options; unchanged when there are none.
    pub fn with(&self, overrides: &Overrides) -> Result<Scheme, OverrideError> {
        if *overrides == Overrides::default() {
            return Ok(self.clone());
        }
        if !self.adjustable {
            return Err(OverrideError::Fixed(self.name));
        }
        let mut changed = self.clone();
        if let (Some(hash), Algorithm::Hmac(_, form)) = (overrides.hash, self.algorithm) {
            changed.algorithm = Algorithm::Hmac(hash, form);
        }
        if let Some(encoding) = overrides.encoding {
            changed.encoding = encoding;
        }
        if let Some(prefix) = &overrides.prefix {
            changed.form = match self.form {
                Form::List { .. } => return Err(OverrideError::NoPrefix(self.name)),
                _ if !is_prefix(prefix) => return Err(OverrideError::Prefix),
                _ => Form::Prefixed(Cow::Owned(prefix.clone())),
            };
        }
        if let Some(header) = &overrides.header {
            if !is_token(header) {
                return Err(OverrideError::HeaderName);
            }
            changed.header = Cow::Owned(header.clone());
            changed.other_headers = &[];
        }
        Ok(changed)
    }
}

/// Whether a header can carry a text before a signature: visible ASCII characters.
pub fn is_prefix(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(name: &str) -> &'static Scheme {
        Scheme::find(name).unwrap()
    }

    #[test]
    fn options_change_hmac_and_convoy_only() {
        let sha512 = Overrides { hash: Some(Hash::Sha512), ..Overrides::default() };
        assert_eq!(scheme("hmac").with(&sha512).unwrap().algorithm.name(), "hmac-sha512");
        assert_eq!(scheme("convoy-advanced").with(&sha512).unwrap().algorithm.name(), "hmac-sha512");
        assert_eq!(scheme("github").with(&sha512), Err(OverrideError::Fixed("github")));
        assert_eq!(scheme("github").with(&Overrides::default()).as_ref(), Ok(scheme("github")));
    }

    #[test]
    fn a_prefix_and_a_header_must_be_fit_for_a_request() {
        let prefix = |text: &str| Overrides { prefix: Some(text.to_owned()), ..Overrides::default() };
        let header = |text: &str| Overrides { header: Some(text.to_owned()), ..Overrides::default() };
        assert_eq!(scheme("hmac").with(&prefix("sig=")).unwrap().value_template(), "sig={hex}");
        assert_eq!(scheme("hmac").with(&prefix("a\nb")), Err(OverrideError::Prefix));
        assert_eq!(scheme("convoy-advanced").with(&prefix("x")), Err(OverrideError::NoPrefix("convoy-advanced")));
        assert_eq!(scheme("hmac").with(&header("X-Mine")).unwrap().header, "X-Mine");
        assert_eq!(scheme("hmac").with(&header("X Mine")), Err(OverrideError::HeaderName));
    }
}

//! Secrets and the schemes that they can key.

use crate::domain::secret::Secret;
use crate::domain::signature::{Scheme, Signer};
use crate::error::Failure;

/// The schemes of a webhook that names none: those that its secret can key.
pub fn default_schemes(secret: &Secret) -> Vec<String> {
    let names: &[&str] = if secret.can_key_standard() { &["timetracker", "standard"] } else { &["timetracker"] };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Checks that a secret can key every one of these schemes; an error names `option`.
pub fn check_keys(schemes: &[String], secret: &Secret, option: &str) -> Result<(), Failure> {
    for scheme in schemes.iter().filter_map(|name| Scheme::find(name)) {
        Signer::new(scheme, &[secret])
            .map_err(|error| Failure::option(option, format!("cannot key the scheme {}: {error}", scheme.name)))?;
    }
    Ok(())
}

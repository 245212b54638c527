//! Secrets and the schemes that use them.

use std::collections::BTreeSet;

use anyhow::Result;
use serde::Serialize;

use crate::domain::credential::Source;
use crate::domain::secret::{KeyKind, Secret, SecretError};
use crate::domain::signature::{Scheme, Signer, public_key};
use crate::error::Failure;
use crate::output::{Cell, Text};
use crate::random::Random;

#[derive(Debug)]
pub struct NewSecret {
    pub secret: Secret,
    /// `None` if it was generated or came from stdin.
    pub source: Option<Source>,
    pub is_generated: bool,
}

/// The default schemes: those that fit the secret. A generated secret fits both.
pub fn default_schemes(secret: Option<&Secret>) -> Vec<String> {
    let names: &[&str] = match secret.map(|secret| (secret.kind(), secret.can_key_standard())) {
        Some((KeyKind::Ed25519, _)) => &["standard-v1a"],
        Some((KeyKind::Symmetric, false)) => &["timetracker"],
        Some((KeyKind::Symmetric, true)) | None => &["timetracker", "standard"],
    };
    names.iter().map(|name| (*name).to_owned()).collect()
}

pub fn key_kinds(schemes: &[String]) -> BTreeSet<KeyKind> {
    schemes.iter().filter_map(|name| Scheme::find(name)).map(Scheme::key_kind).collect()
}

/// The secrets to set so that each scheme has one of its kind: the given one, and new ones where `known` has none either.
/// Errors name `option`.
pub fn secrets_for(
    schemes: &[String],
    given: Option<(Secret, Option<Source>)>,
    known: &[&Secret],
    option: &str,
) -> Result<Vec<NewSecret>> {
    let mut new: Vec<NewSecret> = Vec::new();
    if let Some((secret, source)) = given {
        check_kind(schemes, &secret, option)?;
        new.push(NewSecret { secret, source, is_generated: false });
    }
    for kind in key_kinds(schemes) {
        let is_there =
            new.iter().map(|new| &new.secret).chain(known.iter().copied()).any(|secret| secret.kind() == kind);
        if !is_there {
            let secret = kind.new_secret(Random::secret_bytes()?);
            new.push(NewSecret { secret, source: None, is_generated: true });
        }
    }
    let all: Vec<&Secret> = new.iter().map(|new| &new.secret).chain(known.iter().copied()).collect();
    check_keys(schemes, &all, option)?;
    Ok(new)
}

/// Refuses a secret of a kind that none of the schemes uses.
pub fn check_kind(schemes: &[String], secret: &Secret, option: &str) -> Result<(), Failure> {
    let error = match secret.kind() {
        kind if key_kinds(schemes).contains(&kind) || schemes.is_empty() => return Ok(()),
        KeyKind::Ed25519 => SecretError::Ed25519,
        KeyKind::Symmetric => SecretError::NotEd25519,
    };
    Err(Failure::option(option, format!("it cannot be used with the scheme {}: {error}", schemes[0])))
}

/// Checks that each scheme can use the first secret of its kind; errors name `option`.
pub fn check_keys(schemes: &[String], secrets: &[&Secret], option: &str) -> Result<(), Failure> {
    for scheme in schemes.iter().filter_map(|name| Scheme::find(name)) {
        Signer::new(scheme, secrets).map_err(|error| {
            Failure::option(option, format!("it cannot be used with the scheme {}: {error}", scheme.name))
        })?;
    }
    Ok(())
}

#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownSecrets {
    /// The symmetric one, or the private key if it is the only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub private_key: Option<String>,
    /// The public key of a private key, for the receiver.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
}

impl ShownSecrets {
    /// Shows the first of each kind.
    pub fn of<'s>(secrets: impl Iterator<Item = &'s Secret> + Clone) -> ShownSecrets {
        let of_kind = |kind| secrets.clone().find(|secret| secret.kind() == kind);
        let (symmetric, ed25519) = (of_kind(KeyKind::Symmetric), of_kind(KeyKind::Ed25519));
        let text = |secret: &Secret| secret.expose().into_owned();
        ShownSecrets {
            secret: symmetric.or(ed25519).map(text),
            private_key: symmetric.and(ed25519).map(text),
            public_key: ed25519.and_then(|secret| public_key(secret).ok()),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.secret.is_none()
    }

    pub fn describe(&self, text: &mut Text) {
        text.optional("Secret", self.secret.as_ref().map(Cell::id));
        text.optional("Private key", self.private_key.as_ref().map(Cell::id));
        text.optional("Public key", self.public_key.as_ref().map(Cell::id));
    }
}

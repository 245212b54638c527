//! The options about schemes and secrets that sign, verify and others share.

use anyhow::Result;
use clap::Args;

use super::arguments::{self, Moment};
use super::secret_source::SecretSource;
use crate::commands::candidates::Candidates;
use crate::context::Context;
use crate::domain::secret::Secret;
use crate::domain::signature::{Encoding, Hash, Overrides, Scheme, Signer, schemes};
use crate::domain::text::whole_number;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::error::Failure;
use crate::store::Store;

/// The default scheme with --secret-…: fixed, because a request must never choose how it is verified.
const DEFAULT_SCHEME: &str = "timetracker";

/// The options that name a scheme and a secret.
#[derive(Args, Clone, Debug, Default)]
pub struct SignatureOptions {
    /// The signature scheme; see `hookctl schemes` [default: the webhook's own with -w, else timetracker]
    #[arg(short, long, value_name = "SCHEME", add = Candidates::Schemes)]
    pub scheme: Option<String>,
    /// Use the secrets, URL and method of this webhook
    #[arg(short, long, value_name = "WEBHOOK", add = Candidates::Webhooks, conflicts_with_all = ["secret_file", "secret_env", "secret_stdin"])]
    pub webhook: Option<String>,
    #[command(flatten)]
    pub secret: SecretSource,
    /// The URL that the request goes to, where the scheme signs it (square, hubspot-v3) [default: the webhook's]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The request's method, where the scheme signs it (hubspot-v3) [default: the webhook's]
    #[arg(long, value_name = "METHOD")]
    pub method: Option<String>,
    /// The hash: sha256, sha1 or sha512 [default: the webhook's with -w, else sha256]
    #[arg(long, value_name = "HASH", help_heading = "For hmac and the convoy schemes")]
    pub algorithm: Option<Hash>,
    /// How the signature is written: hex or base64
    #[arg(long, value_name = "ENCODING", help_heading = "For hmac and the convoy schemes")]
    pub encoding: Option<Encoding>,
    /// The text before the signature, such as sha256=
    #[arg(long, value_name = "TEXT", help_heading = "For hmac and the convoy schemes")]
    pub prefix: Option<String>,
    /// The header that carries the signature
    #[arg(long, value_name = "NAME", help_heading = "For hmac and the convoy schemes")]
    pub header: Option<String>,
}

/// The resolved options.
#[derive(Debug)]
pub struct Keyed {
    /// The schemes, at least one.
    pub schemes: Vec<Scheme>,
    /// The valid secrets, the signing one first; at least one.
    pub secrets: Vec<KeptSecret>,
    /// Secrets whose overlap has ended and that are not deleted yet.
    pub retired: Vec<Secret>,
    /// The URL that is signed, if known.
    pub url: Option<String>,
    /// The method that is signed, in upper case, if known.
    pub method: Option<String>,
    pub webhook: Option<String>,
    /// The option that named the secret, for messages.
    pub secret_option: &'static str,
}

#[derive(Debug)]
pub struct KeptSecret {
    pub secret: Secret,
    /// `given` by option, `current`, or `previous`: replaced and still valid.
    pub role: &'static str,
    /// When its overlap ends.
    pub expires_at: Option<Timestamp>,
}

impl SignatureOptions {
    pub fn reads_stdin(&self) -> bool {
        self.secret.secret_stdin
    }

    /// Refuses a scheme, a webhook or a secret without the flag that they are for; `hint` says what the flag does.
    pub fn refuse_without(&self, flag: &str, hint: &str) -> Result<(), Failure> {
        match self.secret.is_given() || self.webhook.is_some() || self.scheme.is_some() {
            true => {
                let message = format!("a scheme, webhook or secret is given, and {flag} is not");
                Err(Failure::invalid(message).hint(format!("add {flag} to {hint}")))
            }
            false => Ok(()),
        }
    }

    /// Resolves the schemes and reads the secrets.
    pub fn resolve(&self, context: &mut Context) -> Result<Keyed> {
        let named = match &self.scheme {
            Some(name) => Some(scheme_named("--scheme", name)?),
            None => None,
        };
        let keyed = match &self.webhook {
            Some(name) => {
                let store = context.store_to_read()?;
                let webhook = context.webhook(&store, name)?;
                self.of_webhook(&store, webhook, named, context.now())?
            }
            None => self.of_secret(named)?,
        };
        let overrides = self.overrides();
        let adjusted = keyed.schemes.iter().map(|scheme| scheme.with(&overrides)).collect::<Result<Vec<_>, _>>();
        let schemes = adjusted.map_err(|error| Failure::invalid(error.to_string()).hint("see --help"))?;
        Ok(Keyed { schemes, ..keyed })
    }

    fn of_webhook(
        &self,
        store: &Store,
        webhook: Webhook,
        named: Option<&'static Scheme>,
        now: Timestamp,
    ) -> Result<Keyed> {
        let mut settings = webhook.settings;
        store.load_credentials(webhook.id, &mut settings)?;
        let secrets: Vec<KeptSecret> = store
            .secrets(webhook.id, now)?
            .into_iter()
            .map(|stored| KeptSecret {
                role: if stored.expires_at.is_none() { "current" } else { "previous" },
                expires_at: stored.expires_at,
                secret: stored.secret,
            })
            .collect();
        if secrets.is_empty() {
            return Err(without_secret(&settings.name).into());
        }
        let schemes = match named {
            Some(scheme) => vec![settings.scheme(scheme.name).unwrap_or_else(|| scheme.clone())],
            None => settings
                .signature_schemes
                .iter()
                .map(|name| settings.scheme(name).ok_or_else(|| unknown_scheme("--webhook", name)))
                .collect::<Result<Vec<_>, _>>()?,
        };
        if schemes.is_empty() {
            return Err(Failure::option("--webhook", format!("'{}' has no signature scheme", settings.name))
                .hint("name one with --scheme")
                .into());
        }
        Ok(Keyed {
            schemes,
            secrets,
            retired: store.retired_secrets(webhook.id, now)?,
            url: self.url.clone().or_else(|| settings.full_url().map(std::borrow::Cow::into_owned)),
            method: Some(self.method().unwrap_or(settings.http_method)),
            webhook: Some(settings.name),
            secret_option: "--webhook",
        })
    }

    fn of_secret(&self, named: Option<&'static Scheme>) -> Result<Keyed, Failure> {
        let secret = self.secret.read_key()?.ok_or_else(|| {
            Failure::invalid("a secret is missing")
                .hint("name a webhook with -w, or give a secret by --secret-file, --secret-env or --secret-stdin")
        })?;
        let scheme = match named {
            Some(scheme) => scheme,
            None => scheme_named("--scheme", DEFAULT_SCHEME)?,
        };
        Ok(Keyed {
            schemes: vec![scheme.clone()],
            secrets: vec![KeptSecret { secret, role: "given", expires_at: None }],
            retired: Vec::new(),
            url: self.url.clone(),
            method: self.method(),
            webhook: None,
            secret_option: self.secret.option(),
        })
    }

    fn method(&self) -> Option<String> {
        self.method.as_ref().map(|method| method.to_ascii_uppercase())
    }

    fn overrides(&self) -> Overrides {
        Overrides {
            hash: self.algorithm,
            encoding: self.encoding,
            prefix: self.prefix.clone(),
            header: self.header.clone(),
        }
    }
}

impl Keyed {
    /// The secrets, the signing one first.
    pub fn secrets(&self) -> Vec<&Secret> {
        self.secrets.iter().map(|kept| &kept.secret).collect()
    }

    pub fn signers(&self) -> Result<Vec<Signer>, Failure> {
        let secrets = self.secrets();
        let signer = |scheme| Signer::new(scheme, &secrets);
        let signers = self.schemes.iter().map(signer).collect::<Result<_, _>>();
        signers.map_err(|error| Failure::option(self.secret_option, error))
    }
}

/// A scheme by its name or alias; errors name `option`.
pub fn scheme_named(option: &str, name: &str) -> Result<&'static Scheme, Failure> {
    Scheme::find(name).ok_or_else(|| unknown_scheme(option, name))
}

fn unknown_scheme(option: &str, name: &str) -> Failure {
    Failure::option(option, format!("no signature scheme '{name}'")).hint(schemes::advice(name))
}

/// The failure for a webhook without a secret.
pub fn without_secret(webhook: &str) -> Failure {
    Failure::invalid(format!("the webhook '{webhook}' has no secret; its requests are not signed")).hint(format!(
        "give it one with `hookctl webhook update {} --signature timetracker`",
        shell_words::quote(webhook)
    ))
}

/// The failure if two things are to be read from stdin; `option` is that of the first.
pub fn stdin_twice(option: &str, first: &str, second: &str) -> Failure {
    Failure::option(option, format!("{first} and {second} cannot both be read from stdin"))
        .hint("name a file for one of them, or read the secret with --secret-file or --secret-env")
}

/// The time of a signature, for clap: as elsewhere, but that a bare number is seconds or milliseconds since 1970.
///
/// A number past the year 9999 in seconds is milliseconds, which HubSpot and Linear send.
pub fn time(text: &str) -> Result<Moment, String> {
    let fits = |millis: &i64| *millis <= Timestamp::MAX.millis();
    let millis = |count: i64| count.checked_mul(1_000).filter(fits).or(Some(count).filter(fits));
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let moment = match is_number {
        true => whole_number(text).and_then(millis).map(|millis| Moment::At(Timestamp::from_millis(millis))),
        false => arguments::moment(text).ok(),
    };
    moment.ok_or_else(|| {
        "not a time; write 2026-01-31, 2026-01-31T12:00:00Z, whole seconds since 1970, or 2h for two hours ago"
            .to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_that_of_other_options_or_seconds_or_milliseconds_since_1970() {
        assert_eq!(time("1700000000"), time("2023-11-14T22:13:20Z"));
        assert_eq!(time("1700000000508"), time("2023-11-14T22:13:20.508Z"));
        assert_eq!(time("253402300799"), time("9999-12-31T23:59:59Z"));
        assert_eq!(time("0"), Ok(Moment::At(Timestamp::from_millis(0))));
        assert_eq!(time("2023-11-14"), time("2023-11-14T00:00:00Z"));
        assert_eq!(time("10m"), Ok(Moment::Ago(std::time::Duration::from_secs(600))));
        for text in ["", "-1", "+1", "1.5", "1700000000000000", "2026-13-01T00:00:00Z", "now", "99999999999999999999"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}

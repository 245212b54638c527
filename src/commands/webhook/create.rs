//! `hookctl webhook create`

use anyhow::Result;
use clap::Args;

use super::dialog;
use super::options::{self, Options};
use super::view::WebhookView;
use crate::commands::secret_source::SecretSource;
use crate::context::{Context, Exit};
use crate::domain::secret::Secret;
use crate::domain::signature::{Scheme, Signer};
use crate::domain::webhook::Settings;
use crate::error::Failure;
use crate::random::Random;

/// Register a webhook: a receiver and the event types it wants
///
/// Its secret is generated, unless one is given, and shown this once. Deliveries are signed with the schemes
/// `timetracker` and `standard` (Standard Webhooks) unless --signature says otherwise. At a terminal it asks for what is
/// missing, and shows the command that needs no questions.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook create billing --url https://billing.example/hooks \\
      -e 'invoice.*,payment.*'
  hookctl webhook create ci --url https://ci.example/hook -e '*' \\
      --signature github --secret-env CI_SECRET
  hookctl webhook create dev --url http://127.0.0.1:8000/ -e '*' --allow-private

Exit status:
  6  the name is taken")]
pub struct Create {
    /// Its name: unique, and not of digits alone
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    #[command(flatten)]
    pub options: Options,
    /// Create it disabled
    #[arg(long)]
    pub inactive: bool,
    /// Do not sign requests
    #[arg(long, conflicts_with_all = ["secret_file", "secret_env", "secret_stdin", "signatures"], help_heading = "Secret")]
    pub no_secret: bool,
    #[command(flatten)]
    pub secret: SecretSource,
}

impl Create {
    /// Runs the command.
    pub fn run(mut self, context: &mut Context) -> Result<Exit> {
        context.refuse_if_read_only()?;
        if self.is_incomplete()
            && let Some(prompt) = context.out.prompt()?
        {
            dialog::ask(&mut self, context, &prompt)?;
        }
        let name = self.name.clone().ok_or_else(|| missing("NAME"))?;
        options::check_name("NAME", &name)?;
        if self.options.url.is_none() {
            return Err(missing("--url").into());
        }
        if self.options.events.is_empty() {
            return Err(missing("--event").hint("say which events it wants: -e 'invoice.*', or -e '*' for all").into());
        }
        let mut settings = Settings { name, owner: context.settings.owner.clone(), ..Settings::default() };
        self.options.apply(&mut settings)?;
        let secret = self.secret(context, &mut settings)?;
        options::check_whole(context, &settings)?;
        let store = context.store_to_write()?;
        let now = context.now();
        let webhook = store.transaction(|| {
            let id = store.insert_webhook(&settings, !self.inactive, now)?;
            if let Some(secret) = &secret {
                store.set_secret(id, secret, now, None)?;
            }
            store.webhook(id)
        })?;
        options::warn_of_unknown_types(context, &store, &settings.events)?;
        if secret.is_none() {
            context.out.notice("requests to this webhook are not signed (--no-secret)");
        }
        let Some(webhook) = webhook else { return Ok(Exit::DONE) };
        let mut view = WebhookView::new(&webhook, 0);
        view.secret = secret.map(|secret| secret.expose().into_owned());
        context.out.page(&view)?;
        Ok(Exit::DONE)
    }

    /// Whether something is missing that can be asked for; with --secret-stdin the answers would be the secret.
    fn is_incomplete(&self) -> bool {
        let is_whole = self.name.is_some() && self.options.url.is_some() && !self.options.events.is_empty();
        !is_whole && !self.secret.secret_stdin
    }

    /// The secret that was given, or a new one; fills in the schemes that it can key when none was asked for.
    fn secret(&self, context: &mut Context, settings: &mut Settings) -> Result<Option<Secret>> {
        if self.no_secret {
            return Ok(None);
        }
        let secret = match self.secret.read()? {
            Some(secret) => secret,
            None => Secret::generate(Random::secret_bytes()?),
        };
        if settings.signature_schemes.is_empty() {
            settings.signature_schemes = default_schemes(&secret);
            if !secret.can_key_standard() {
                context.out.notice(
                    "the secret is not whsec_ and the base64 of 24 to 64 bytes, so requests are signed with timetracker \
                     alone, without standard",
                );
            }
        }
        let option = if self.secret.is_given() { self.secret.option() } else { "--signature" };
        check_keys(&settings.signature_schemes, &secret, option)?;
        Ok(Some(secret))
    }
}

/// The schemes of a webhook that names none: those that its secret can key.
pub fn default_schemes(secret: &Secret) -> Vec<String> {
    let names: &[&str] = if secret.can_key_standard() { &["timetracker", "standard"] } else { &["timetracker"] };
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Checks that a secret can key every one of these schemes.
pub fn check_keys(schemes: &[String], secret: &Secret, option: &str) -> Result<(), Failure> {
    for scheme in schemes.iter().filter_map(|name| Scheme::find(name)) {
        Signer::new(scheme, &[secret])
            .map_err(|error| Failure::option(option, format!("cannot key the scheme {}: {error}", scheme.name)))?;
    }
    Ok(())
}

fn missing(what: &str) -> Failure {
    Failure::invalid(format!("{what} is missing"))
        .hint("hookctl webhook create NAME --url URL -e PATTERN; see --help for all options")
}

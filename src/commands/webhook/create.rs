//! `hookctl webhook create`

use anyhow::Result;
use clap::Args;

use super::addresses;
use super::change::Change;
use super::dialog::{self, Draft};
use super::egress;
use super::signing::{NewSecret, ShownSecrets, default_schemes, secrets_for};
use super::view::WebhookView;
use crate::commands::catalogue::warn_of_slips;
use crate::commands::secret_source::SecretSource;
use crate::context::Context;
use crate::domain::presets::Preset;
use crate::domain::secret::KeyKind;
use crate::domain::webhook::Settings;
use crate::error::Failure;
use crate::output::Prompt;

/// Register a webhook: a receiver and the event types it subscribes to
///
/// Its secret is generated, unless one is given, and shown this once. Deliveries are signed with the schemes
/// `timetracker` and `standard` (Standard Webhooks) unless --signature says otherwise. At a terminal it asks for what is
/// missing, and shows the command that needs no questions. `hookctl help shaping` is about filters, transforms, presets and
/// order.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook create billing --url https://billing.example/hooks \\
      -e 'invoice.*,payment.*'
  hookctl webhook create ci --url https://ci.example/hook -e '*' \\
      --signature github --secret-env CI_SECRET
  hookctl webhook create large --url https://ops.example/in -e invoice.paid \\
      --filter '.data.total > 1000' --transform '{text: .description}'
  hookctl webhook create desk --preset slack --secret-url-file slack.url \\
      -e 'webhook.*,delivery.failed'
  hookctl webhook create dev --url http://127.0.0.1:8000/ -e '*' --allow-private

Exit status:
  6  the name is taken")]
pub struct Create {
    /// Its name: unique, and not of digits alone
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    change: Change,
    /// Create it disabled
    #[arg(long)]
    inactive: bool,
    /// Do not sign requests
    #[arg(long, conflicts_with_all = ["secret_file", "secret_env", "secret_stdin", "signature_schemes"], help_heading = "Secret")]
    no_secret: bool,
    #[command(flatten)]
    secret: SecretSource,
}

impl Create {
    pub fn run(mut self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        // Before the dialog: answers are no arguments.
        let preset = self.change.preset.as_deref().and_then(Preset::find);
        let exposed = self.change.exposed(preset.is_some_and(Preset::is_chat));
        if self.is_incomplete()
            && let Some(prompt) = context.out.prompt()?
        {
            self.ask(context, &prompt)?;
        }
        let mut settings = Settings { owner: context.settings.owner.clone(), ..Settings::default() };
        let name = self.name.as_ref().ok_or_else(|| missing("NAME"))?;
        settings.set_name(name)?;
        if !self.change.has_url() {
            return Err(missing("--url").into());
        }
        if self.change.events.is_none() {
            return Err(missing("--event").hint("say which events it wants: -e 'invoice.*', or -e '*' for all").into());
        }
        self.change.apply(&mut settings)?;
        let secrets = self.secrets(context, &mut settings)?;
        settings.check()?;
        egress::check_identity(context, &settings)?;
        addresses::check(context, &settings)?;
        let store = context.store_to_write()?;
        let now = context.now();
        let webhook = store.transaction(|| {
            let id = store.insert_webhook(&settings, !self.inactive, context.settings.user.as_deref(), now)?;
            for NewSecret { secret, source, .. } in &secrets {
                store.set_secret(id, secret, source.as_ref(), now, None)?;
            }
            store.webhook(id)
        })?;
        warn_of_slips(context, &store, &settings.events)?;
        exposed.iter().for_each(|notice| context.out.notice(notice));
        if self.no_secret {
            context.out.notice("requests to this webhook are not signed (--no-secret)");
        }
        let Some(webhook) = webhook else { return Ok(()) };
        let mut view = WebhookView::new(&webhook, 0, now);
        view.secrets = ShownSecrets::of(secrets.iter().map(|new| &new.secret));
        context.out.page(&view)
    }

    /// Whether something is missing that the dialog asks for. With --secret-stdin, stdin is the secret.
    fn is_incomplete(&self) -> bool {
        let is_whole = self.name.is_some() && self.change.has_url() && self.change.events.is_some();
        !is_whole && !self.secret.secret_stdin
    }

    fn ask(&mut self, context: &mut Context, prompt: &Prompt) -> Result<()> {
        let draft =
            Draft { name: self.name.take(), change: std::mem::take(&mut self.change), is_unsigned: self.no_secret };
        let draft = dialog::ask(draft, &self.secret, context, prompt)?;
        (self.name, self.change, self.no_secret) = (draft.name, draft.change, draft.is_unsigned);
        Ok(())
    }

    /// The given secret, and new ones for schemes without one. Fills in the schemes if none was given.
    fn secrets(&self, context: &mut Context, settings: &mut Settings) -> Result<Vec<NewSecret>> {
        let is_asked_for = self.secret.is_given() || self.change.signature_schemes.is_some();
        if self.no_secret || (settings.shape.is_chat() && !is_asked_for) {
            return Ok(Vec::new());
        }
        let given = self.secret.read()?;
        if settings.signature_schemes.is_empty() {
            settings.signature_schemes = default_schemes(given.as_ref());
            if given.as_ref().is_some_and(|given| given.kind() == KeyKind::Symmetric && !given.can_key_standard()) {
                context.out.notice(
                    "the secret is not whsec_ and the base64 of 24 to 64 bytes, so requests are signed with timetracker \
                     alone, without standard",
                );
            }
        }
        let option = if self.secret.is_given() { self.secret.option() } else { "--signature" };
        let given = given.map(|given| (given, self.secret.source()));
        secrets_for(&settings.signature_schemes, given, &[], option)
    }
}

fn missing(what: &str) -> Failure {
    Failure::invalid(format!("{what} is missing"))
        .hint("hookctl webhook create NAME --url URL -e PATTERN; see --help for all options")
}

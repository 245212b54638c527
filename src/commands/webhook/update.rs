//! `hookctl webhook update`

use anyhow::Result;
use clap::Args;

use super::addresses;
use super::change::Change;
use super::egress;
use super::signing::{NewSecret, ShownSecrets, key_kinds, secrets_for};
use super::view::WebhookView;
use crate::commands::candidates::Candidates;
use crate::commands::catalogue::warn_of_slips;
use crate::commands::secret_source::SecretSource;
use crate::context::Context;
use crate::domain::secret::Secret;
use crate::domain::webhook::{DISABLED_BY_HAND, Invalid, Settings};
use crate::error::Failure;
use crate::store::Store;

/// Change a webhook's settings
///
/// Settings that are not given stay unchanged. A new secret by --secret-… replaces the old one at once; to let both count for a
/// while, use `hookctl webhook secret rotate`.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:
  hookctl webhook update crm --url https://crm.example/v2/hooks
  hookctl webhook update crm --add-event 'task.*' --remove-event invoice.paid
  hookctl webhook update crm --add-event '!task.deleted'
  hookctl webhook update crm --name crm-eu --timeout 10s

Exit status:
  6  the new name is taken",
    mut_args(without_default)
)]
pub struct Update {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
    /// Its new name
    #[arg(long, value_name = "NEW")]
    name: Option<String>,
    #[command(flatten)]
    change: Change,
    /// Subscribe to these as well [repeatable, or with commas]
    #[arg(long = "add-event", value_name = "PATTERN", add = Candidates::Patterns, value_delimiter = ',')]
    add_events: Vec<String>,
    /// Subscribe to these no longer [repeatable, or with commas]
    #[arg(long = "remove-event", value_name = "PATTERN", add = Candidates::Patterns, value_delimiter = ',')]
    remove_events: Vec<String>,
    /// Send this header no longer [repeatable]
    #[arg(long = "remove-header", value_name = "NAME", help_heading = "Request")]
    remove_headers: Vec<String>,
    /// Disable it
    #[arg(long)]
    inactive: bool,
    /// Do not sign requests any longer; the secret is deleted
    #[arg(long, conflicts_with_all = ["secret_file", "secret_env", "secret_stdin", "signature_schemes"], help_heading = "Secret")]
    no_secret: bool,
    #[command(flatten)]
    secret: SecretSource,
}

/// The options are those of `create`, but none has a default here.
fn without_default(argument: clap::Arg) -> clap::Arg {
    let help = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let Some((text, (before, _))) =
        help.rsplit_once(" [").and_then(|(text, note)| Some((text, note.split_once("default: ")?)))
    else {
        return argument;
    };
    argument.help(match before.trim_end_matches("; ") {
        "" => text.to_owned(),
        note => format!("{text} [{note}]"),
    })
}

impl Update {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        if self.changes_nothing() {
            return Err(Failure::invalid("nothing to change: no option is given")
                .hint("name what is to be different, such as --url or --timeout; see --help")
                .into());
        }
        let secret = self.secret.read()?;
        let store = context.store_to_write()?;
        let webhook = context.webhook(&store, &self.webhook)?;
        let now = context.now();
        let mut settings = webhook.settings.clone();
        if self.change.egress.presents_anew() {
            store.load_credentials(webhook.id, &mut settings)?;
        }
        let settings = self.changed(settings)?;
        settings.check()?;
        if self.change.egress.presents_anew() {
            egress::check_identity(context, &settings)?;
        }
        addresses::check(context, &settings)?;
        let secrets = self.new_secrets(context, &store, webhook.id, &settings, secret)?;
        let webhook = store.transaction(|| {
            context.check_still_there(&store, webhook.id, &self.webhook)?;
            store.update_webhook(webhook.id, &settings, now)?;
            for NewSecret { secret, source, .. } in &secrets {
                store.set_secret(webhook.id, secret, source.as_ref(), now, None)?;
            }
            if self.no_secret || self.change.signature_schemes.is_some() {
                store.keep_secrets(webhook.id, &key_kinds(&settings.signature_schemes), now)?;
            }
            if self.inactive {
                store.disable_webhook(webhook.id, DISABLED_BY_HAND, now)?;
            }
            anyhow::Ok(store.webhook(webhook.id)?)
        })?;
        context.erase_deleted(&store);
        let named = self.change.events.iter().flatten().chain(&self.add_events);
        warn_of_slips(context, &store, named)?;
        self.change.exposed(settings.shape.is_chat()).iter().for_each(|notice| context.out.notice(notice));
        let Some(webhook) = webhook else { return Ok(()) };
        let mut view = WebhookView::new(&webhook, store.count_open(webhook.id)?, now);
        view.secrets = ShownSecrets::of(secrets.iter().filter(|new| new.is_generated).map(|new| &new.secret));
        context.out.page(&view)
    }

    fn changes_nothing(&self) -> bool {
        let lists = [&self.add_events, &self.remove_events, &self.remove_headers];
        self.change == Change::default()
            && self.name.is_none()
            && lists.into_iter().all(Vec::is_empty)
            && !(self.inactive || self.no_secret || self.secret.is_given())
    }

    fn changed(&self, mut settings: Settings) -> Result<Settings, Failure> {
        let named = |option: &'static str| move |invalid: Invalid| Failure::option(option, invalid.reason);
        if let Some(name) = &self.name {
            settings.set_name(name).map_err(named("--name"))?;
        }
        self.change.apply(&mut settings)?;
        for name in &self.remove_headers {
            let count = settings.headers.len();
            settings.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            if settings.headers.len() == count {
                return Err(Failure::option("--remove-header", format!("the webhook has no header '{name}'")));
            }
        }
        settings.add_events(&self.add_events).map_err(named("--add-event"))?;
        for pattern in &self.remove_events {
            if !settings.events.contains(pattern) {
                return Err(Failure::option(
                    "--remove-event",
                    format!("the webhook does not subscribe to '{pattern}'"),
                )
                .hint(format!("it subscribes to {}", settings.events.join(", "))));
            }
            settings.events.retain(|known| known != pattern);
        }
        settings.check_events().map_err(|invalid| {
            let hint =
                invalid.hint.unwrap_or_else(|| "disable it with `hookctl webhook disable`, or delete it".to_owned());
            Failure::option("--remove-event", invalid.reason).hint(hint)
        })?;
        if self.no_secret {
            settings.set_signature_schemes(&[])?;
        }
        Ok(settings)
    }

    /// The secrets to set: the given one, and new ones for schemes without one.
    fn new_secrets(
        &self,
        context: &mut Context,
        store: &Store,
        id: i64,
        settings: &Settings,
        given: Option<Secret>,
    ) -> Result<Vec<NewSecret>> {
        // Other changes need no secret, and so no encryption key.
        if given.is_none() && self.change.signature_schemes.is_none() {
            return Ok(Vec::new());
        }
        let option = if self.secret.is_given() { self.secret.option() } else { "--signature" };
        if given.is_some() && settings.signature_schemes.is_empty() {
            return Err(Failure::option(option, "the webhook has no signature scheme")
                .hint("name one with --signature")
                .into());
        }
        let stored = store.secrets(id, context.now())?;
        let stored: Vec<&Secret> = stored.iter().map(|stored| &stored.secret).collect();
        let given = given.map(|given| (given, self.secret.source()));
        secrets_for(&settings.signature_schemes, given, &stored, option)
    }
}

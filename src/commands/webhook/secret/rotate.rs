//! `hookctl webhook secret rotate`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::secret_source::SecretSource;
use crate::commands::webhook::signing::check_keys;
use crate::context::{Context, Exit};
use crate::domain::secret::Secret;
use crate::domain::signature::{Form, Scheme};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::error::Failure;
use crate::output::{Cell, Page, Text};
use crate::random::Random;

/// A longer overlap is no rotation.
const LONGEST_OVERLAP: Duration = Duration::from_secs(365 * 86_400);

/// Set a new secret; the old one stays valid during the overlap
///
/// The new secret is generated, unless one is given, and shown this once. It signs from now on. During the overlap headers
/// that hold a list, such as those of standard and stripe, carry a signature of the old secret as well, so that receivers may
/// change over one by one; a header that holds a single signature carries the new one. When the overlap is over the old
/// secret is deleted by the next command that writes.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook secret rotate crm
  hookctl webhook secret rotate crm --overlap 7d -o json
  hookctl webhook secret rotate crm --overlap 0 --secret-file new.txt")]
pub struct Rotate {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
    /// How long the old secret stays valid as well; 0 ends it at once
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = arguments::duration)]
    overlap: Duration,
    #[command(flatten)]
    secret: SecretSource,
}

impl Rotate {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        context.refuse_if_read_only()?;
        if self.overlap > LONGEST_OVERLAP {
            return Err(Failure::option("--overlap", "longer than 365d, the longest there may be").into());
        }
        let given = self.secret.read()?;
        let store = context.store_to_write()?;
        let now = context.now();
        let secret = match given {
            Some(secret) => secret,
            None => Secret::generate(Random::secret_bytes()?),
        };
        let until = (!self.overlap.is_zero()).then(|| now.plus_millis(self.overlap.as_millis() as i64));
        let (webhook, previous) = store.transaction(|| {
            let webhook = context.webhook(&store, &self.webhook)?;
            self.check(&webhook, &secret)?;
            let previous = store.secrets(webhook.id, now)?;
            if previous.first().is_some_and(|current| current.secret.expose() == secret.expose()) {
                return Ok((webhook, None));
            }
            store.set_secret(webhook.id, &secret, self.secret.source().as_ref(), now, until)?;
            anyhow::Ok((webhook, Some(previous)))
        })?;
        context.erase_deleted(&store);
        let Some(previous) = previous else {
            return Err(Failure::option(
                self.secret.option(),
                "this is the webhook's secret already; nothing was changed",
            )
            .into());
        };
        let expires_at = until.filter(|_| !previous.is_empty());
        let single = single_valued(&webhook.settings.signature_schemes);
        if expires_at.is_some() && !single.is_empty() {
            context.out.warning(&format!(
                "a header of {} holds one signature, which is the new secret's from now on: receivers that check it with the \
                 old secret refuse until they have the new one; what they refuse is retried",
                single.join(", ")
            ));
        }
        context.out.page(&RotateView {
            webhook: webhook.settings.name,
            webhook_id: webhook.id,
            secret: secret.expose().into_owned(),
            created_at: now,
            previous_expires_at: expires_at,
            had_previous: !previous.is_empty(),
        })?;
        Ok(Exit::DONE)
    }

    fn check(&self, webhook: &Webhook, secret: &Secret) -> Result<(), Failure> {
        let settings = &webhook.settings;
        if settings.signature_schemes.is_empty() {
            return Err(Failure::invalid(format!("the webhook '{}' signs with no scheme", settings.name)).hint(
                format!(
                    "`hookctl webhook update {} --signature timetracker` makes it sign, and sets a secret",
                    settings.name
                ),
            ));
        }
        let option = if self.secret.is_given() { self.secret.option() } else { "WEBHOOK" };
        check_keys(&settings.signature_schemes, secret, option)
    }
}

/// The schemes whose header holds a single signature, so that there is no overlap for them.
fn single_valued(schemes: &[String]) -> Vec<&str> {
    let is_single = |name: &&str| Scheme::find(name).is_some_and(|scheme| !matches!(scheme.form, Form::List { .. }));
    schemes.iter().map(String::as_str).filter(is_single).collect()
}

/// What became of the secrets.
#[derive(Serialize)]
struct RotateView {
    webhook: String,
    webhook_id: i64,
    secret: String,
    created_at: Timestamp,
    /// When the old secret ends; none when it has ended.
    previous_expires_at: Option<Timestamp>,
    #[serde(skip)]
    had_previous: bool,
}

impl Page for RotateView {
    fn describe(&self, text: &mut Text) {
        text.field("Webhook", &self.webhook);
        text.field("Secret", Cell::id(&self.secret));
        let old = match self.previous_expires_at {
            Some(until) => {
                let until = text.look().exact(Some(until));
                text.field("Old secret until", until);
                return;
            }
            None if self.had_previous => "deleted",
            None => "none",
        };
        text.field("Old secret", old);
    }
}

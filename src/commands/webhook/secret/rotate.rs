//! `hookctl webhook secret rotate`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::secret_source::SecretSource;
use crate::commands::webhook::signing::{ShownSecrets, check_keys, check_kind, key_kinds};
use crate::context::Context;
use crate::domain::secret::{KeyKind, Secret};
use crate::domain::signature::{Form, Scheme};
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::error::Failure;
use crate::output::{Page, Text};
use crate::random::Random;

const LONGEST_OVERLAP: Duration = Duration::from_secs(365 * 86_400);

/// Set a new secret; the old one stays valid during the overlap
///
/// The new secret is generated, unless one is given, and shown this once. It signs from now on. During the overlap,
/// schemes whose header holds a list (standard, stripe and others) sign with the old secret as well; schemes with a
/// single signature (timetracker, github and others) switch at once: give their receivers both secrets first. After
/// the overlap the next command that writes deletes the old secret. A webhook that signs with an ed25519 key and with
/// a shared secret gets new ones for both; one that is given replaces that of its kind.
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
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_if_read_only()?;
        if self.overlap > LONGEST_OVERLAP {
            return Err(Failure::option("--overlap", "must be at most 365d").into());
        }
        let given = self.secret.read()?;
        let store = context.store_to_write()?;
        let now = context.now();
        let until = (!self.overlap.is_zero()).then(|| now.plus_millis(self.overlap.as_millis() as i64));
        let (webhook, new, had_previous) = store.transaction(|| {
            let webhook = context.webhook_to_change(&store, &self.webhook)?;
            let new = self.new_secrets(&webhook, given.as_ref())?;
            let previous = store.secrets(webhook.id, now)?;
            let is_current = |secret: &Secret| {
                previous.iter().any(|stored| stored.expires_at.is_none() && stored.secret.expose() == secret.expose())
            };
            if new.iter().any(is_current) {
                return Err(self.already_set().into());
            }
            for secret in &new {
                store.set_secret(webhook.id, secret, self.secret.source().as_ref(), now, until)?;
            }
            let had_previous = previous.iter().any(|old| new.iter().any(|new| new.kind() == old.secret.kind()));
            anyhow::Ok((webhook, new, had_previous))
        })?;
        context.erase_deleted(&store);
        let expires_at = until.filter(|_| had_previous);
        let single = single_valued(&webhook.settings.signature_schemes, &new);
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
            secrets: ShownSecrets::of(new.iter()),
            created_at: now,
            previous_expires_at: expires_at,
            had_previous,
        })
    }

    /// The given secret, or a new one of each kind that the webhook signs with.
    fn new_secrets(&self, webhook: &Webhook, given: Option<&Secret>) -> Result<Vec<Secret>> {
        let settings = &webhook.settings;
        let schemes = &settings.signature_schemes;
        if schemes.is_empty() {
            return Err(Failure::invalid(format!("the webhook '{}' has no signature scheme", settings.name))
                .hint(format!(
                    "`hookctl webhook update {} --signature timetracker` makes it sign, and sets a secret",
                    settings.name
                ))
                .into());
        }
        let Some(given) = given else {
            let new = |kind: KeyKind| Ok(kind.new_secret(Random::secret_bytes()?));
            return key_kinds(schemes).into_iter().map(new).collect();
        };
        check_kind(schemes, given, self.secret.option())?;
        let takes_it = |name: &&String| key_kinds(std::slice::from_ref(*name)).contains(&given.kind());
        let schemes: Vec<String> = schemes.iter().filter(takes_it).cloned().collect();
        check_keys(&schemes, &[given], self.secret.option())?;
        Ok(vec![given.clone()])
    }

    fn already_set(&self) -> Failure {
        Failure::option(self.secret.option(), "this is the webhook's secret already; nothing was changed")
    }
}

/// The schemes of these secrets whose header has a single signature, so that they have no overlap.
fn single_valued<'a>(schemes: &'a [String], new: &[Secret]) -> Vec<&'a str> {
    let is_single = |name: &&str| {
        Scheme::find(name).is_some_and(|scheme| {
            !matches!(scheme.form, Form::List { .. }) && new.iter().any(|new| new.kind() == scheme.key_kind())
        })
    };
    schemes.iter().map(String::as_str).filter(is_single).collect()
}

#[derive(Serialize)]
struct RotateView {
    webhook: String,
    webhook_id: i64,
    #[serde(flatten)]
    secrets: ShownSecrets,
    created_at: Timestamp,
    /// When the old secret expires; null if it has.
    previous_expires_at: Option<Timestamp>,
    #[serde(skip)]
    had_previous: bool,
}

impl Page for RotateView {
    fn describe(&self, text: &mut Text) {
        text.field("Webhook", &self.webhook);
        self.secrets.describe(text);
        let old = match self.previous_expires_at {
            Some(until) => {
                text.time("Old secret until", until);
                return;
            }
            None if self.had_previous => "deleted",
            None => "none",
        };
        text.field("Old secret", old);
    }
}

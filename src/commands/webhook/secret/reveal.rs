//! `hookctl webhook secret reveal`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::candidates::Candidates;
use crate::commands::signature_options::without_secret;
use crate::commands::webhook::signing::ShownSecrets;
use crate::context::Context;
use crate::domain::members;
use crate::domain::time::Timestamp;
use crate::output::{Page, Text};
use crate::store::StoredSecret;

/// Print the secret, and the other credentials
///
/// If requests are signed, the first line is the current secret, and nothing else. During the overlap of a rotation a
/// line follows for each old secret, with its expiry. Then come the other credentials of the webhook: its URL, if
/// that is one, headers, the client key, the password of its proxy. --read-only refuses.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook secret reveal crm
  (umask 077; hookctl webhook secret reveal crm | head -1 > crm.secret)
  hookctl webhook secret reveal crm -o json")]
pub struct Reveal {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
}

impl Reveal {
    pub fn run(self, context: &mut Context) -> Result<()> {
        context.refuse_to_show_credentials()?;
        let store = context.store_to_read()?;
        let mut webhook = context.webhook(&store, &self.webhook)?;
        store.load_credentials(webhook.id, &mut webhook.settings)?;
        let credentials: Vec<(String, String)> = webhook
            .settings
            .credentials_mut()
            .into_iter()
            .filter_map(|(name, credential)| Some((name, credential.value.as_ref()?.expose().into_owned())))
            .collect();
        let (current, previous): (Vec<StoredSecret>, Vec<StoredSecret>) =
            store.secrets(webhook.id, context.now())?.into_iter().partition(|stored| stored.expires_at.is_none());
        let previous = previous.into_iter().map(|stored| SecretView {
            secret: stored.secret.expose().into_owned(),
            created_at: stored.created_at,
            expires_at: stored.expires_at,
        });
        let mut secrets = ShownSecrets::of(current.iter().map(|stored| &stored.secret));
        if secrets.is_empty() && credentials.is_empty() {
            return Err(without_secret(&webhook.settings.name).into());
        }
        context.out.page(&RevealView {
            webhook: webhook.settings.name,
            webhook_id: webhook.id,
            created_at: current.first().map(|current| current.created_at),
            secret: secrets.secret.take(),
            secrets,
            previous: previous.collect(),
            credentials,
        })
    }
}

#[derive(Serialize)]
struct RevealView {
    webhook: String,
    webhook_id: i64,
    secret: Option<String>,
    #[serde(flatten)]
    secrets: ShownSecrets,
    created_at: Option<Timestamp>,
    previous: Vec<SecretView>,
    /// By name: `secret_url`, `headers:authorization`, `client_key`, `proxy_password`.
    #[serde(with = "members")]
    credentials: Vec<(String, String)>,
}

#[derive(Serialize)]
struct SecretView {
    secret: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Page for RevealView {
    fn describe(&self, text: &mut Text) {
        if let Some(secret) = &self.secret {
            text.line(secret);
        }
        if let Some(private_key) = &self.secrets.private_key {
            text.line(format!("private_key: {private_key}"));
        }
        for old in &self.previous {
            let until = old.expires_at.map(Timestamp::rfc3339).unwrap_or_default();
            text.line(format!("{}  until {until}", old.secret));
        }
        for (name, value) in &self.credentials {
            value.lines().enumerate().for_each(|(number, line)| match number {
                0 => text.line(format!("{name}: {line}")),
                _ => text.line(line),
            });
        }
    }
}

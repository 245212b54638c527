//! `hookctl webhook secret reveal`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::candidates::Candidates;
use crate::commands::signature_options::without_secret;
use crate::context::{Context, Exit};
use crate::domain::time::Timestamp;
use crate::output::{Page, Text};

/// Print the secret
///
/// The first line is the secret that signs, and nothing else. During the overlap of a rotation a line follows for each old
/// secret, with the time of its end.
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
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_read()?;
        let webhook = context.webhook(&store, &self.webhook)?;
        let mut secrets = store.secrets(webhook.id, context.now())?.into_iter().map(|stored| SecretView {
            secret: stored.secret.expose().into_owned(),
            created_at: stored.created_at,
            expires_at: stored.expires_at,
        });
        let Some(current) = secrets.next() else {
            return Err(without_secret(&webhook.settings.name).into());
        };
        context.out.page(&RevealView {
            webhook: webhook.settings.name,
            webhook_id: webhook.id,
            secret: current.secret,
            created_at: current.created_at,
            previous: secrets.collect(),
        })?;
        Ok(Exit::DONE)
    }
}

#[derive(Serialize)]
struct RevealView {
    webhook: String,
    webhook_id: i64,
    secret: String,
    created_at: Timestamp,
    previous: Vec<SecretView>,
}

/// A secret and its times.
#[derive(Serialize)]
struct SecretView {
    secret: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Page for RevealView {
    fn describe(&self, text: &mut Text) {
        text.line(&self.secret);
        for old in &self.previous {
            let until = old.expires_at.map(Timestamp::rfc3339).unwrap_or_default();
            text.line(format!("{}  until {until}", old.secret));
        }
    }
}

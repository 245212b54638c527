//! `hookctl webhook secret public-key`

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use crate::commands::candidates::Candidates;
use crate::context::Context;
use crate::domain::secret::KeyKind;
use crate::domain::signature::public_key;
use crate::domain::time::Timestamp;
use crate::error::Failure;
use crate::output::{Page, Text};

/// Print the public key that a receiver verifies with
///
/// For webhooks that sign with an ed25519 key (standard-v1a). It is `whpk_` and base64, as Standard Webhooks has it, and no
/// secret. During the overlap of a rotation requests are signed with the old key too; JSON has its public key under
/// `previous`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl webhook secret public-key shop > shop.pub
  hookctl webhook secret public-key shop -o json | jq .previous")]
pub struct PublicKey {
    /// Its name or id
    #[arg(value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhook: String,
}

impl PublicKey {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let webhook = context.webhook(&store, &self.webhook)?;
        let mut keys = Vec::new();
        for stored in store.secrets(webhook.id, context.now())? {
            if stored.secret.kind() == KeyKind::Ed25519 {
                let public_key = public_key(&stored.secret).map_err(|error| Failure::option("WEBHOOK", error))?;
                keys.push(KeyView { public_key, created_at: stored.created_at, expires_at: stored.expires_at });
            }
        }
        let name = webhook.settings.name;
        let mut keys = keys.into_iter();
        let Some(KeyView { public_key, created_at, .. }) = keys.next() else {
            let quoted = shell_words::quote(&name);
            return Err(Failure::option("WEBHOOK", format!("'{name}' has no ed25519 key"))
                .hint(format!("`hookctl webhook update {quoted} --signature standard-v1a` makes one"))
                .into());
        };
        let previous = keys.collect();
        context.out.page(&PublicKeyView { webhook: name, webhook_id: webhook.id, public_key, created_at, previous })
    }
}

#[derive(Serialize)]
struct PublicKeyView {
    webhook: String,
    webhook_id: i64,
    public_key: String,
    created_at: Timestamp,
    /// Old keys that also sign until their overlap ends.
    previous: Vec<KeyView>,
}

#[derive(Serialize)]
struct KeyView {
    public_key: String,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

impl Page for PublicKeyView {
    fn describe(&self, text: &mut Text) {
        text.line(&self.public_key);
    }
}

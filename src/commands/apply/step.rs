//! One webhook of the file beside the one that there is: what is to be done about it.

use anyhow::Result;
use serde_json::Value;

use crate::commands::configuration::entry::WebhookEntry;
use crate::commands::configuration::fields::{fields, shown};
use crate::commands::webhook::create::{check_keys, default_schemes};
use crate::commands::webhook::options;
use crate::context::Context;
use crate::domain::secret::Secret;
use crate::domain::webhook::{Settings, Webhook};
use crate::error::Failure;
use crate::random::Random;
use crate::store::Store;

/// What is to be done about a webhook.
#[derive(Debug)]
pub struct Step {
    /// The webhook that there is.
    pub existing: Option<Webhook>,
    /// What it is to be.
    pub settings: Settings,
    /// Whether it is to get deliveries.
    pub is_active: bool,
    /// What happens to its secret.
    pub secret: SecretStep,
    /// What differs, key by key.
    pub differences: Vec<Difference>,
}

/// What happens to a secret.
#[derive(Debug)]
pub enum SecretStep {
    /// Nothing.
    Keep,
    /// It is set to one that the file gives or names.
    Set(Secret),
    /// It is set to a new one, which is shown.
    Generate(Secret),
    /// The webhook signs no longer.
    Remove,
}

/// A setting that changes, as people see it.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Its key.
    pub field: &'static str,
    /// What it was; null when it was not set.
    pub before: Value,
    /// What it becomes; null when it is not set any longer.
    pub after: Value,
}

impl Step {
    /// Compares an entry of the file with the webhook of its name, and checks it as `webhook create` does.
    pub fn plan(context: &Context, store: &Store, entry: &WebhookEntry) -> Result<Step> {
        options::check_name("name", &entry.name)?;
        let existing = store.find_webhook(&entry.name)?;
        let owner = existing.as_ref().map_or_else(|| context.settings.owner.clone(), |old| old.settings.owner.clone());
        let mut settings = Settings { name: entry.name.clone(), owner, ..Settings::default() };
        entry.options()?.apply(&mut settings)?;
        if let Some(pem) = &entry.ca_cert {
            options::set_ca_cert(&mut settings, pem.clone())?;
        }
        let secret = secret_step(context, store, entry, existing.as_ref(), &mut settings)?;
        let was_active = existing.as_ref().is_none_or(|webhook| webhook.health.is_active);
        let is_active = entry.is_active.unwrap_or(was_active);
        let differences = differences(existing.as_ref(), &settings, is_active, &secret);
        if !differences.is_empty() {
            options::check_whole(context, &settings)?;
        }
        Ok(Step { existing, settings, is_active, secret, differences })
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.existing.is_some() && self.differences.is_empty()
    }
}

/// Decides on the secret, and fills in the schemes that it can key when the file names none.
fn secret_step(
    context: &Context,
    store: &Store,
    entry: &WebhookEntry,
    existing: Option<&Webhook>,
    settings: &mut Settings,
) -> Result<SecretStep> {
    let key = entry.secret_key()?;
    let stored = match existing {
        Some(webhook) => store.secrets(webhook.id, context.now())?.into_iter().next().map(|stored| stored.secret),
        None => None,
    };
    if entry.signature_schemes.as_ref().is_some_and(Vec::is_empty) {
        if let Some(key) = key {
            let reason = "the webhook signs with no scheme; name one in signature_schemes, or leave the secret out";
            return Err(Failure::option(key, reason).into());
        }
        return Ok(if stored.is_some() { SecretStep::Remove } else { SecretStep::Keep });
    }
    let step = match (entry.secret()?, &stored) {
        (Some(given), Some(stored)) if given.expose() == stored.expose() => SecretStep::Keep,
        (Some(given), _) => SecretStep::Set(given),
        (None, Some(_)) => SecretStep::Keep,
        (None, None) => SecretStep::Generate(Secret::generate(Random::secret_bytes()?)),
    };
    let signing = match &step {
        SecretStep::Set(secret) | SecretStep::Generate(secret) => Some(secret),
        SecretStep::Keep | SecretStep::Remove => stored.as_ref(),
    };
    if let Some(signing) = signing {
        if settings.signature_schemes.is_empty() {
            settings.signature_schemes = default_schemes(signing);
        }
        check_keys(&settings.signature_schemes, signing, key.unwrap_or("--signature"))?;
    }
    Ok(step)
}

fn differences(
    existing: Option<&Webhook>,
    settings: &Settings,
    is_active: bool,
    secret: &SecretStep,
) -> Vec<Difference> {
    let before = existing.map_or_else(Vec::new, |webhook| fields(&webhook.settings, webhook.health.is_active));
    let after = fields(settings, is_active);
    let value_in = |fields: &[(&'static str, Value)], key: &str| {
        fields.iter().find(|(known, _)| *known == key).map_or(Value::Null, |(_, value)| value.clone())
    };
    let gone = before.iter().filter(|(key, _)| !after.iter().any(|(known, _)| known == key));
    let keys = after.iter().chain(gone).map(|(key, _)| *key);
    let mut differences: Vec<Difference> = keys
        .map(|key| (key, value_in(&before, key), value_in(&after, key)))
        .filter(|(_, before, after)| before != after)
        .map(|(field, before, after)| difference(field, &before, &after))
        .collect();
    let text = match secret {
        SecretStep::Keep => return differences,
        SecretStep::Set(_) => "(from the file)",
        SecretStep::Generate(_) => "(generated)",
        SecretStep::Remove => "(none)",
    };
    let before = if existing.is_some() { "(another, or none)".into() } else { Value::Null };
    differences.push(Difference { field: "secret", before, after: text.into() });
    differences
}

/// A change as people see it; one that is masked is told all the same.
fn difference(field: &'static str, before: &Value, after: &Value) -> Difference {
    let (before, after) = (shown(field, before), shown(field, after));
    let after = if before == after { "(changed where it is masked)".into() } else { after };
    Difference { field, before, after }
}

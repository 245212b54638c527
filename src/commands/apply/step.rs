//! The change of one webhook: its entry in the file compared with the stored webhook.

use std::collections::{BTreeSet, HashMap};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

use crate::commands::configuration::entry::WebhookEntry;
use crate::commands::webhook::egress::check_identity;
use crate::commands::webhook::signing::{check_kind, default_schemes, key_kinds, secrets_for};
use crate::context::Context;
use crate::domain::credential::{Credential, Source};
use crate::domain::secret::{KeyKind, Secret};
use crate::domain::webhook::{Field, Invalid, Settings, Webhook};
use crate::store::Store;

#[derive(Debug)]
pub struct Step {
    /// The stored webhook.
    pub existing: Option<Webhook>,
    pub settings: Settings,
    pub is_active: bool,
    pub secrets: Vec<SecretStep>,
    pub differences: Vec<Difference>,
}

#[derive(Debug)]
pub enum SecretStep {
    /// Set to one that the file gives or names; with its source, and the source as shown.
    Set(Secret, Option<Source>, String),
    Generate(Secret),
    /// Secrets of other kinds than these are deleted: no scheme uses them.
    Keep(BTreeSet<KeyKind>),
}

/// A changed setting, as shown.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    pub field: &'static str,
    /// Null if it was not set.
    pub before: Value,
    /// Null if it is no longer set.
    pub after: Value,
}

impl Step {
    /// Compares an entry of the file with the webhook of its name, and checks it as `webhook create` does, except for its
    /// addresses.
    pub fn plan(context: &Context, store: &Store, entry: &WebhookEntry) -> Result<Step> {
        let refused = |invalid| entry.place.invalid(invalid);
        let mut settings = Settings::default();
        settings.set_name(&entry.name).map_err(refused)?;
        let mut existing = store.find_webhook(&entry.name)?;
        if let Some(webhook) = &mut existing {
            store.load_credentials(webhook.id, &mut webhook.settings)?;
        }
        settings.owner = match &existing {
            Some(webhook) => webhook.settings.owner.clone(),
            None => context.settings.owner.clone(),
        };
        entry.change.apply(&mut settings).map_err(refused)?;
        keep_credentials(&mut settings, existing.as_ref()).map_err(refused)?;
        let secrets = secret_steps(context, store, entry, existing.as_ref(), &mut settings)?;
        let was_active = existing.as_ref().is_none_or(|webhook| webhook.health.is_active);
        let is_active = entry.is_active.unwrap_or(was_active);
        let shown = secrets.iter().map(|step| match step {
            SecretStep::Set(_, _, origin) => format!("(from {origin})"),
            SecretStep::Generate(_) => "(generated)".to_owned(),
            SecretStep::Keep(kinds) if kinds.is_empty() => "(none)".to_owned(),
            SecretStep::Keep(_) => "(one deleted: no scheme uses it)".to_owned(),
        });
        let shown = shown.collect::<Vec<String>>().join(", ");
        let differences =
            differences(existing.as_ref(), &settings, is_active, Some(shown).filter(|shown| !shown.is_empty()));
        if !differences.is_empty() {
            settings.check().map_err(refused)?;
        }
        let of_identity = [Field::CLIENT_CERT.key, Field::CLIENT_KEY.key];
        if differences.iter().any(|difference| of_identity.contains(&difference.field)) {
            check_identity(context, &settings).map_err(refused)?;
        }
        Ok(Step { existing, settings, is_active, secrets, differences })
    }

    /// The generated secrets, each with the name of the webhook and its key in the file.
    pub fn generated(&self) -> impl Iterator<Item = (&str, Field, &Secret)> {
        let is_one_of_two = key_kinds(&self.settings.signature_schemes).len() > 1;
        self.secrets.iter().filter_map(move |step| match step {
            SecretStep::Generate(secret) if is_one_of_two && secret.kind() == KeyKind::Ed25519 => {
                Some((self.settings.name.as_str(), Field::PRIVATE_KEY, secret))
            }
            SecretStep::Generate(secret) => Some((self.settings.name.as_str(), Field::SECRET, secret)),
            SecretStep::Set(..) | SecretStep::Keep(_) => None,
        })
    }

    pub fn is_empty(&self) -> bool {
        self.existing.is_some() && self.differences.is_empty()
    }
}

/// Keeps the stored credential if its variable is not set.
fn keep_credentials(settings: &mut Settings, existing: Option<&Webhook>) -> Result<(), Invalid> {
    let mut existing = existing.map(|webhook| webhook.settings.clone()).unwrap_or_default();
    // The same value is no change, even if it is masked in another way or was no credential before.
    let is_same_url = existing.secret_url.is_some() && existing.full_url() == settings.full_url();
    if is_same_url || settings.secret_url.as_ref().is_some_and(|url| url.value.is_none()) {
        settings.url.clone_from(&existing.url);
    }
    if is_same_url {
        settings.secret_url.clone_from(&existing.secret_url);
    }
    for (name, value) in &mut settings.headers {
        let known = existing.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, known)) = known.filter(|(_, known)| known.text().is_some() && known.text() == value.text()) {
            value.clone_from(known);
        }
    }
    let known = existing.credentials_mut();
    for (name, credential) in settings.credentials_mut() {
        if credential.value.is_some() {
            continue;
        }
        if let Some((_, kept)) = known.iter().find(|(known, _)| *known == name) {
            credential.value.clone_from(&kept.value);
            continue;
        }
        let source = credential.source.as_ref().map_or_else(String::new, |source| format!(" ({source})"));
        let field = Settings::field_of_credential(&name);
        return Err(field.invalid(format!("there is no value for it{source}: the variable is not set")));
    }
    Ok(())
}

/// The changes of secrets. Fills in the schemes if the file names none.
fn secret_steps(
    context: &Context,
    store: &Store,
    entry: &WebhookEntry,
    existing: Option<&Webhook>,
    settings: &mut Settings,
) -> Result<Vec<SecretStep>> {
    let stored = existing.map_or(Ok(Vec::new()), |webhook| store.secrets(webhook.id, context.now()))?;
    let stored: Vec<&Secret> = stored.iter().map(|stored| &stored.secret).collect();
    let is_unsigned = match &entry.change.signature_schemes {
        Some(schemes) => schemes.is_empty(),
        None => settings.shape.is_chat() && entry.secrets.is_empty(),
    };
    if is_unsigned {
        if let Some(given) = entry.secrets.first() {
            let reason = "the webhook has no signature scheme; name one in signature_schemes, or leave the secret out";
            return Err(entry.place.refuse(given.field.key, reason).into());
        }
        return Ok(if stored.is_empty() { Vec::new() } else { vec![SecretStep::Keep(BTreeSet::new())] });
    }
    let (mut steps, mut all) = (Vec::new(), Vec::new());
    for given in &entry.secrets {
        let Some(secret) = given.read(&entry.place)? else {
            let is_there = |secret: &&Secret| given.field == Field::SECRET || secret.kind() == KeyKind::Ed25519;
            if !stored.iter().any(is_there) {
                let reason = format!("there is no value for it: the variable {} is not set", given.origin());
                return Err(entry.place.refuse(given.field.key, reason).into());
            }
            continue;
        };
        let current = stored.iter().find(|stored| stored.kind() == secret.kind());
        if current.is_none_or(|current| current.expose() != secret.expose()) {
            steps.push(SecretStep::Set(secret.clone(), given.source(), given.origin().to_owned()));
        }
        all.push((secret, given.field));
    }
    if settings.signature_schemes.is_empty() {
        settings.signature_schemes = default_schemes(all.first().map(|(secret, _)| secret).or(stored.first().copied()));
    }
    let schemes = &settings.signature_schemes;
    for (secret, field) in &all {
        check_kind(schemes, secret, &entry.place.field(*field))?;
    }
    let known: Vec<&Secret> = all.iter().map(|(secret, _)| secret).chain(stored.iter().copied()).collect();
    let field = all.first().map_or(Field::SIGNATURE_SCHEMES, |(_, field)| *field);
    let new = secrets_for(schemes, None, &known, &entry.place.field(field))?;
    steps.extend(new.into_iter().map(|new| SecretStep::Generate(new.secret)));
    let kinds = key_kinds(schemes);
    if stored.iter().any(|secret| !kinds.contains(&secret.kind())) {
        steps.push(SecretStep::Keep(kinds));
    }
    Ok(steps)
}

fn differences(
    existing: Option<&Webhook>,
    settings: &Settings,
    is_active: bool,
    shown_secret: Option<String>,
) -> Vec<Difference> {
    let before = existing.map(|webhook| (&webhook.settings, webhook.health.is_active));
    let (before, shown_before) =
        before.map_or_else(Default::default, |(settings, is_active)| values(settings, is_active));
    let (after, shown_after) = values(settings, is_active);
    let credentials_before = existing.map(|webhook| credentials(&webhook.settings)).unwrap_or_default();
    let credentials_after = credentials(settings);
    let mut differences: Vec<Difference> = Field::ALL
        .iter()
        .filter(|field| {
            before.get(field.key) != after.get(field.key)
                || credentials_before.get(field.key) != credentials_after.get(field.key)
        })
        .map(|field| {
            let shown = |values: &Values| values.get(field.key).cloned().unwrap_or_default();
            let (before, after) = (shown(&shown_before), shown(&shown_after));
            // One between two masked values is reported too.
            let after = if before == after { "(changed where it is masked)".into() } else { after };
            Difference { field: field.key, before, after }
        })
        .collect();
    let Some(text) = shown_secret else { return differences };
    let before = if existing.is_some() { "(another, or none)".into() } else { Value::Null };
    differences.push(Difference { field: Field::SECRET.key, before, after: text.into() });
    differences
}

type Values = HashMap<&'static str, Value>;

/// The values of all settings, and the same with credentials masked.
fn values(settings: &Settings, is_active: bool) -> (Values, Values) {
    let of = |mut settings: Settings| {
        // The source of a credential is no difference; its value is compared separately.
        settings.credentials_mut().into_iter().for_each(|(_, credential)| *credential = Credential::default());
        let values = settings.values().into_iter().chain([(Field::IS_ACTIVE, is_active.into())]);
        values.map(|(field, value)| (field.key, value)).collect()
    };
    (of(settings.clone()), of(settings.masked()))
}

/// The credentials of each setting.
fn credentials(settings: &Settings) -> HashMap<&'static str, Vec<(String, Option<Secret>)>> {
    let mut credentials: HashMap<_, Vec<_>> = HashMap::new();
    let mut settings = settings.clone();
    let mut all = settings.credentials_mut();
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    for (name, credential) in all {
        credentials.entry(Settings::field_of_credential(&name).key).or_default().push((name, credential.value.clone()));
    }
    credentials
}

//! `hookctl export`

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::Serialize;
use serde_json::{Value, json};

use super::configuration::toml_text::assignment;
use crate::context::Context;
use crate::domain::credential::{Credential, HeaderValue, Source};
use crate::domain::members::Members;
use crate::domain::webhook::{Field, Webhook};
use crate::output::{Format, Page, Text};
use crate::store::{EventTypeRow, Store, StoreError, WebhookFilter};

/// Write webhooks and event types as a TOML or JSON file
///
/// `hookctl apply` reads it back, and changes nothing. No credential is in the file: in its place is the variable or
/// the file that it came from, else `{ env = "HOOKCTL_WEBHOOK_FIELD" }`; if that variable is not set when the file is
/// applied, a webhook keeps what it has. --with-secrets writes the credentials themselves. `is_active` is written for
/// disabled webhooks alone, so that applying the file does not enable what hookctl disabled meanwhile. --output json
/// writes JSON too.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl export > hookctl.toml
  hookctl export --format json | jq '.webhooks[].name'
  (umask 077; hookctl export --with-secrets > all.toml)  # holds the secrets")]
pub struct Export {
    /// Write secrets and other credentials themselves: the file is then as secret as they are
    #[arg(long)]
    with_secrets: bool,
    /// The form of the file [default: toml]
    #[arg(long, value_name = "FORMAT")]
    format: Option<FileFormat>,
}

/// The form of a configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FileFormat {
    /// For people to read and change
    Toml,
    /// For programs
    Json,
}

/// The keys of a webhook's secrets, in the order of the output.
const SECRETS: [Field; 2] = [Field::SECRET, Field::PRIVATE_KEY];

impl Export {
    pub fn run(self, context: &mut Context) -> Result<()> {
        if self.with_secrets {
            context.refuse_to_show_credentials()?;
        }
        let store = context.store_to_read()?;
        let view = store.snapshot(|| self.collect(context, &store))?;
        // TOML is the format for people.
        let format = self.format.map(|format| match format {
            FileFormat::Toml => Format::Table,
            FileFormat::Json => Format::Json,
        });
        context.out.page_in(format, &view)
    }

    fn collect(&self, context: &Context, store: &Store) -> Result<ExportView> {
        let mut webhooks = Vec::new();
        let mut variables = HashSet::new();
        for mut webhook in store.webhooks(&WebhookFilter::default())?.into_iter().rev() {
            if self.with_secrets {
                store.load_credentials(webhook.id, &mut webhook.settings)?;
            }
            let mut references = References { webhook: &webhook, variables: &mut variables };
            let mut values = references.values();
            if !webhook.health.is_active {
                values.push((Field::IS_ACTIVE, false.into()));
            }
            let mut secrets = store.secret_references(webhook.id)?;
            if self.with_secrets {
                let stored = store.secrets(webhook.id, context.now())?;
                for (kind, credential) in &mut secrets {
                    let own = stored.iter().find(|stored| stored.secret.kind() == *kind);
                    credential.value = own.map(|stored| stored.secret.clone());
                }
            }
            for (field, (_, secret)) in SECRETS.into_iter().zip(&secrets) {
                values.push((field, references.to(secret, field.key)));
            }
            webhooks.push(Members(values.into_iter().map(|(field, value)| (field.key.to_owned(), value)).collect()));
        }
        let event_types = store.event_types()?.into_iter().filter(is_own).collect();
        Ok(ExportView { webhooks, event_types })
    }
}

/// The references to credentials in the file.
struct References<'a> {
    webhook: &'a Webhook,
    /// The names in use.
    variables: &'a mut HashSet<String>,
}

impl References<'_> {
    /// The settings with a reference instead of each credential, or its value if it was loaded.
    fn values(&mut self) -> Vec<(Field, Value)> {
        let settings = &self.webhook.settings;
        let mut values = settings.values();
        let is_said = |field: Field| match field {
            Field::URL => settings.secret_url.is_none(),
            // They have no effect beside a schedule.
            Field::MAX_RETRIES | Field::RETRY_DELAY => settings.retry.schedule.is_none(),
            _ => true,
        };
        values.retain(|(field, _)| is_said(*field));
        for (field, value) in &mut values {
            let credential = match *field {
                Field::SECRET_URL => settings.secret_url.as_ref(),
                Field::CLIENT_KEY => settings.egress.client_key.as_ref(),
                Field::PROXY_PASSWORD => settings.egress.proxy_password.as_ref(),
                Field::HEADERS => {
                    *value =
                        settings.headers.iter().map(|(name, value)| (name.clone(), self.header(name, value))).collect();
                    continue;
                }
                _ => continue,
            };
            let name = if *field == Field::SECRET_URL { "URL" } else { field.key };
            *value = credential.map(|credential| self.to(credential, name)).unwrap_or_default();
        }
        values
    }

    fn header(&mut self, name: &str, value: &HeaderValue) -> Value {
        match value {
            HeaderValue::Plain(text) => text.as_str().into(),
            // So that it stays a credential, whatever the name of the header.
            HeaderValue::Secret(Credential { value: Some(value), .. }) => json!({ "value": value.expose() }),
            HeaderValue::Secret(credential) => self.to(credential, name),
        }
    }

    /// The value, else its source, else a variable named after the webhook and the field.
    fn to(&mut self, credential: &Credential, field: &str) -> Value {
        match &credential.value {
            Some(value) => value.expose().into(),
            None => serde_json::to_value(self.source_of(credential, field)).unwrap_or_default(),
        }
    }

    fn source_of(&mut self, credential: &Credential, field: &str) -> Source {
        let named = || Source::Env(self.unique(variable(&self.webhook.settings.name, field)));
        credential.source.clone().unwrap_or_else(named)
    }

    /// If two names differ only in other characters than letters and digits, the id is appended.
    fn unique(&mut self, variable: String) -> String {
        match self.variables.insert(variable.clone()) {
            true => variable,
            false => format!("{variable}_{}", self.webhook.id),
        }
    }
}

/// The variables in which `export` expects secrets without a source, by name of the webhook and key.
pub fn secret_variables(store: &Store) -> Result<HashMap<(String, &'static str), String>, StoreError> {
    let (mut named, mut variables) = (HashMap::new(), HashSet::new());
    for webhook in store.webhooks(&WebhookFilter::default())?.into_iter().rev() {
        let mut references = References { webhook: &webhook, variables: &mut variables };
        // They come first in the file, and get their names first.
        references.values();
        for (field, (_, secret)) in SECRETS.into_iter().zip(&store.secret_references(webhook.id)?) {
            if let Source::Env(variable) = references.source_of(secret, field.key) {
                named.insert((webhook.settings.name.clone(), field.key), variable);
            }
        }
    }
    Ok(named)
}

#[derive(Serialize)]
struct ExportView {
    webhooks: Vec<Members<Value>>,
    event_types: Vec<EventTypeRow>,
}

impl Page for ExportView {
    fn describe(&self, text: &mut Text) {
        text.line("# Webhooks and event types of hookctl; `hookctl apply` makes a database say what this file says.");
        // An empty list is written too, so that `apply --prune` deletes the others.
        if self.webhooks.is_empty() {
            text.line("webhooks = []");
        }
        if self.event_types.is_empty() {
            text.line("event_types = []");
        }
        for Members(values) in &self.webhooks {
            text.blank();
            text.line("[[webhooks]]");
            for (key, value) in values {
                lines(text, &assignment(key, value));
            }
        }
        for row in &self.event_types {
            text.blank();
            text.line("[[event_types]]");
            let own = [("name", Some(&row.name)), ("description", Some(&row.description))];
            let contract = [("schema", row.schema.as_ref()), ("example", row.example.as_ref())];
            for (key, value) in own.into_iter().chain(contract).filter_map(|(key, value)| Some((key, value?))) {
                lines(text, &assignment(key, &value.as_str().into()));
            }
        }
    }
}

/// Whether an event type was added or changed by the user.
fn is_own(row: &EventTypeRow) -> bool {
    !row.is_builtin || row.schema.is_some() || row.example.is_some()
}

/// The name of the variable for a webhook's credential: letters and digits are kept, in upper case.
fn variable(webhook: &str, field: &str) -> String {
    let capital = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{webhook}_{field}")
        .chars()
        .map(capital)
        .fold("HOOKCTL_".to_owned(), |name, c| name + c.encode_utf8(&mut [0; 4]))
}

fn lines(text: &mut Text, assignment: &str) {
    for line in assignment.split('\n') {
        text.line(line);
    }
}

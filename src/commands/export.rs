//! `hookctl export`

use std::collections::HashSet;

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::configuration::toml_text::assignment;
use crate::context::{Context, Exit};
use crate::domain::secret::Secret;
use crate::domain::webhook::Field;
use crate::output::{Format, Page, Text};
use crate::store::{EventTypeRow, Store, WebhookFilter};

/// Write webhooks and event types as a TOML or JSON file
///
/// `hookctl apply` reads it back. The file is complete: URLs with their query values and headers with theirs, which other
/// commands mask. Secrets are left out unless --with-secrets; a webhook keeps the one it has when the file is applied, and
/// gets a new one where it does not exist, unless the file names one by `secret_env` or `secret_file`, as --secret-env-prefix
/// has it written. `is_active` is
/// written for disabled webhooks alone, so that applying the file does not resume what hookctl disabled meanwhile.
/// --output json writes JSON too.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl export > hookctl.toml
  hookctl export --format json | jq '.webhooks[].name'
  (umask 077; hookctl export --with-secrets > all.toml)  # holds the secrets")]
pub struct Export {
    /// Write each webhook's signing secret too: the file is then as secret as they are
    #[arg(long)]
    with_secrets: bool,
    /// Name each secret by an environment variable that `apply` reads: PREFIX and the webhook's name in capitals
    #[arg(long, value_name = "PREFIX", value_parser = variable_prefix, conflicts_with = "with_secrets")]
    secret_env_prefix: Option<String>,
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

impl Export {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let store = context.store_to_read()?;
        let view = store.snapshot(|| self.collect(context, &store))?;
        // TOML is what the page says to people.
        let format = self.format.map(|format| match format {
            FileFormat::Toml => Format::Table,
            FileFormat::Json => Format::Json,
        });
        context.out.page_in(format, &view)?;
        Ok(Exit::DONE)
    }

    fn collect(&self, context: &Context, store: &Store) -> Result<ExportView> {
        let (mut webhooks, mut variables) = (Vec::new(), HashSet::new());
        for webhook in store.webhooks(&WebhookFilter::default())?.into_iter().rev() {
            let mut values = webhook.settings.values();
            if !webhook.health.is_active {
                values.push((Field::IS_ACTIVE, false.into()));
            }
            let secret = store.secrets(webhook.id, context.now())?.into_iter().next().map(|stored| stored.secret);
            let secret = match (secret, &self.secret_env_prefix) {
                (Some(secret), _) if self.with_secrets => Exported::Written(secret),
                (Some(_), Some(prefix)) => {
                    let variable = variable(prefix, &webhook.settings.name);
                    let is_new = variables.insert(variable.clone());
                    Exported::Named(if is_new { variable } else { format!("{variable}_{}", webhook.id) })
                }
                (Some(_), None) => Exported::LeftOut,
                (None, _) => Exported::None,
            };
            webhooks.push(WebhookExport { values, secret });
        }
        let event_types = store.event_types()?.into_iter().filter(|event_type| !event_type.is_builtin).collect();
        Ok(ExportView { webhooks, event_types })
    }
}

struct ExportView {
    webhooks: Vec<WebhookExport>,
    event_types: Vec<EventTypeRow>,
}

struct WebhookExport {
    values: Vec<(Field, Value)>,
    secret: Exported,
}

/// What becomes of a webhook's secret.
enum Exported {
    /// It has none.
    None,
    LeftOut,
    /// It is in the environment variable of that name.
    Named(String),
    Written(Secret),
}

impl WebhookExport {
    fn members(&self) -> impl Iterator<Item = (&'static str, Value)> {
        let secret = match &self.secret {
            Exported::Written(secret) => Some((Field::SECRET, secret.expose().into())),
            Exported::Named(variable) => Some((Field::SECRET_ENV, variable.as_str().into())),
            Exported::None | Exported::LeftOut => None,
        };
        self.values.clone().into_iter().chain(secret).map(|(field, value)| (field.key, value))
    }
}

impl Serialize for ExportView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Whole<'a> {
            webhooks: &'a [WebhookExport],
            event_types: EventTypes<'a>,
        }
        Whole { webhooks: &self.webhooks, event_types: EventTypes(&self.event_types) }.serialize(serializer)
    }
}

impl Serialize for WebhookExport {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.members())
    }
}

struct EventTypes<'a>(&'a [EventTypeRow]);

impl Serialize for EventTypes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Member<'a> {
            name: &'a str,
            description: &'a str,
        }
        let mut list = serializer.serialize_seq(Some(self.0.len()))?;
        for row in self.0 {
            list.serialize_element(&Member { name: &row.name, description: &row.description })?;
        }
        list.end()
    }
}

impl Page for ExportView {
    fn describe(&self, text: &mut Text) {
        text.line("# Webhooks and event types of hookctl; `hookctl apply` makes a database say what this file says.");
        // An empty list is said too, so that `apply --prune` knows that there is to be none.
        if self.webhooks.is_empty() {
            text.line("webhooks = []");
        }
        if self.event_types.is_empty() {
            text.line("event_types = []");
        }
        for webhook in &self.webhooks {
            text.blank();
            text.line("[[webhooks]]");
            for (key, value) in webhook.members() {
                lines(text, &assignment(key, &value));
            }
            if matches!(webhook.secret, Exported::LeftOut) {
                text.line(
                    "# The secret is not written; to name one: secret_env = \"VARIABLE\", or secret_file = \"PATH\"",
                );
            }
        }
        for row in &self.event_types {
            text.blank();
            text.line("[[event_types]]");
            for (key, value) in [("name", &row.name), ("description", &row.description)] {
                lines(text, &assignment(key, &value.as_str().into()));
            }
        }
    }
}

/// The variable that stands for a webhook's secret: letters and digits stay, in capitals.
fn variable(prefix: &str, name: &str) -> String {
    let capital = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("{prefix}{}", name.chars().map(capital).collect::<String>())
}

/// What an environment variable's name may begin with (POSIX, section 8.1).
fn variable_prefix(text: &str) -> Result<String, String> {
    let is_name = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match is_name && text.starts_with(|c: char| !c.is_ascii_digit()) {
        true => Ok(text.to_owned()),
        false => {
            Err("not the beginning of a variable's name; use letters, digits and _, such as HOOKCTL_SECRET_".to_owned())
        }
    }
}

fn lines(text: &mut Text, assignment: &str) {
    for line in assignment.split('\n') {
        text.line(line);
    }
}

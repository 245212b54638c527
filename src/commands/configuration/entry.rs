//! The contents of a configuration file. An unknown key is an error, so that a misspelled one does not become a default.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::place::Place;
use crate::commands::given_credential::GivenCredential;
use crate::commands::secret_source::SecretSource;
use crate::commands::webhook::change::{Change, Unreadable};
use crate::domain::credential::Source;
use crate::domain::event_type::nearest;
use crate::domain::members::Members;
use crate::domain::secret::{KeyKind, Secret, SecretError};
use crate::domain::webhook::Field;
use crate::error::Failure;
use crate::settings;

/// The parsed file. The keys of webhooks are read later, one entry at a time, so that errors name the entry.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tables {
    webhooks: Option<Vec<Members<Value>>>,
    event_types: Option<Vec<EventTypeEntry>>,
}

/// A whole file. `apply` does not touch a part that is missing, also with `--prune`.
#[derive(Debug)]
pub struct Configuration {
    pub webhooks: Option<Vec<WebhookEntry>>,
    /// The event types that are not built in.
    pub event_types: Option<Vec<EventTypeEntry>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventTypeEntry {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// JSON, or JSON as a string.
    pub schema: Option<Value>,
    pub example: Option<Value>,
}

impl EventTypeEntry {
    pub fn schema(&self) -> Option<String> {
        self.schema.as_ref().map(json_text)
    }

    pub fn example(&self) -> Option<String> {
        self.example.as_ref().map(json_text)
    }
}

/// A string is used unchanged, so that its numbers keep their spelling.
fn json_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A webhook. Missing keys have the defaults of `webhook create`; owner, state and secret of an existing webhook are kept.
#[derive(Debug)]
pub struct WebhookEntry {
    pub place: Place,
    /// Identifies the webhook.
    pub name: String,
    pub change: Change,
    pub is_active: Option<bool>,
    /// Its secrets; `private_key` is the last.
    pub secrets: Vec<EntrySecret>,
}

/// A secret, as given by one of the keys.
#[derive(Debug)]
pub struct EntrySecret {
    pub field: Field,
    given: GivenSecret,
}

#[derive(Debug)]
enum GivenSecret {
    Text(String),
    Named(SecretSource),
    /// By `{ env = … }` or `{ file = … }`. If the variable is not set, the webhook keeps its secret.
    Referred(SecretSource),
}

impl Tables {
    /// In JSON, a key with the value null counts as missing.
    pub fn without_nulls(mut self) -> Tables {
        for Members(keys) in self.webhooks.iter_mut().flatten() {
            keys.retain(|(_, value)| !value.is_null());
        }
        self
    }
}

impl Configuration {
    pub fn new(tables: Tables) -> Result<Configuration, Failure> {
        let entries = |tables: Vec<Members<Value>>| {
            tables.into_iter().enumerate().map(|(index, table)| WebhookEntry::new(index, table)).collect()
        };
        let webhooks = tables.webhooks.map(entries).transpose()?;
        Ok(Configuration { webhooks, event_types: tables.event_types })
    }
}

impl WebhookEntry {
    fn new(index: usize, Members(members): Members<Value>) -> Result<WebhookEntry, Failure> {
        let name = members.iter().find_map(|(key, value)| value.as_str().filter(|_| key == Field::NAME.key));
        let place = Place::new("webhooks", index, name.unwrap_or("no name"));
        let mut keys = Map::new();
        for (key, value) in members {
            if keys.contains_key(&key) {
                return Err(place.refuse(&key, "it is there twice"));
            }
            if value.is_null() {
                return Err(place.refuse(&key, "not a number that can be stored"));
            }
            keys.insert(key, value);
        }
        let entry = WebhookEntry::of_keys(place.clone(), keys);
        let entry = entry.map_err(|Unreadable { key, reason }| {
            let failure = place.refuse(&key, reason);
            let meant = nearest(&key, Field::ALL.iter().map(|field| field.key));
            match meant.filter(|_| Field::of_key(&key).is_none()) {
                Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
                None => failure,
            }
        })?;
        let (url, events) = (!entry.change.has_url(), entry.change.events.is_none());
        match [(url, Field::URL), (events, Field::EVENTS)].into_iter().find(|(is_missing, _)| *is_missing) {
            Some((_, field)) => Err(entry.place.refuse(field.key, "it is missing")),
            None => Ok(entry),
        }
    }

    fn of_keys(place: Place, mut keys: Map<String, Value>) -> Result<WebhookEntry, Unreadable> {
        let name = take(&mut keys, Field::NAME)?;
        let is_active = take(&mut keys, Field::IS_ACTIVE)?;
        let text = take_secret(&mut keys, Field::SECRET)?;
        let private_key = take_secret(&mut keys, Field::PRIVATE_KEY)?;
        let env: Option<String> = take(&mut keys, Field::SECRET_ENV)?;
        let env =
            env.map(|name| GivenSecret::Named(SecretSource { secret_env: Some(name), ..SecretSource::default() }));
        let file: Option<String> = take(&mut keys, Field::SECRET_FILE)?;
        let file =
            file.map(|name| GivenSecret::Named(SecretSource { secret_file: Some(name), ..SecretSource::default() }));
        let given = [(Field::SECRET, text), (Field::SECRET_ENV, env), (Field::SECRET_FILE, file)];
        let mut given = given.into_iter().filter_map(|(field, given)| Some((field, given?)));
        let secret = given.next();
        let unreadable = |field: Field, reason: String| Unreadable { key: field.key.to_owned(), reason };
        if let (Some((one, _)), Some((other, _))) = (&secret, given.next()) {
            return Err(unreadable(other, format!("excludes {}", one.key)));
        }
        let name = name.ok_or_else(|| unreadable(Field::NAME, "it is missing".to_owned()))?;
        let private_key = private_key.map(|given| (Field::PRIVATE_KEY, given));
        let secrets =
            secret.into_iter().chain(private_key).map(|(field, given)| EntrySecret { field, given }).collect();
        Ok(WebhookEntry { place, name, change: Change::from_keys(keys)?, is_active, secrets })
    }
}

impl EntrySecret {
    /// Its source, if the file names one.
    pub fn source(&self) -> Option<Source> {
        match &self.given {
            GivenSecret::Named(source) | GivenSecret::Referred(source) => source.source(),
            GivenSecret::Text(_) => None,
        }
    }

    /// The name of its source: the variable, the other file, or `the file`.
    pub fn origin(&self) -> &str {
        match &self.given {
            GivenSecret::Named(source) | GivenSecret::Referred(source) => {
                source.secret_env.as_deref().or(source.secret_file.as_deref()).unwrap_or("the file")
            }
            GivenSecret::Text(_) => "the file",
        }
    }

    /// The secret; `None` if it refers to a variable that is not set. `place` is that of the webhook.
    pub fn read(&self, place: &Place) -> Result<Option<Secret>, Failure> {
        let option = place.field(self.field);
        let secret = match &self.given {
            GivenSecret::Text(text) => {
                Secret::parse(text.clone()).map(Some).map_err(|error| Failure::option(&option, error))
            }
            GivenSecret::Referred(SecretSource { secret_env: Some(name), .. })
                if settings::variable(name).is_none() =>
            {
                Ok(None)
            }
            GivenSecret::Named(source) | GivenSecret::Referred(source) => source.read_as(&option),
        }?;
        let is_misplaced = secret.as_ref().is_some_and(|secret| secret.kind() == KeyKind::Symmetric);
        match self.field == Field::PRIVATE_KEY && is_misplaced {
            true => Err(Failure::option(&option, SecretError::NotEd25519)),
            false => Ok(secret),
        }
    }
}

/// Takes a secret out of the keys: its text or its source.
fn take_secret(keys: &mut Map<String, Value>, field: Field) -> Result<Option<GivenSecret>, Unreadable> {
    let given: Option<GivenCredential> = take(keys, field)?;
    Ok(given.map(|given| match given {
        GivenCredential::Text(secret) => GivenSecret::Text(secret.expose().into_owned()),
        GivenCredential::Named(source) | GivenCredential::Referred(source) => GivenSecret::Referred(match source {
            Source::Env(name) => SecretSource { secret_env: Some(name), ..SecretSource::default() },
            Source::File(path) => SecretSource { secret_file: Some(path), ..SecretSource::default() },
        }),
    }))
}

/// Takes a key out that is no setting.
fn take<T: DeserializeOwned>(keys: &mut Map<String, Value>, field: Field) -> Result<Option<T>, Unreadable> {
    let value = keys.remove(field.key).unwrap_or_default();
    Option::deserialize(value).map_err(|error| Unreadable::new(field.key, &error))
}

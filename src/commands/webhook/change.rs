//! A change of settings: options of create and update, and a webhook's keys in a configuration file.

use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};

use super::egress::EgressChange;
use super::hmac::HmacChange;
use super::pem::Pem;
use crate::commands::arguments;
use crate::commands::candidates::Candidates;
use crate::commands::given_credential::{GivenCredential, GivenHeader, header_env, header_file};
use crate::domain::presets::Preset;
use crate::domain::webhook::masked;
use crate::domain::webhook::rules::METHODS;
use crate::domain::webhook::{Field, Invalid, LONGEST_CA_CERT, Order, Settings};
use crate::domain::{custom_headers, duration, target_url};
use crate::http::check_ca_cert;
use crate::jq;

/// The size limit of a file with a credential, in bytes, so that an endless device is refused.
const LONGEST_CREDENTIAL: usize = 16 * 1024;

/// The settings to change; the others keep their values. In a file the keys are those of `webhook show -o json`, and a value
/// is also taken as the option takes it.
#[derive(Args, Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Change {
    /// Where requests go: http or https, without user and password
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The URL is a credential, such as that of a chat, and is in this environment variable
    #[arg(long = "secret-url-env", value_name = "VAR", value_parser = GivenCredential::env, conflicts_with_all = ["url", "secret_url_file"])]
    pub secret_url: Option<GivenCredential>,
    /// The same, in this file
    #[arg(long, value_name = "FILE", value_parser = GivenCredential::file, conflicts_with = "url")]
    #[serde(skip)]
    pub secret_url_file: Option<GivenCredential>,
    /// Event types it subscribes to, at most 1000; * matches any characters, and a pattern that begins with ! excludes types.
    /// Quote them for the shell: '*,!invoice.draft*' [repeatable, or with commas]
    #[arg(short = 'e', long = "event", visible_alias = "events", value_name = "PATTERN", add = Candidates::Patterns, value_delimiter = ',')]
    #[serde(deserialize_with = "list")]
    pub events: Option<Vec<String>>,
    /// Send only events for which this jq expression is neither false nor null; none removes it
    #[arg(long, value_name = "JQ", help_heading = "Events and bodies")]
    pub filter: Option<String>,
    /// Send the result of this jq expression as the body; none removes it
    #[arg(long, value_name = "JQ", help_heading = "Events and bodies")]
    pub transform: Option<String>,
    /// The body is a message for this receiver; of a chat the URL is kept as a credential, and nothing is signed: slack,
    /// discord, teams, mattermost, cloudevents; none for the event as it is
    #[arg(long, value_name = "PRESET", add = Candidates::Words(&Preset::NAMES), help_heading = "Events and bodies")]
    pub preset: Option<String>,
    /// A description for people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The HTTP method: POST, PUT or PATCH [default: POST]
    #[arg(long = "method", value_name = "METHOD", add = Candidates::Words(&METHODS), help_heading = "Request")]
    pub http_method: Option<String>,
    /// The Content-Type of its requests [default: application/json]
    #[arg(long, value_name = "TYPE", help_heading = "Request")]
    pub content_type: Option<String>,
    /// A custom header; not one that hookctl sends itself [repeatable]
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = custom_headers::parse_line, help_heading = "Request")]
    #[serde(deserialize_with = "headers")]
    pub headers: Option<Vec<(String, String)>>,
    /// A header whose value is a credential, and is in this environment variable [repeatable]
    #[arg(long = "header-env", value_name = "NAME=VAR", value_parser = header_env, help_heading = "Request")]
    #[serde(skip)]
    pub header_envs: Vec<GivenHeader>,
    /// A header whose value is a credential, and is in this file [repeatable]
    #[arg(long = "header-file", value_name = "NAME=FILE", value_parser = header_file, help_heading = "Request")]
    #[serde(skip)]
    pub header_files: Vec<GivenHeader>,
    /// The time limit of a whole attempt, from resolving the name to the last byte [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration, help_heading = "Request")]
    #[serde(rename = "timeout_seconds", deserialize_with = "length")]
    pub timeout: Option<Duration>,
    /// How requests are signed; see `hookctl schemes` [repeatable; default: timetracker, standard]
    #[arg(long = "signature", value_name = "SCHEME", add = Candidates::Schemes, value_delimiter = ',', help_heading = "Signature")]
    #[serde(deserialize_with = "list")]
    pub signature_schemes: Option<Vec<String>>,
    #[command(flatten)]
    #[serde(skip)]
    pub hmac: HmacChange,
    /// Its owner; none removes it [default: HOOKCTL_OWNER, else none]
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// Instead of a schedule: how often to retry a failed delivery [default: 3, with --retry-delay]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Retries and limits")]
    #[serde(deserialize_with = "text")]
    pub max_retries: Option<String>,
    /// Instead of a schedule: the delay before the first retry; it doubles with each, up to 24h [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration, help_heading = "Retries and limits")]
    #[serde(rename = "retry_delay_seconds", deserialize_with = "length")]
    pub retry_delay: Option<Duration>,
    /// The delay before each retry, or a preset: standard (9 retries in 3 days: 5s,5m,30m,2h,5h,10h,14h,20h,24h), svix (7 in
    /// 28 hours), timetracker (3, after 1, 2 and 4 minutes) [default: standard; timetracker with --ordered]
    #[arg(long, value_name = "LIST", add = Candidates::Words(&["standard", "svix", "timetracker"]), conflicts_with_all = ["max_retries", "retry_delay"], help_heading = "Retries and limits")]
    #[serde(deserialize_with = "text")]
    pub retry_schedule: Option<String>,
    /// Disable it after failing this long without a success; 0 is never [default: 5d]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration, help_heading = "Retries and limits")]
    #[serde(rename = "disable_after_seconds", deserialize_with = "length")]
    pub disable_after: Option<Duration>,
    /// The most requests per second, minute or hour: 10/s, 600/m, 5000/h; off removes the limit
    #[arg(long, value_name = "N/UNIT", help_heading = "Retries and limits")]
    pub rate_limit: Option<String>,
    /// The most requests at once [default: 8 while other webhooks have deliveries due]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Retries and limits")]
    #[serde(deserialize_with = "text")]
    pub concurrency: Option<String>,
    /// Send one delivery at a time, in the order of emission: for the whole webhook, or with --ordered=key for each ordering
    /// key (`emit --key`); deliveries without a key do not wait. --ordered=false removes it
    #[arg(long = "ordered", value_name = "webhook|key", add = Candidates::Words(&["webhook", "key"]), num_args = 0..=1, require_equals = true, default_missing_value = "webhook", value_parser = Order::parse, help_heading = "Retries and limits")]
    #[serde(rename = "is_ordered", alias = "ordered")]
    pub order: Option<Order>,
    /// Allow private and loopback addresses; --allow-private=false to forbid them again
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Addresses")]
    pub allow_private: Option<bool>,
    /// Allow these addresses besides public ones [repeatable, or with commas]
    #[arg(long = "allow-network", value_name = "CIDR", help_heading = "Addresses")]
    #[serde(deserialize_with = "list")]
    pub allow_networks: Option<Vec<String>>,
    /// Trust this certificate authority too (PEM file, certificates alone)
    #[arg(long, value_name = "FILE", value_parser = Pem::from_str, help_heading = "Addresses")]
    pub ca_cert: Option<Pem>,
    #[command(flatten)]
    #[serde(skip)]
    pub egress: EgressChange,
}

impl Change {
    /// The change that the keys of a file make. The error is that of the first unreadable key.
    pub fn from_keys(mut keys: Map<String, Value>) -> Result<Change, Unreadable> {
        let mut header_envs = Vec::new();
        if let Some(Value::Object(headers)) = keys.get_mut(Field::HEADERS.key) {
            for (name, value) in headers.iter().filter(|(_, value)| value.is_object()) {
                let given = GivenCredential::deserialize(value);
                header_envs.push((name.clone(), given.map_err(|error| Unreadable::new(Field::HEADERS.key, &error))?));
            }
            headers.retain(|_, value| !value.is_object());
        }
        let (egress, keys): (Map<_, _>, Map<_, _>) = keys.into_iter().partition(|(key, _)| EgressChange::has_key(key));
        let (hmac, keys): (Map<_, _>, Map<_, _>) = keys.into_iter().partition(|(key, _)| HmacChange::has_key(key));
        Ok(Change { egress: read(egress)?, hmac: read(hmac)?, header_envs, ..read(keys)? })
    }

    /// Whether a URL is given, also as a credential.
    pub fn has_url(&self) -> bool {
        self.url.is_some() || self.secret_url.is_some() || self.secret_url_file.is_some()
    }

    /// Notices about credentials in arguments, which other users can see.
    pub fn exposed(&self, is_chat: bool) -> Vec<String> {
        let seen = "was an argument, which other users of the machine can see; better:";
        let url = self.url.as_deref().and_then(|url| target_url::parse(url).ok());
        let what = if is_chat { "the URL of a chat" } else { "the query of the URL" };
        let url = url.filter(|url| is_chat || masked::has_credential(url));
        let url =
            url.map(|_| format!("{what} {seen} --secret-url-env VAR or --secret-url-file FILE, with the whole URL"));
        let mut names = self.headers.iter().flatten().map(|(name, _)| name);
        let header = names
            .find(|name| masked::is_credential(name))
            .map(|name| format!("the value of {name} {seen} --header-env {name}=VAR or --header-file {name}=FILE"));
        url.into_iter().chain(header).collect()
    }

    /// Sets the given values, each checked by itself.
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Invalid> {
        macro_rules! set {
            ($($given:expr => $set:ident;)*) => {
                $(if let Some(value) = $given { settings.$set(value)?; })*
            };
        }
        if let Some(order) = self.order {
            // Before the retries, which take precedence.
            settings.set_order(order);
        }
        // Before the content type, which takes precedence.
        self.apply_shape(settings)?;
        set! {
            self.url.as_deref() => set_url;
            self.events.as_deref() => set_events;
            self.description.as_deref() => set_description;
            self.owner.as_deref() => set_owner;
            self.http_method.as_deref() => set_http_method;
            self.content_type.as_deref() => set_content_type;
            self.headers.as_deref() => add_headers;
            self.timeout => set_timeout;
            self.signature_schemes.as_deref() => set_signature_schemes;
            self.max_retries.as_deref() => set_max_retries;
            self.retry_delay => set_retry_delay;
            // After the two above, which remove a schedule.
            self.retry_schedule.as_deref() => set_retry_schedule;
            self.disable_after => set_disable_after;
            self.rate_limit.as_deref() => set_rate_limit;
            self.concurrency.as_deref() => set_concurrency;
            self.allow_networks.as_deref() => set_allow_networks;
        }
        if let Some(given) = self.secret_url.as_ref().or(self.secret_url_file.as_ref()) {
            settings.set_secret_url(given.read(Field::SECRET_URL, LONGEST_CREDENTIAL)?)?;
        }
        settings.keep_url_secret();
        let headers = self.header_envs.iter().chain(&self.header_files);
        let headers = headers.map(|(name, given)| Ok((name.clone(), given.read(Field::HEADERS, LONGEST_CREDENTIAL)?)));
        settings.add_secret_headers(headers.collect::<Result<_, Invalid>>()?)?;
        settings.addresses.allow_private = self.allow_private.unwrap_or(settings.addresses.allow_private);
        if let Some(pem) = &self.ca_cert {
            let pem = pem.read(Field::CA_CERT, LONGEST_CA_CERT)?;
            settings.set_ca_cert(&pem)?;
            check_ca_cert(&pem).map_err(|error| Field::CA_CERT.invalid(error))?;
        }
        self.hmac.apply(&mut settings.hmac)?;
        self.egress.apply(&mut settings.egress)
    }

    fn apply_shape(&self, settings: &mut Settings) -> Result<(), Invalid> {
        let is_meant = |given: &Option<String>| given.as_ref().is_some_and(|text| text != "none");
        if is_meant(&self.transform) && is_meant(&self.preset) {
            let reason = "there is a transform as well, and only one of them can make the body";
            return Err(Field::PRESET.invalid(reason).hint("leave one of them out"));
        }
        let before = settings.shape.preset;
        if let Some(filter) = &self.filter {
            check_expression(Field::FILTER, filter)?;
            settings.shape.set_filter(filter);
        }
        if let Some(transform) = &self.transform {
            check_expression(Field::TRANSFORM, transform)?;
            settings.shape.set_transform(transform);
        }
        if let Some(preset) = &self.preset {
            settings.shape.set_preset(preset)?;
        }
        settings.follow_preset(before);
        Ok(())
    }
}

fn check_expression(field: Field, expression: &str) -> Result<(), Invalid> {
    match jq::check(expression) {
        Err(_) if expression == "none" => Ok(()),
        checked => checked.map_err(|refusal| field.invalid(&refusal).hint(refusal.hint())),
    }
}

fn read<T: DeserializeOwned>(keys: Map<String, Value>) -> Result<T, Unreadable> {
    let table = Value::Object(keys);
    T::deserialize(&table).map_err(|error| {
        // The library does not name the key, so each one is tried alone.
        let unreadable = |(key, value): (&String, &Value)| {
            let alone = Value::from(Map::from_iter([(key.clone(), value.clone())]));
            T::deserialize(&alone).err().map(|error| Unreadable::new(key, &error))
        };
        let first = table.as_object().into_iter().flatten().find_map(unreadable);
        first.unwrap_or_else(|| Unreadable { key: String::new(), reason: error.to_string() })
    })
}

#[derive(Debug)]
pub struct Unreadable {
    pub key: String,
    pub reason: String,
}

impl Unreadable {
    pub fn new(key: &str, error: &serde_json::Error) -> Unreadable {
        let reason = error.to_string();
        let reason = match Field::of_key(key) {
            None => "no such key".to_owned(),
            // The library's message would repeat the value.
            Some(field) if field.is_credential && reason.starts_with("invalid ") => {
                "not of the type that it has in `hookctl export`".to_owned()
            }
            Some(_) => reason,
        };
        Unreadable { key: key.to_owned(), reason }
    }
}

/// The value of the option: text, a number, or a list, which is joined with commas.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        list => Vec::<String>::deserialize(list).map(|items| Some(items.join(","))).map_err(D::Error::custom),
    }
}

/// A list, or a text separated by commas.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(Some(text.split(',').map(str::to_owned).collect())),
        list => Vec::deserialize(list).map(Some).map_err(D::Error::custom),
    }
}

/// A duration: a number of seconds, or a text such as `30s`.
fn length<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let length = match Value::deserialize(deserializer)? {
        Value::String(text) => duration::parse(&text).ok(),
        Value::Number(number) => match number.as_u64() {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None => number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
        },
        _ => None,
    };
    length
        .map(Some)
        .ok_or_else(|| D::Error::custom("not a length of time; write a number of seconds, or a text such as \"30s\""))
}

/// An object of names and values, or a list of `Name: value`.
fn headers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<(String, String)>>, D::Error> {
    let lines = match Value::deserialize(deserializer)? {
        Value::Object(members) => {
            let pair = |(name, value)| String::deserialize(value).map(|value| (name, value.trim().to_owned()));
            return members.into_iter().map(pair).collect::<Result<_, _>>().map(Some).map_err(D::Error::custom);
        }
        list => Vec::<String>::deserialize(list).map_err(D::Error::custom)?,
    };
    lines
        .iter()
        .map(|line| custom_headers::parse_line(line))
        .collect::<Result<_, _>>()
        .map(Some)
        .map_err(D::Error::custom)
}

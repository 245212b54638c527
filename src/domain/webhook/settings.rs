//! The settings of a webhook: what a person decides about it. docs/design/settings.md says how to add one.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::egress::EgressSettings;
use super::field::{Field, Invalid};
use super::hmac::{HMAC, HmacSettings};
use super::masked;
use super::order::Order;
use super::rules::{DEFAULT_DISABLE_AFTER_MS, LONGEST_TIMEOUT_MS, METHODS, check_name};
use super::shape::Shape;
use crate::domain::credential::{Credential, HeaderValue};
use crate::domain::custom_headers::{HeaderError, MAX_HEADERS};
use crate::domain::network::{AddressPolicy, parse_networks};
use crate::domain::owner::Owner;
use crate::domain::presets::Preset;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::{LONGEST_DELAY_MS, MOST_RETRIES, RetryPolicy};
use crate::domain::secret::{MASKED, Secret};
use crate::domain::signature::{Scheme, schemes};
use crate::domain::text::{self, LONGEST_DESCRIPTION, TextError, check_lines};
use crate::domain::{custom_headers, event_type, members, seconds, target_url};

pub const MOST_PATTERNS: usize = 1_000;
pub const MOST_NETWORKS: usize = 1_000;
/// The size limit of `--ca-cert`, in bytes of PEM.
pub const LONGEST_CA_CERT: usize = 256 * 1024;
pub const MOST_CONCURRENCY: u32 = 512;
/// The longest `--disable-after`, in days.
const LONGEST_DISABLE_AFTER_DAYS: i64 = 3_650;

/// A webhook's settings. `webhook show -o json`, `export` and the database use this one serialisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Unique; commands find the webhook by it.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where requests go, as the URL parser serialises it; masked where it is a credential.
    pub url: String,
    /// The unmasked URL where it is a credential: given as one (`--secret-url-…`), or with query values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_url: Option<Credential>,
    /// The patterns of the event types it subscribes to.
    pub events: Vec<String>,
    #[serde(flatten)]
    pub shape: Shape,
    /// One of [`super::rules::METHODS`].
    pub http_method: String,
    /// The `Content-Type` of its requests.
    pub content_type: String,
    /// Custom headers, in the order given.
    #[serde(with = "members")]
    pub headers: Vec<(String, HeaderValue)>,
    pub owner: Option<String>,
    #[serde(flatten)]
    pub retry: RetryPolicy,
    /// The deadline of a whole attempt, in milliseconds.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout_ms: i64,
    /// Names of signature schemes; empty without a secret.
    pub signature_schemes: Vec<String>,
    #[serde(flatten)]
    pub hmac: HmacSettings,
    /// It is disabled after failing this long without a success, in milliseconds; 0 is never.
    #[serde(rename = "disable_after_seconds", with = "seconds")]
    pub disable_after_ms: i64,
    pub rate_limit: Option<RateLimit>,
    /// The most requests in flight; `None`: [`super::DEFAULT_CONCURRENCY`] while other webhooks have deliveries due.
    pub concurrency: Option<u32>,
    #[serde(rename = "is_ordered")]
    pub order: Order,
    /// Which addresses it may call.
    #[serde(flatten)]
    pub addresses: AddressPolicy,
    /// Root certificates trusted besides the built-in ones, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<String>,
    #[serde(flatten)]
    pub egress: EgressSettings,
}

/// The settings of a new webhook.
impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: String::new(),
            description: None,
            url: String::new(),
            secret_url: None,
            events: Vec::new(),
            shape: Shape::default(),
            http_method: "POST".to_owned(),
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            owner: None,
            retry: RetryPolicy::default(),
            timeout_ms: 30_000,
            signature_schemes: Vec::new(),
            hmac: HmacSettings::default(),
            disable_after_ms: DEFAULT_DISABLE_AFTER_MS,
            rate_limit: None,
            concurrency: None,
            order: Order::None,
            addresses: AddressPolicy::default(),
            ca_cert: None,
            egress: EgressSettings::default(),
        }
    }
}

/// Setters, one for each setting; they refuse invalid values.
impl Settings {
    pub fn set_name(&mut self, name: &str) -> Result<(), Invalid> {
        check_name(name).map_err(|error| Field::NAME.invalid(error))?;
        name.clone_into(&mut self.name);
        Ok(())
    }

    pub fn set_description(&mut self, text: &str) -> Result<(), Invalid> {
        self.description = match check_lines(text, LONGEST_DESCRIPTION) {
            Ok(()) => Some(text.to_owned()),
            Err(TextError::Empty) => None,
            Err(error) => return Err(Field::DESCRIPTION.invalid(format!("the description {error}"))),
        };
        Ok(())
    }

    pub fn set_url(&mut self, text: &str) -> Result<(), Invalid> {
        let url = target_url::parse(text).map_err(|error| Field::URL.invalid(error))?;
        self.url = target_url::masked(&url);
        self.secret_url = masked::has_query_values(&url).then(|| Credential::new(Secret::of_text(url), None));
        Ok(())
    }

    /// Sets a URL that is a credential as a whole, such as that of a chat. Without its value, the present one is kept.
    pub fn set_secret_url(&mut self, given: Credential) -> Result<(), Invalid> {
        if let Some(text) = &given.value {
            let field = Field::SECRET_URL.given_by(given.source.as_ref());
            let url = target_url::parse(&text.expose()).map_err(|error| field.invalid(error))?;
            self.url = masked::secret_url(&url);
            self.secret_url = Some(Credential::new(Secret::of_text(url), given.source));
        } else {
            self.secret_url = Some(given);
        }
        Ok(())
    }

    /// The URL that requests go to; `None` for a credential that was not loaded.
    pub fn full_url(&self) -> Option<Cow<'_, str>> {
        match &self.secret_url {
            None => Some(Cow::Borrowed(&self.url)),
            Some(credential) => credential.value.as_ref().map(Secret::expose),
        }
    }

    pub fn set_events(&mut self, patterns: &[String]) -> Result<(), Invalid> {
        self.events.clear();
        self.add_events(patterns)?;
        self.check_events()
    }

    /// Checks that the patterns do not exclude everything.
    pub fn check_events(&self) -> Result<(), Invalid> {
        if self.events.is_empty() {
            return Err(Field::EVENTS.invalid("a webhook needs at least one event type"));
        }
        match self.events.iter().all(|pattern| pattern.starts_with(event_type::TAKES_OUT)) {
            true => Err(Field::EVENTS
                .invalid("every pattern takes types out with '!', so that nothing is left")
                .hint("name what it subscribes to as well: '*,!invoice.draft*' is everything but drafts")),
            false => Ok(()),
        }
    }

    /// Adds those patterns that are not there yet.
    pub fn add_events(&mut self, patterns: &[String]) -> Result<(), Invalid> {
        let mut known: HashSet<String> = self.events.iter().cloned().collect();
        for pattern in patterns {
            event_type::check_subscription(pattern).map_err(|error| Field::EVENTS.invalid(error))?;
            if known.insert(pattern.clone()) {
                self.events.push(pattern.clone());
            }
        }
        match self.events.len() {
            count if count > MOST_PATTERNS => Err(Field::EVENTS
                .invalid(format!("there are {count} patterns; the limit is {MOST_PATTERNS}"))
                .hint("a pattern such as 'invoice.*' or '*' stands for many event types")),
            _ => Ok(()),
        }
    }

    /// The content type of a preset comes and goes with it; `before` was there before the change.
    pub fn follow_preset(&mut self, before: Option<Preset>) {
        let of = |preset: Option<Preset>| preset.map_or("application/json", Preset::content_type);
        if self.shape.preset != before && (self.shape.preset.is_some() || self.content_type == of(before)) {
            of(self.shape.preset).clone_into(&mut self.content_type);
        }
    }

    /// Of a chat the URL is a credential as a whole.
    pub fn keep_url_secret(&mut self) {
        if let (true, Ok(url)) = (self.shape.is_chat(), target_url::parse(&self.url)) {
            self.url = masked::secret_url(&url);
            self.secret_url.get_or_insert_with(|| Credential::new(Secret::of_text(url), None));
        }
    }

    pub fn set_http_method(&mut self, method: &str) -> Result<(), Invalid> {
        let method = method.to_ascii_uppercase();
        if !METHODS.contains(&method.as_str()) {
            let reason = format!("not a method for webhooks; use {}", METHODS.join(", "));
            return Err(Field::HTTP_METHOD.invalid(reason));
        }
        self.http_method = method;
        Ok(())
    }

    pub fn set_content_type(&mut self, text: &str) -> Result<(), Invalid> {
        custom_headers::validate_content_type(text).map_err(|error| Field::CONTENT_TYPE.invalid(error))?;
        text.clone_into(&mut self.content_type);
        Ok(())
    }

    /// Adds headers, replacing those of the same name. `check` validates them, since it knows the signature headers.
    pub fn add_headers(&mut self, headers: &[(String, String)]) -> Result<(), Invalid> {
        if let Some((name, _)) = headers.iter().find(|(_, value)| value == MASKED) {
            return Err(Field::HEADERS.invalid(format!("'***' stands for the value of {name}; give the value itself")));
        }
        let value = |name: &str, text: &String| match masked::is_credential(name) {
            true => HeaderValue::Secret(Credential::new(Secret::of_text(text), None)),
            false => HeaderValue::Plain(text.clone()),
        };
        self.put_headers(headers.iter().map(|(name, text)| (name.clone(), value(name, text))).collect())
    }

    /// Adds headers whose values are credentials whatever their names, replacing those of the same name.
    pub fn add_secret_headers(&mut self, headers: Vec<(String, Credential)>) -> Result<(), Invalid> {
        self.put_headers(headers.into_iter().map(|(name, value)| (name, HeaderValue::Secret(value))).collect())
    }

    fn put_headers(&mut self, headers: Vec<(String, HeaderValue)>) -> Result<(), Invalid> {
        if headers.len() > MAX_HEADERS {
            return Err(Field::HEADERS.invalid(HeaderError::TooMany));
        }
        self.headers.retain(|(known, _)| !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(known)));
        self.headers.extend(headers);
        Ok(())
    }

    /// Sets the owner; `none` removes it.
    pub fn set_owner(&mut self, text: &str) -> Result<(), Invalid> {
        let owner: Owner = text.parse().map_err(|error| Field::OWNER.invalid(error))?;
        self.owner = owner.name().map(str::to_owned);
        Ok(())
    }

    /// Sets how many retries there are, given as text, and drops a retry schedule.
    pub fn set_max_retries(&mut self, text: &str) -> Result<(), Invalid> {
        self.retry.max_retries = whole_number(Field::MAX_RETRIES, text, 0, MOST_RETRIES)?;
        self.retry.schedule = None;
        Ok(())
    }

    /// Sets the first delay, and drops a retry schedule.
    pub fn set_retry_delay(&mut self, delay: Duration) -> Result<(), Invalid> {
        self.retry.delay_ms = millis(delay)
            .filter(|millis| *millis <= LONGEST_DELAY_MS)
            .ok_or_else(|| Field::RETRY_DELAY.invalid("longer than 24h, the longest delay there is"))?;
        self.retry.schedule = None;
        Ok(())
    }

    pub fn set_retry_schedule(&mut self, text: &str) -> Result<(), Invalid> {
        self.retry = RetryPolicy::preset(text).map_err(|error| {
            Field::RETRY_SCHEDULE.invalid(error).hint("write 5s,5m,1h, or standard, svix or timetracker")
        })?;
        Ok(())
    }

    /// Sets the order. With the default retries one failure would hold back everything behind it for days, so an ordered
    /// webhook gets the preset `timetracker` unless retries are given.
    pub fn set_order(&mut self, order: Order) {
        if order.is_kept() && !self.order.is_kept() && self.retry == RetryPolicy::default() {
            self.retry = RetryPolicy::timetracker();
        }
        self.order = order;
    }

    pub fn set_timeout(&mut self, timeout: Duration) -> Result<(), Invalid> {
        self.timeout_ms = millis(timeout)
            .filter(|millis| (1..=LONGEST_TIMEOUT_MS).contains(millis))
            .ok_or_else(|| Field::TIMEOUT.invalid("must be more than 0 and at most 1h"))?;
        Ok(())
    }

    pub fn set_signature_schemes(&mut self, names: &[String]) -> Result<(), Invalid> {
        self.signature_schemes.clear();
        for name in names {
            let scheme = Scheme::find(name).ok_or_else(|| unknown_scheme(name))?;
            if !self.signature_schemes.iter().any(|known| known == scheme.name) {
                self.signature_schemes.push(scheme.name.to_owned());
            }
        }
        if !self.signature_schemes.iter().any(|name| name == HMAC) {
            self.hmac = HmacSettings::default();
        }
        Ok(())
    }

    /// The scheme of this name as this webhook uses it; `None` if there is no such scheme.
    pub fn scheme(&self, name: &str) -> Option<Scheme> {
        self.hmac.scheme(name)
    }

    pub fn schemes(&self) -> impl Iterator<Item = Scheme> {
        self.signature_schemes.iter().filter_map(|name| self.scheme(name))
    }

    pub fn set_disable_after(&mut self, length: Duration) -> Result<(), Invalid> {
        self.disable_after_ms = millis(length)
            .filter(|millis| *millis <= LONGEST_DISABLE_AFTER_DAYS * 86_400_000)
            .ok_or_else(|| Field::DISABLE_AFTER.invalid(format!("longer than {LONGEST_DISABLE_AFTER_DAYS}d")))?;
        Ok(())
    }

    /// Sets a limit such as `10/s`; `off` removes it.
    pub fn set_rate_limit(&mut self, text: &str) -> Result<(), Invalid> {
        self.rate_limit = match text {
            "off" => None,
            text => Some(RateLimit::parse(text).map_err(|error| Field::RATE_LIMIT.invalid(error))?),
        };
        Ok(())
    }

    pub fn set_concurrency(&mut self, text: &str) -> Result<(), Invalid> {
        self.concurrency = Some(whole_number(Field::CONCURRENCY, text, 1, MOST_CONCURRENCY)?);
        Ok(())
    }

    pub fn set_allow_networks(&mut self, networks: &[String]) -> Result<(), Invalid> {
        let lists = networks.iter().map(|list| parse_networks(list)).collect::<Result<Vec<Vec<IpNet>>, _>>();
        let networks = lists.map_err(|error| Field::ALLOW_NETWORKS.invalid(error))?.concat();
        if networks.len() > MOST_NETWORKS {
            let reason = format!("there are {} networks; the limit is {MOST_NETWORKS}", networks.len());
            return Err(Field::ALLOW_NETWORKS.invalid(reason));
        }
        self.addresses.allow_networks = networks;
        Ok(())
    }

    /// Sets root certificates in PEM. Only TLS can tell whether they are valid; here a private key among them is refused,
    /// which would be stored and exported.
    pub fn set_ca_cert(&mut self, pem: &str) -> Result<(), Invalid> {
        if pem.len() > LONGEST_CA_CERT {
            return Err(Field::CA_CERT.invalid(format!("longer than {LONGEST_CA_CERT} bytes, the most there may be")));
        }
        if pem.to_ascii_uppercase().contains("PRIVATE KEY") {
            return Err(Field::CA_CERT
                .invalid("it holds a private key, which is not to be stored; nothing was stored")
                .hint("give a file with certificates alone: openssl x509 -in FILE -out ca.pem"));
        }
        self.ca_cert = Some(pem.to_owned());
        Ok(())
    }

    /// Checks the settings together: no header may be written twice, by two signatures or by a signature and a custom
    /// header.
    pub fn check(&self) -> Result<(), Invalid> {
        self.egress.check()?;
        self.hmac.check(&self.signature_schemes)?;
        if let Some(preset) = self.shape.preset.filter(|preset| preset.is_chat() && !self.signature_schemes.is_empty())
        {
            let reason = format!("{} checks no signature, and the webhook signs its requests", preset.name());
            return Err(Field::PRESET.invalid(reason).hint("say --no-secret, or `signature_schemes = []` in a file"));
        }
        let schemes: Vec<Scheme> = self.schemes().collect();
        let names: Vec<&str> = schemes.iter().flat_map(Scheme::written_headers).collect();
        let is_repeated =
            |(index, name): (usize, &&str)| names[..index].iter().any(|other| other.eq_ignore_ascii_case(name));
        if let Some(index) = names.iter().enumerate().position(is_repeated) {
            return Err(Field::SIGNATURE_SCHEMES
                .invalid(format!("two of the schemes write the header {}", names[index]))
                .hint("choose one of them, or make a webhook for each"));
        }
        let text = |value: &HeaderValue| value.text().unwrap_or_default().into_owned();
        let headers: Vec<_> = self.headers.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        custom_headers::validate(&headers, &names).map_err(|error| {
            let is_wrong = |header| custom_headers::validate(std::slice::from_ref(header), &names).is_err();
            let wrong = headers.iter().position(is_wrong).and_then(|at| self.headers.get(at));
            Field::HEADERS.given_by(wrong.and_then(|(_, value)| value.source())).invalid(error)
        })
    }

    pub fn masked(&self) -> Settings {
        let shown = |value: &HeaderValue| match value {
            HeaderValue::Plain(text) => HeaderValue::Plain(text.clone()),
            HeaderValue::Secret(credential) => HeaderValue::Secret(credential.masked()),
        };
        Settings {
            secret_url: self.secret_url.as_ref().map(Credential::masked),
            headers: self.headers.iter().map(|(name, value)| (name.clone(), shown(value))).collect(),
            ca_cert: self.ca_cert.as_ref().map(|_| "(a certificate)".to_owned()),
            egress: EgressSettings {
                client_cert: self.egress.client_cert.as_ref().map(|_| "(a certificate)".to_owned()),
                client_key: self.egress.client_key.as_ref().map(Credential::masked),
                proxy_password: self.egress.proxy_password.as_ref().map(Credential::masked),
                ..self.egress.clone()
            },
            ..self.clone()
        }
    }

    /// The credentials, each with its name in the database.
    pub fn credentials_mut(&mut self) -> Vec<(String, &mut Credential)> {
        let egress = &mut self.egress;
        let own = [(Field::PROXY_PASSWORD, &mut egress.proxy_password), (Field::CLIENT_KEY, &mut egress.client_key)];
        let own = own.into_iter().chain([(Field::SECRET_URL, &mut self.secret_url)]);
        let own = own.filter_map(|(field, own)| Some((field.key.to_owned(), own.as_mut()?)));
        let headers = self.headers.iter_mut().filter_map(|(name, value)| match value {
            HeaderValue::Secret(credential) => Some((format!("headers:{}", name.to_ascii_lowercase()), credential)),
            HeaderValue::Plain(_) => None,
        });
        own.chain(headers).collect()
    }

    /// The setting of a credential, by its name in the database.
    pub fn field_of_credential(name: &str) -> Field {
        let key = name.split_once(':').map_or(name, |(key, _)| key);
        Field::of_key(key).unwrap_or(Field::HEADERS)
    }

    /// Every setting that has a value, in the order of [`Field::ALL`].
    pub fn values(&self) -> Vec<(Field, Value)> {
        let Ok(Value::Object(mut members)) = serde_json::to_value(self) else { return Vec::new() };
        let values = Field::ALL.iter().filter_map(|field| members.remove(field.key).map(|value| (*field, value)));
        values.filter(|(_, value)| !value.is_null()).collect()
    }

    pub fn subscribes_to(&self, event_type: &str) -> bool {
        event_type::wants(&self.events, event_type)
    }
}

fn whole_number(field: Field, text: &str, least: u32, most: u32) -> Result<u32, Invalid> {
    text::whole_number(text)
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| field.invalid(format!("not a whole number from {least} to {most}")))
}

fn millis(duration: Duration) -> Option<i64> {
    i64::try_from(duration.as_millis()).ok()
}

fn unknown_scheme(name: &str) -> Invalid {
    Field::SIGNATURE_SCHEMES.invalid(format!("no signature scheme '{name}'")).hint(schemes::advice(name))
}

#[cfg(test)]
mod tests;

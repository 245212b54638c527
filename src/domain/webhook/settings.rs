//! The settings of a webhook: what a person decides about it. docs/design/settings.md says how to add one.

use std::collections::HashSet;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::egress::EgressSettings;
use super::field::{Field, Invalid};
use super::masked;
use super::rules::{DEFAULT_DISABLE_AFTER_MS, LONGEST_TIMEOUT_MS, METHODS, check_name};
use crate::domain::credential::Credential;
use crate::domain::custom_headers::{HeaderError, MAX_HEADERS};
use crate::domain::network::{AddressPolicy, parse_networks};
use crate::domain::owner::Owner;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::{LONGEST_DELAY_MS, MOST_RETRIES, RetryPolicy};
use crate::domain::signature::{Scheme, schemes};
use crate::domain::text::{LONGEST_DESCRIPTION, TextError, check_lines};
use crate::domain::{custom_headers, event_type, members, seconds, target_url};

/// The most patterns that a webhook subscribes to.
pub const MOST_PATTERNS: usize = 1_000;
/// The most networks that a webhook may call.
pub const MOST_NETWORKS: usize = 1_000;
/// The longest certificates, in bytes of PEM.
pub const LONGEST_CA_CERT: usize = 256 * 1024;
/// The most requests of one webhook at once.
pub const MOST_CONCURRENCY: u32 = 512;
/// The longest time until a webhook without success is disabled, in days.
const LONGEST_DISABLE_AFTER_DAYS: i64 = 3_650;

/// The settings. They serialise as `webhook show -o json`, `export` and the database have them, key by key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Unique; what commands call it.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Where requests go, as the URL parser wrote it.
    pub url: String,
    /// The patterns of the event types it subscribes to.
    pub events: Vec<String>,
    /// One of [`super::rules::METHODS`].
    pub http_method: String,
    /// The `Content-Type` of its requests.
    pub content_type: String,
    /// Its own headers, in the order given.
    #[serde(with = "members")]
    pub headers: Vec<(String, String)>,
    pub owner: Option<String>,
    /// When failed deliveries are tried again.
    #[serde(flatten)]
    pub retry: RetryPolicy,
    /// The deadline of a whole attempt, in milliseconds.
    #[serde(rename = "timeout_seconds", with = "seconds")]
    pub timeout_ms: i64,
    /// The names of its signature schemes; empty without a secret.
    pub signature_schemes: Vec<String>,
    /// After so many milliseconds of failures without a success it is disabled; 0 is never.
    #[serde(rename = "disable_after_seconds", with = "seconds")]
    pub disable_after_ms: i64,
    /// At most so many requests per time.
    pub rate_limit: Option<RateLimit>,
    /// At most so many requests at once; [`super::DEFAULT_CONCURRENCY`] while others wait, when not set.
    pub concurrency: Option<u32>,
    /// One delivery at a time, in the order of emission.
    pub is_ordered: bool,
    /// Which addresses it may call.
    #[serde(flatten)]
    pub addresses: AddressPolicy,
    /// A certificate authority that it trusts besides the built-in ones, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_cert: Option<String>,
    #[serde(flatten)]
    pub egress: EgressSettings,
}

/// What a new webhook starts from.
impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: String::new(),
            description: None,
            url: String::new(),
            events: Vec::new(),
            http_method: "POST".to_owned(),
            content_type: "application/json".to_owned(),
            headers: Vec::new(),
            owner: None,
            retry: RetryPolicy::default(),
            timeout_ms: 30_000,
            signature_schemes: Vec::new(),
            disable_after_ms: DEFAULT_DISABLE_AFTER_MS,
            rate_limit: None,
            concurrency: None,
            is_ordered: false,
            addresses: AddressPolicy::default(),
            ca_cert: None,
            egress: EgressSettings::default(),
        }
    }
}

/// Each sets one value, and refuses one that does not follow the rules.
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
        self.url = target_url::parse(text).map_err(|error| Field::URL.invalid(error))?.to_string();
        Ok(())
    }

    pub fn set_events(&mut self, patterns: &[String]) -> Result<(), Invalid> {
        self.events.clear();
        self.add_events(patterns)?;
        match self.events.is_empty() {
            true => Err(Field::EVENTS.invalid("a webhook needs at least one event type")),
            false => Ok(()),
        }
    }

    /// Subscribes to these as well, each once.
    pub fn add_events(&mut self, patterns: &[String]) -> Result<(), Invalid> {
        let mut known: HashSet<String> = self.events.iter().cloned().collect();
        for pattern in patterns {
            event_type::check_pattern(pattern).map_err(|error| Field::EVENTS.invalid(error))?;
            if known.insert(pattern.clone()) {
                self.events.push(pattern.clone());
            }
        }
        match self.events.len() {
            count if count > MOST_PATTERNS => Err(Field::EVENTS
                .invalid(format!("there are {count} patterns; {MOST_PATTERNS} are the most"))
                .hint("a pattern such as 'invoice.*' or '*' stands for many event types")),
            _ => Ok(()),
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

    /// Adds headers; one of a name that is there takes its place. The rules for them need the signatures: see `check`.
    pub fn add_headers(&mut self, headers: &[(String, String)]) -> Result<(), Invalid> {
        if headers.len() > MAX_HEADERS {
            return Err(Field::HEADERS.invalid(HeaderError::TooMany));
        }
        self.headers.retain(|(known, _)| !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(known)));
        self.headers.extend_from_slice(headers);
        Ok(())
    }

    /// Sets a name, or nobody with `none`.
    pub fn set_owner(&mut self, text: &str) -> Result<(), Invalid> {
        let owner: Owner = text.parse().map_err(|error| Field::OWNER.invalid(error))?;
        self.owner = owner.name().map(str::to_owned);
        Ok(())
    }

    /// Sets it as the text of a number; the formula takes the place of a schedule.
    pub fn set_max_retries(&mut self, text: &str) -> Result<(), Invalid> {
        self.retry.max_retries = whole_number(Field::MAX_RETRIES, text, 0, MOST_RETRIES)?;
        self.retry.schedule = None;
        Ok(())
    }

    /// Sets the first delay; the formula takes the place of a schedule.
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

    /// Sets whether order is kept. Days of retries would hold everything behind one failure: unless retries are given, an
    /// ordered webhook has those of the preset `timetracker`.
    pub fn set_ordered(&mut self, is_ordered: bool) {
        if is_ordered && !self.is_ordered && self.retry == RetryPolicy::default() {
            self.retry = RetryPolicy::timetracker();
        }
        self.is_ordered = is_ordered;
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
        Ok(())
    }

    pub fn set_disable_after(&mut self, length: Duration) -> Result<(), Invalid> {
        self.disable_after_ms = millis(length)
            .filter(|millis| *millis <= LONGEST_DISABLE_AFTER_DAYS * 86_400_000)
            .ok_or_else(|| Field::DISABLE_AFTER.invalid(format!("longer than {LONGEST_DISABLE_AFTER_DAYS}d")))?;
        Ok(())
    }

    /// Sets `10/s`, or none with `off`.
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
            let reason = format!("there are {} networks; {MOST_NETWORKS} are the most", networks.len());
            return Err(Field::ALLOW_NETWORKS.invalid(reason));
        }
        self.addresses.allow_networks = networks;
        Ok(())
    }

    /// Sets PEM. That it is certificates, only TLS can tell; that no key is among them is checked here: it would be stored,
    /// and exported.
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

    /// Checks what only the whole tells: that no two signatures, nor a signature and a header of the webhook's own, write
    /// the same header.
    pub fn check(&self) -> Result<(), Invalid> {
        self.egress.check()?;
        let schemes = self.signature_schemes.iter().filter_map(|name| Scheme::find(name));
        let names: Vec<&str> = schemes.flat_map(Scheme::written_headers).collect();
        let is_repeated =
            |(index, name): (usize, &&str)| names[..index].iter().any(|other| other.eq_ignore_ascii_case(name));
        if let Some(index) = names.iter().enumerate().position(is_repeated) {
            return Err(Field::SIGNATURE_SCHEMES
                .invalid(format!("two of the schemes write the header {}", names[index]))
                .hint("choose one of them, or make a webhook for each"));
        }
        custom_headers::validate(&self.headers, &names).map_err(|error| Field::HEADERS.invalid(error))
    }

    /// The settings as they may be shown: without the values that are credentials.
    pub fn masked(&self) -> Settings {
        Settings {
            url: masked::url(&self.url),
            headers: masked::headers(&self.headers),
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

    /// The credentials among the settings, each with its name in the database.
    pub fn credentials_mut(&mut self) -> Vec<(String, &mut Credential)> {
        let egress = &mut self.egress;
        let own = [(Field::PROXY_PASSWORD, &mut egress.proxy_password), (Field::CLIENT_KEY, &mut egress.client_key)];
        own.into_iter().filter_map(|(field, own)| Some((field.key.to_owned(), own.as_mut()?))).collect()
    }

    /// The setting that a credential of that name belongs to.
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

    /// Whether one of its patterns matches `event_type`.
    pub fn subscribes_to(&self, event_type: &str) -> bool {
        self.events.iter().any(|pattern| event_type::subscribes(pattern, event_type))
    }
}

fn whole_number(field: Field, text: &str, least: u32, most: u32) -> Result<u32, Invalid> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|number| is_number && (least..=most).contains(number))
        .ok_or_else(|| field.invalid(format!("not a whole number from {least} to {most}")))
}

fn millis(duration: Duration) -> Option<i64> {
    i64::try_from(duration.as_millis()).ok()
}

fn unknown_scheme(name: &str) -> Invalid {
    Field::SIGNATURE_SCHEMES.invalid(format!("no signature scheme '{name}'")).hint(schemes::advice(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> Settings {
        let mut settings = Settings { name: "crm".to_owned(), is_ordered: true, ..Settings::default() };
        settings.set_url("https://crm.example/hook?key=1").unwrap();
        settings.set_events(&["invoice.*".to_owned()]).unwrap();
        settings.set_description("two\nlines").unwrap();
        settings.add_headers(&[("X-B".to_owned(), "1".to_owned()), ("X-A".to_owned(), "2".to_owned())]).unwrap();
        settings.set_owner("sales").unwrap();
        settings.set_retry_delay(Duration::from_millis(250)).unwrap();
        settings.set_retry_schedule("5s,90s").unwrap();
        settings.set_timeout(Duration::from_millis(1_500)).unwrap();
        settings.set_rate_limit("10/s").unwrap();
        settings.set_concurrency("2").unwrap();
        settings.set_allow_networks(&["10.0.0.0/8,fd00::1".to_owned()]).unwrap();
        settings.set_ca_cert("-----BEGIN CERTIFICATE-----").unwrap();
        settings.egress.set_proxy("http://user@proxy.example:3128").unwrap();
        settings.egress.set_proxy_password(Credential::default()).unwrap();
        settings.egress.set_client_cert("-----BEGIN CERTIFICATE-----").unwrap();
        settings.egress.client_key = Some(Credential::default());
        settings
    }

    #[test]
    fn settings_are_read_back_as_they_were_written() {
        for settings in [filled(), Settings::default()] {
            let text = serde_json::to_string(&settings).unwrap();
            assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings, "{text}");
        }
    }

    #[test]
    fn what_a_stored_webhook_lacks_has_its_default() {
        assert_eq!(serde_json::from_str::<Settings>("{}").unwrap(), Settings::default());
    }

    #[test]
    fn every_setting_has_its_field() {
        let Value::Object(members) = serde_json::to_value(filled()).unwrap() else { panic!("no object") };
        for key in members.keys() {
            assert!(Field::of_key(key).is_some(), "{key} has no line in field.rs");
        }
        assert_eq!(filled().values().len(), members.len());
    }

    #[test]
    fn a_private_key_is_not_taken_for_a_certificate() {
        for kind in ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "private key"] {
            let mut settings = Settings::default();
            let pem =
                format!("-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n-----BEGIN {kind}-----\nMA==");
            assert_eq!(settings.set_ca_cert(&pem).unwrap_err().field, Field::CA_CERT);
            assert_eq!(settings, Settings::default());
        }
    }

    #[test]
    fn counts_beyond_any_use_are_refused_and_repetitions_are_not_counted() {
        let patterns = |count: usize| (0..count).map(|number| format!("type.{number}")).collect::<Vec<_>>();
        let mut settings = Settings::default();
        assert!(settings.set_events(&[patterns(MOST_PATTERNS), patterns(MOST_PATTERNS)].concat()).is_ok());
        assert_eq!(settings.events.len(), MOST_PATTERNS);
        assert!(settings.set_events(&patterns(MOST_PATTERNS + 1)).is_err());
        let networks = vec!["10.0.0.1".to_owned(); MOST_NETWORKS + 1];
        assert!(settings.set_allow_networks(&networks).is_err());
    }

    #[test]
    fn no_masked_setting_holds_a_credential() {
        let mut settings = filled();
        settings.add_headers(&[("Authorization".to_owned(), "Bearer hunter2".to_owned())]).unwrap();
        settings.set_url("https://crm.example/?token=hunter2").unwrap();
        settings.set_ca_cert("hunter2").unwrap();
        assert!(!serde_json::to_string(&settings.masked()).unwrap().contains("hunter2"));
    }
}

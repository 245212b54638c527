//! The settings of a webhook as options, shared by create and update, and their checks.

use std::time::Duration;

use anyhow::Result;
use clap::Args;

use crate::commands::arguments::{self, read_input};
use crate::commands::candidates::Candidates;
use crate::commands::signature_options::scheme_named;
use crate::context::Context;
use crate::domain::network::parse_networks;
use crate::domain::rate_limit::RateLimit;
use crate::domain::retry::{self, LONGEST_DELAY_MS, MOST_RETRIES};
use crate::domain::signature::Scheme;
use crate::domain::text::{LONGEST_DESCRIPTION, check_lines};
use crate::domain::webhook::{self, LONGEST_TIMEOUT_MS, METHODS, Settings};
use crate::domain::{custom_headers, event_type, target_url};
use crate::error::Failure;
use crate::http::{LookUps, Target, check_ca_cert, refusal};
use crate::store::Store;

/// How long create and update wait for the host's addresses.
const LOOK_UP_PATIENCE: Duration = Duration::from_secs(2);
/// The longest CA file, in bytes.
const LONGEST_CA_FILE: usize = 256 * 1024;

/// The settings of a webhook; what is not given stays as it is.
#[derive(Args, Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Where requests go: http or https, without user and password
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// Event types it subscribes to; * stands for any run of characters [repeatable, or with commas]
    #[arg(short = 'e', long = "event", visible_alias = "events", value_name = "PATTERN", add = Candidates::EventTypes, value_delimiter = ',')]
    pub events: Vec<String>,
    /// A line about it, for people
    #[arg(long, value_name = "TEXT")]
    pub description: Option<String>,
    /// The HTTP method: POST, PUT or PATCH [default: POST]
    #[arg(long, value_name = "METHOD", help_heading = "Request")]
    pub method: Option<String>,
    /// The Content-Type of its requests [default: application/json]
    #[arg(long, value_name = "TYPE", help_heading = "Request")]
    pub content_type: Option<String>,
    /// A header of its own; none that hookctl sends itself [repeatable]
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = "Request")]
    pub headers: Vec<String>,
    /// The deadline of a whole attempt, from the name look-up to the last byte [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration, help_heading = "Request")]
    pub timeout: Option<Duration>,
    /// How requests are signed; see `hookctl schemes` [repeatable; default: timetracker, standard]
    #[arg(long = "signature", value_name = "SCHEME", add = Candidates::Schemes, value_delimiter = ',', help_heading = "Signature")]
    pub signatures: Vec<String>,
    /// Who it belongs to [default: HOOKCTL_OWNER, else USER]
    #[arg(long, value_name = "OWNER")]
    pub owner: Option<String>,
    /// How often a failed delivery is tried again [default: 3]
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Retries and limits")]
    pub max_retries: Option<String>,
    /// The delay before the first retry; it doubles with each, up to 24h [default: 60s]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration, help_heading = "Retries and limits")]
    pub retry_delay: Option<Duration>,
    /// The delay before each retry one by one, or a preset: timetracker, standard, svix; takes the place of --max-retries
    /// and --retry-delay, and giving those later takes its place
    #[arg(long, value_name = "LIST", help_heading = "Retries and limits")]
    pub retry_schedule: Option<String>,
    /// Disable it after so long without a success; 0 never [default: 5d]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration, help_heading = "Retries and limits")]
    pub disable_after: Option<Duration>,
    /// At most so many requests a second, minute or hour: 10/s, 600/m, 5000/h; off to lift it
    #[arg(long, value_name = "N/UNIT", help_heading = "Retries and limits")]
    pub rate_limit: Option<String>,
    /// At most so many requests at once [default: 8 while other webhooks have deliveries due]
    #[arg(long, value_name = "N", value_parser = arguments::concurrency, help_heading = "Retries and limits")]
    pub concurrency: Option<usize>,
    /// One delivery at a time, in the order of emission; --ordered=false to lift it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Retries and limits")]
    pub ordered: Option<bool>,
    /// Allow private and loopback addresses; --allow-private=false to forbid them again
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", help_heading = "Addresses")]
    pub allow_private: Option<bool>,
    /// Allow exactly these addresses besides public ones [repeatable, or with commas]
    #[arg(long = "allow-network", value_name = "CIDR", help_heading = "Addresses")]
    pub allow_networks: Vec<String>,
    /// Trust this certificate authority too (PEM file)
    #[arg(long, value_name = "FILE", help_heading = "Addresses")]
    pub ca_cert: Option<String>,
}

impl Options {
    /// Writes what was given into `settings`, each value checked by itself.
    pub fn apply(&self, settings: &mut Settings) -> Result<(), Failure> {
        if let Some(url) = &self.url {
            settings.url = target_url::parse(url).map_err(|error| Failure::option("--url", error))?.to_string();
        }
        if !self.events.is_empty() {
            settings.events = checked_patterns("--event", &self.events)?;
        }
        if let Some(description) = &self.description {
            settings.description = checked_description(description)?;
        }
        self.apply_request(settings)?;
        self.apply_retries(settings)?;
        self.apply_addresses(settings)?;
        if let Some(owner) = &self.owner {
            check_owner(owner)?;
            settings.owner = Some(owner.clone());
        }
        Ok(())
    }

    fn apply_request(&self, settings: &mut Settings) -> Result<(), Failure> {
        if let Some(method) = &self.method {
            let method = method.to_ascii_uppercase();
            if !METHODS.contains(&method.as_str()) {
                return Err(Failure::option(
                    "--method",
                    format!("not a method for webhooks; use {}", METHODS.join(", ")),
                ));
            }
            settings.http_method = method;
        }
        if let Some(content_type) = &self.content_type {
            custom_headers::validate_content_type(content_type)
                .map_err(|error| Failure::option("--content-type", error))?;
            settings.content_type.clone_from(content_type);
        }
        if !self.headers.is_empty() {
            settings.headers = self
                .headers
                .iter()
                .map(|line| custom_headers::parse_line(line).map_err(|error| Failure::option("--header", error)))
                .collect::<Result<_, _>>()?;
        }
        if let Some(timeout) = self.timeout {
            let millis = timeout.as_millis();
            if millis == 0 || millis > LONGEST_TIMEOUT_MS as u128 {
                return Err(Failure::option("--timeout", "must be more than 0 and at most 1h"));
            }
            settings.timeout_ms = millis as i64;
        }
        if !self.signatures.is_empty() {
            settings.signature_schemes = checked_schemes(&self.signatures)?;
        }
        Ok(())
    }

    fn apply_retries(&self, settings: &mut Settings) -> Result<(), Failure> {
        if let Some(text) = &self.max_retries {
            let number = text.parse().ok().filter(|number| *number <= MOST_RETRIES && !text.starts_with('+'));
            settings.retry.max_retries = number.ok_or_else(|| {
                Failure::option("--max-retries", format!("not a whole number from 0 to {MOST_RETRIES}"))
            })?;
        }
        if let Some(delay) = self.retry_delay {
            if delay.as_millis() > LONGEST_DELAY_MS as u128 {
                return Err(Failure::option("--retry-delay", "longer than 24h, the longest delay there is"));
            }
            settings.retry.delay_ms = delay.as_millis() as i64;
        }
        if self.max_retries.is_some() || self.retry_delay.is_some() {
            settings.retry.schedule = None; // the formula is asked for again, unless a schedule is given beside it
        }
        if let Some(text) = &self.retry_schedule {
            settings.retry.schedule = retry::parse_schedule(text).map_err(|error| {
                Failure::option("--retry-schedule", error).hint("write 5s,5m,1h, or timetracker, standard or svix")
            })?;
        }
        if let Some(length) = self.disable_after {
            let millis = i64::try_from(length.as_millis()).ok().filter(|millis| *millis <= 10 * 365 * 86_400_000);
            settings.disable_after_ms =
                millis.ok_or_else(|| Failure::option("--disable-after", "longer than 3650d"))?;
        }
        match self.rate_limit.as_deref() {
            None => {}
            Some("off") => settings.rate_limit = None,
            Some(text) => {
                let limit = RateLimit::parse(text).map_err(|error| Failure::option("--rate-limit", error))?;
                settings.rate_limit = Some(limit);
            }
        }
        if let Some(concurrency) = self.concurrency {
            settings.concurrency = Some(concurrency as u32);
        }
        if let Some(ordered) = self.ordered {
            settings.is_ordered = ordered;
        }
        Ok(())
    }

    fn apply_addresses(&self, settings: &mut Settings) -> Result<(), Failure> {
        if let Some(allow) = self.allow_private {
            settings.addresses.allow_private = allow;
        }
        if !self.allow_networks.is_empty() {
            settings.addresses.allow_networks = parse_networks(&self.allow_networks.join(","))
                .map_err(|error| Failure::option("--allow-network", error))?;
        }
        if let Some(file) = &self.ca_cert {
            let pem = read_input("--ca-cert", file, LONGEST_CA_FILE)?;
            let pem = String::from_utf8(pem).map_err(|_| Failure::option("--ca-cert", "not a PEM file"))?;
            set_ca_cert(settings, pem)?;
        }
        Ok(())
    }
}

/// Sets the certificate authority that a webhook trusts too, when it is one.
pub fn set_ca_cert(settings: &mut Settings, pem: String) -> Result<(), Failure> {
    if pem.len() > LONGEST_CA_FILE {
        return Err(Failure::option(
            "--ca-cert",
            format!("longer than {LONGEST_CA_FILE} bytes, the most there may be"),
        ));
    }
    check_ca_cert(&pem).map_err(|error| Failure::option("--ca-cert", error))?;
    settings.ca_cert = Some(pem);
    Ok(())
}

/// Checks what only the whole tells: headers against signatures, and the addresses that the URL leads to.
pub fn check_whole(context: &Context, settings: &Settings) -> Result<(), Failure> {
    check_headers(settings)?;
    let url = target_url::parse(&settings.url).map_err(|error| Failure::option("--url", error))?;
    let target = Target::new(&url).map_err(|error| Failure::option("--url", error))?;
    let mut policy = settings.addresses.clone();
    policy.allow_networks.extend(&context.settings.networks);
    match refusal(&LookUps::new(), &policy, &target, LOOK_UP_PATIENCE) {
        Some(blocked) => Err(Failure::option("--url", blocked)),
        None => Ok(()),
    }
}

/// Checks that no two signatures, nor a signature and a header of the webhook's own, write the same header.
pub fn check_headers(settings: &Settings) -> Result<(), Failure> {
    let names: Vec<String> = settings
        .signature_schemes
        .iter()
        .filter_map(|name| Scheme::find(name))
        .flat_map(|scheme| scheme.written_headers().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    if let Some(name) = repeated(&names) {
        return Err(Failure::option("--signature", format!("two of the schemes write the header {name}"))
            .hint("choose one of them, or make a webhook for each"));
    }
    custom_headers::validate(&settings.headers, &names).map_err(|error| Failure::option("--header", error))
}

/// A header name that is there twice, in any case: receivers would take one of the two, or none.
fn repeated<'a>(names: &[&'a str]) -> Option<&'a str> {
    names.iter().enumerate().find_map(|(index, name)| {
        names[..index].iter().any(|earlier| earlier.eq_ignore_ascii_case(name)).then_some(*name)
    })
}

/// Warns of event types that the catalogue does not know, with the nearest one that it does.
pub fn warn_of_unknown_types(context: &mut Context, store: &Store, patterns: &[String]) -> Result<()> {
    for pattern in patterns.iter().filter(|pattern| !pattern.contains('*')) {
        warn_of_unknown_type(context, store, pattern)?;
    }
    Ok(())
}

/// Warns when the catalogue does not know an event type.
pub fn warn_of_unknown_type(context: &mut Context, store: &Store, event_type: &str) -> Result<()> {
    if store.knows_event_type(event_type)? {
        return Ok(());
    }
    let known = store.event_types()?;
    let advice = match event_type::nearest(event_type, known.iter().map(|known| known.name.as_str())) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => "add it with `hookctl event-type add` if it is right".to_owned(),
    };
    context.out.warning(&format!("the event type '{event_type}' is not in the catalogue; {advice}"));
    Ok(())
}

/// Patterns, each checked, without repetitions.
pub fn checked_patterns(option: &str, patterns: &[String]) -> Result<Vec<String>, Failure> {
    let mut checked: Vec<String> = Vec::new();
    for pattern in patterns {
        event_type::check_pattern(pattern).map_err(|error| Failure::option(option, error))?;
        if !checked.contains(pattern) {
            checked.push(pattern.clone());
        }
    }
    Ok(checked)
}

/// A webhook's name, checked.
pub fn check_name(option: &str, name: &str) -> Result<(), Failure> {
    webhook::check_name(name).map_err(|error| Failure::option(option, error))
}

/// An owner, checked.
pub fn check_owner(owner: &str) -> Result<(), Failure> {
    webhook::check_owner(owner).map_err(|error| Failure::option("--owner", error))
}

/// The canonical names of schemes, each once.
fn checked_schemes(names: &[String]) -> Result<Vec<String>, Failure> {
    let mut checked: Vec<String> = Vec::new();
    for name in names {
        let scheme = scheme_named("--signature", name)?;
        if !checked.iter().any(|known| known == scheme.name) {
            checked.push(scheme.name.to_owned());
        }
    }
    Ok(checked)
}

fn checked_description(text: &str) -> Result<Option<String>, Failure> {
    if text.is_empty() {
        return Ok(None);
    }
    match check_lines(text, LONGEST_DESCRIPTION) {
        Ok(()) => Ok(Some(text.to_owned())),
        Err(error) => Err(Failure::option("--description", format!("the description {error}"))),
    }
}

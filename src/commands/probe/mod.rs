//! `hookctl probe`

mod checks;
mod command;
mod junit;
mod run;
mod sample;
mod view;

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::PossibleValuesParser;
use serde_json::value::RawValue;

use self::run::Run;
use self::sample::Maker;
use self::view::{CheckResult, ProbeView};
use super::arguments;
use super::emit::json_argument;
use super::replace_file::{check_target, replace};
use super::signature_options::{Keyed, SignatureOptions, stdin_twice};
use crate::commands::candidates::Candidates;
use crate::commands::webhook::egress::{EgressChange, check_identity};
use crate::context::{Context, Exit};
use crate::domain::event_type::{self, WEBHOOK_TEST};
use crate::domain::network::{AddressPolicy, parse_networks};
use crate::domain::signature::Scheme;
use crate::domain::webhook::Settings;
use crate::domain::{json, target_url};
use crate::error::Failure;
use crate::http::{Client, Egress, Shared, Target};
use crate::new_file::Readers;
use crate::random::Random;

/// Test a receiver with valid and forged requests
///
/// The receiver must know the secret. It gets valid requests, and requests that are wrong in one way each, such as a
/// changed body or an old timestamp; each check shows what was expected and what was seen. A check that does not
/// apply to the scheme is not judged: a scheme that signs no time has no request that is too old. Nothing is stored.
///
/// With -w the webhook's secrets, scheme, method, headers and content type are used, and its certificates and proxy;
/// with several schemes, the one that the receiver accepts. Loopback addresses need no flag.
#[derive(Args, Debug)]
#[command(
    mut_arg("webhook", |arg| arg.help("Use the secrets, schemes, method, headers and content type of this webhook")),
    mut_arg("url", |arg| arg.help("The URL that is signed, where the scheme signs it (square, hubspot-v3) [default: URL]")),
    mut_arg("method", |arg| arg.help("The method of the requests [default: the webhook's, else POST]")),
    after_help = "Checks:
  valid              accepts a valid signature
  missing            refuses a request without one
  wrong              refuses an invalid one
  other-secret       refuses one of another secret
  changed-body       refuses a body that was changed after signing
  changed-id         refuses a changed id, where the scheme signs one
  changed-timestamp  refuses a changed timestamp, where the scheme signs one
  too-old            refuses what was signed 11 minutes ago
  from-future        refuses what will be signed in 11 minutes
  raw-bytes          verifies the bytes as they came, however their JSON is written
  rotation           accepts either of two signatures, where the scheme has lists
  wrong-is-4xx       answers what it refuses with 4xx, not 5xx
  large-body         accepts 1 MiB
  empty-body         survives an empty body
  content-type       accepts other content types, or answers 415
  answer-time        answers in time
  duplicate          handles an event that arrives twice once, as --duplicate-check finds

Examples:
  hookctl probe http://localhost:8000/ --scheme github --secret-env SECRET
  hookctl probe https://staging.example.com/hooks -w crm --junit probe.xml
  hookctl probe http://localhost:8000/ -w crm --only valid --only raw-bytes
  hookctl probe http://localhost:8000/ --scheme standard --secret-file new.txt \\
      --duplicate-check 'test $(grep -c \"$HOOKCTL_EVENT_ID\" events.log) = 1'

Exit status:
  0  no check failed
  1  the receiver cannot be reached
  4  a check failed"
)]
pub struct Probe {
    /// The receiver's URL
    #[arg(value_name = "URL", id = "receiver")]
    receiver: String,
    #[command(flatten)]
    options: SignatureOptions,
    /// The event type of what is sent
    #[arg(long = "type", value_name = "TYPE", default_value = WEBHOOK_TEST, add = Candidates::EventTypes, help_heading = "Requests")]
    event_type: String,
    /// The data of what is sent: JSON, @FILE, or - for stdin
    #[arg(
        long,
        value_name = "JSON",
        default_value = "{\"message\":\"This is a probe by hookctl.\"}",
        help_heading = "Requests"
    )]
    data: String,
    /// Only this check [repeatable, or with commas]
    #[arg(long, value_name = "CHECK", value_delimiter = ',', value_parser = PossibleValuesParser::new(checks::names()), hide_possible_values = true, help_heading = "Requests")]
    only: Vec<String>,
    /// How long a response may take
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = arguments::duration, help_heading = "Requests")]
    answer_within: Duration,
    /// A shell command that exits with 0 when the event $HOOKCTL_EVENT_ID, which was sent twice, was handled once
    #[arg(long, value_name = "CMD", help_heading = "Requests")]
    duplicate_check: Option<String>,
    /// Allow private addresses
    #[arg(long, help_heading = "Addresses")]
    allow_private: bool,
    /// Allow exactly these addresses besides public and loopback ones [repeatable, or with commas]
    #[arg(long = "allow-network", value_name = "CIDR", help_heading = "Addresses")]
    allow_networks: Vec<String>,
    #[command(flatten)]
    egress: EgressChange,
    /// Write the report as JUnit XML to this file too
    #[arg(long, value_name = "FILE")]
    junit: Option<String>,
}

/// Reachable without a flag.
const LOOPBACK: &str = "127.0.0.0/8,::1/128";

impl Probe {
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let url = target_url::parse(&self.receiver).map_err(|error| Failure::option("URL", error))?;
        let target = Target::new(&url).map_err(|error| Failure::option("URL", error))?;
        self.check()?;
        if let Some(file) = &self.junit {
            check_target(context, "--junit", file)?;
        }
        let policy = self.policy(context)?;
        let keyed = self.options.resolve(context)?;
        let mut settings = self.settings(context)?;
        self.egress.apply(&mut settings.egress)?;
        settings.egress.check()?;
        if self.egress.presents_anew() {
            check_identity(context, &settings)?;
        }
        let egress = Egress { policy, ..Egress::new(&settings, &context.surroundings()) };
        let client = Client::new(&Shared::new(1), &egress).map_err(|error| Failure::option("--webhook", error))?;
        let started = context.now();
        let makers = self.makers(context, keyed, settings, url.as_str())?;
        let taken = choose(&makers, |maker| {
            Run::new(maker, &client, &target, self.answer_within, context.random()?).is_taken()
        })?;
        if let [_, _, ..] = &makers[..] {
            let names: Vec<&str> = makers.iter().map(|maker| maker.scheme.name).collect();
            let name = taken.scheme.name;
            context.out.notice(&format!(
                "the webhook signs with {}; probing {name}, or name another with --scheme",
                names.join(" and ")
            ));
        }
        let mut run = Run::new(taken, &client, &target, self.answer_within, context.random()?);
        run.duplicate_check = self.duplicate_check.as_deref();
        let view = self.checks(context, &mut run, &url)?;
        context.out.page(&view)?;
        if let Some(file) = &self.junit {
            context.out.flush()?;
            let report = junit::render(&view, started);
            replace(context, "--junit", file, Readers::Usual, report.as_bytes())?;
        }
        Ok(if view.count(CheckResult::Fail) > 0 { Exit::NOT_VALID } else { Exit::DONE })
    }

    fn checks(&self, context: &mut Context, run: &mut Run<'_>, url: &url::Url) -> Result<ProbeView> {
        let is_wanted =
            |check: &&checks::Check| self.only.is_empty() || self.only.iter().any(|name| name == check.name);
        let wanted: Vec<_> = checks::ALL.iter().filter(is_wanted).collect();
        let progress = context.out.progress("probing", Some(wanted.len() as u64));
        let mut views = Vec::with_capacity(wanted.len());
        for check in wanted {
            views.push(run.check(check)?);
            progress.inc(1);
        }
        progress.finish();
        Ok(ProbeView { url: target_url::masked(url), scheme: run.maker.scheme.name, checks: views })
    }

    fn check(&self) -> Result<(), Failure> {
        event_type::check(&self.event_type).map_err(|error| Failure::option("--type", error))?;
        if self.data == "-" && self.options.reads_stdin() {
            return Err(stdin_twice("--secret-stdin", "the secret", "the data"));
        }
        if let Some(method) = &self.options.method {
            Settings::default().set_http_method(method)?;
        }
        if self.answer_within.is_zero() {
            return Err(Failure::option("--answer-within", "must be more than 0; write 5s"));
        }
        Ok(())
    }

    /// The makers of requests, one for each scheme.
    fn makers(&self, context: &Context, keyed: Keyed, settings: Settings, url: &str) -> Result<Vec<Maker>> {
        let Keyed { schemes, secrets, method, secret_option, .. } = keyed;
        let secrets: Vec<_> = secrets.into_iter().map(|kept| kept.secret).collect();
        let other = Random::secret_bytes()?;
        let data = self.data()?;
        let maker = |scheme: Scheme| {
            let maker = Maker {
                other: scheme.key_kind().new_secret(other),
                scheme,
                secrets: secrets.clone(),
                method: method.clone().unwrap_or_else(|| settings.http_method.clone()),
                url: self.options.url.clone().unwrap_or_else(|| url.to_owned()),
                content_type: settings.content_type.clone(),
                headers: settings
                    .headers
                    .iter()
                    .filter_map(|(name, value)| Some((name.clone(), value.text()?.into_owned())))
                    .collect(),
                event_type: self.event_type.clone(),
                data: data.clone(),
                clock: context.clock,
            };
            maker.check().map_err(|error| Failure::option(secret_option, error))?;
            Ok(maker)
        };
        schemes.into_iter().map(maker).collect()
    }

    fn data(&self) -> Result<Box<RawValue>, Failure> {
        let data = json_argument("--data", &self.data)?;
        json::parse(&data).map(ToOwned::to_owned).map_err(|error| Failure::option("--data", error))
    }

    /// The allowed addresses: loopback, those of the options, and those allowed for every webhook.
    fn policy(&self, context: &Context) -> Result<AddressPolicy, Failure> {
        let read = |text: &str| parse_networks(text).map_err(|error| Failure::option("--allow-network", error));
        let mut allow_networks = read(LOOPBACK)?;
        allow_networks.extend(&context.settings.networks);
        for text in &self.allow_networks {
            allow_networks.extend(read(text)?);
        }
        Ok(AddressPolicy { allow_private: self.allow_private, allow_networks })
    }

    /// The settings of the webhook, else the defaults.
    fn settings(&self, context: &mut Context) -> Result<Settings> {
        let Some(name) = &self.options.webhook else { return Ok(Settings::default()) };
        let store = context.store_to_read()?;
        let webhook = context.webhook(&store, name)?;
        let mut settings = webhook.settings;
        store.load_credentials(webhook.id, &mut settings)?;
        Ok(settings)
    }
}

/// The first scheme that the receiver accepts, starting with those that sign most; the first one if it accepts none.
fn choose(makers: &[Maker], mut is_taken: impl FnMut(&Maker) -> Result<bool>) -> Result<&Maker> {
    let mut makers: Vec<&Maker> = makers.iter().collect();
    makers.sort_by_key(|maker| std::cmp::Reverse(maker.scheme.content.len()));
    if makers.len() > 1 {
        for maker in &makers {
            if is_taken(maker)? {
                return Ok(maker);
            }
        }
    }
    Ok(makers[0])
}

//! The filters that commands about several deliveries share.

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use clap::builder::NonEmptyStringValueParser;

use crate::commands::arguments::{self, Moment};
use crate::commands::candidates::Candidates;
use crate::commands::scope;
use crate::context::Context;
use crate::domain::attempt::ErrorType;
use crate::domain::delivery::Status;
use crate::domain::event_type;
use crate::domain::owner::Owner;
use crate::error::Failure;
use crate::store::{DeliveryFilter, Store};

/// Which deliveries match; without any filter, all.
#[derive(Args, Clone, Debug, Default, PartialEq)]
#[command(next_help_heading = "Filters")]
pub struct Filters {
    /// Only with this status: pending, retrying, success, failed, cancelled [repeatable, or with commas]
    #[arg(long = "status", value_name = "STATUS", add = Candidates::Words(Status::NAMES), value_delimiter = ',', value_parser = status)]
    pub statuses: Vec<Status>,
    /// Only of this webhook [repeatable]
    #[arg(short, long = "webhook", value_name = "WEBHOOK", add = Candidates::Webhooks)]
    pub webhooks: Vec<String>,
    /// Only of this owner's webhooks; none for webhooks without an owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    pub owner: Option<Owner>,
    /// Only of this event type or pattern
    #[arg(long = "type", aliases = ["event-type", "event"], value_name = "TYPE", add = Candidates::EventTypes)]
    pub event_type: Option<String>,
    /// Only of events about this entity, or about any entity of a type
    #[arg(long, value_name = "TYPE[:ID]", value_parser = arguments::entity)]
    pub entity: Option<(String, Option<String>)>,
    /// Only of events with this ordering key
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub key: Option<String>,
    /// Only of this event
    #[arg(long, value_name = "ID", add = Candidates::Events)]
    pub event_id: Option<String>,
    /// Only if the last attempt ended with this error type [repeatable, or with commas]
    #[arg(long = "error-type", value_name = "TYPE", add = Candidates::Words(ErrorType::NAMES), value_delimiter = ',', value_parser = error_type)]
    pub error_types: Vec<ErrorType>,
    /// Only if the last response had this status code: 503, or 5xx [repeatable, or with commas]
    #[arg(long = "status-code", value_name = "CODE", value_delimiter = ',', value_parser = status_code)]
    pub status_codes: Vec<(u16, u16)>,
    /// Only if the last attempt took longer
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    pub longer_than: Option<Duration>,
    /// Only those created at this time or later: a time, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    pub since: Option<Moment>,
    /// Only those created before this time
    #[arg(long, value_name = "TIME", value_parser = arguments::moment)]
    pub until: Option<Moment>,
}

impl Filters {
    pub fn is_empty(&self) -> bool {
        *self == Filters::default()
    }

    /// The filter for the store, with names and times resolved.
    pub fn resolve(&self, context: &Context, store: &Store) -> Result<DeliveryFilter> {
        if let Some(pattern) = &self.event_type {
            event_type::check_pattern(pattern).map_err(|error| Failure::option("--type", error))?;
        }
        let event_row = match &self.event_id {
            Some(id) => Some(context.event(store, id)?.id),
            None => None,
        };
        let now = context.now();
        Ok(DeliveryFilter {
            statuses: self.statuses.clone(),
            webhooks: scope::resolve(context, store, &self.webhooks, self.owner.as_ref())?,
            event_type: self.event_type.clone(),
            event_row,
            subject: store.subject(self.entity.clone(), self.key.clone())?,
            longer_than_ms: self.longer_than.map(|length| i64::try_from(length.as_millis()).unwrap_or(i64::MAX)),
            error_types: self.error_types.clone(),
            status_codes: self.status_codes.clone(),
            since: self.since.map(|moment| moment.resolve(now)),
            until: self.until.map(|moment| moment.resolve(now)),
            before: None,
            limit: None,
        })
    }
}

/// A status by its name, for clap.
pub fn status(text: &str) -> Result<Status, String> {
    Status::from_name(text).ok_or_else(|| unknown("status", text, Status::NAMES))
}

fn error_type(text: &str) -> Result<ErrorType, String> {
    ErrorType::from_name(text).ok_or_else(|| unknown("error type", text, ErrorType::NAMES))
}

fn unknown(kind: &str, text: &str, known: &[&str]) -> String {
    let meant = event_type::nearest(text, known.iter().copied());
    let advice = meant.map_or_else(String::new, |name| format!("did you mean '{name}'? "));
    format!("no such {kind}; {advice}use {}", known.join(", "))
}

/// `503` is one code, `5xx` a range of a hundred.
fn status_code(text: &str) -> Result<(u16, u16), String> {
    let wrong = || "not a status code; write 503, or 5xx".to_owned();
    if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
        let class: u16 = class.parse().map_err(|_| wrong())?;
        return if (1..=9).contains(&class) && text.len() == 3 {
            Ok((class * 100, class * 100 + 99))
        } else {
            Err(wrong())
        };
    }
    match text.parse() {
        Ok(code @ 100..=999) if text.len() == 3 => Ok((code, code)),
        _ => Err(wrong()),
    }
}

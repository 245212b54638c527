//! `hookctl stats`

pub mod chart;
pub mod html;
mod known;
pub mod scale;
pub mod tally;
pub mod view;

use anyhow::Result;
use clap::{Args, ValueEnum};

use self::known::Known;
use self::tally::{Course, Tally};
use self::view::StatsView;
use super::arguments::{self, Moment};
use super::replace_file::replace;
use super::scope;
use crate::commands::candidates::Candidates;
use crate::context::Context;
use crate::domain::owner::Owner;
use crate::error::Failure;
use crate::new_file::Readers;
use crate::store::Window;

/// Counts, success rate and durations of the last hours or days
///
/// Deliveries are counted by when they were created, attempts by when they ended. RATE is the share of finished deliveries
/// that succeeded, ATTEMPTS that of attempts, including those that will be retried. Durations are those of attempts, exact
/// to 0.4 per cent; the longest is exact. Tests are not counted.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl stats
  hookctl stats -w crm --since 7d --by hour
  hookctl stats --by error-type -o json
  hookctl stats --since 30d --html report.html  # charts, for a browser")]
pub struct Stats {
    /// Only this webhook [repeatable]
    #[arg(short, long = "webhook", value_name = "WEBHOOK", add = Candidates::Webhooks)]
    webhooks: Vec<String>,
    /// Only this owner's webhooks; none for webhooks without an owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    owner: Option<Owner>,
    /// How far back: a duration, or a time
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = arguments::moment)]
    since: Moment,
    /// One row for each
    #[arg(long, value_name = "GROUP")]
    by: Option<Group>,
    /// Write a page with charts of volume, success rate and latency over time per webhook
    #[arg(long, value_name = "FILE", conflicts_with = "by")]
    html: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Group {
    /// Webhooks, the busiest first
    Webhook,
    /// Event types, the most frequent first
    EventType,
    /// Hours, in UTC
    Hour,
    /// Error types of failed attempts, the most frequent first
    ErrorType,
}

impl Stats {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let until = context.now();
        let since = self.since.resolve(until);
        if since > until {
            return Err(Failure::option("--since", "lies in the future").into());
        }
        let window = Window { since, webhooks: scope::resolve(context, &store, &self.webhooks, self.owner.as_ref())? };
        let course = if self.html.is_some() { Course::OfEach } else { Course::Together };
        let tally = Tally::of(&store, &window, until, course)?;
        let view = StatsView::new(&tally, since, until, &Known::read(&store, &window)?);
        if let Some(file) = &self.html {
            return write_page(context, file, &html::render(&view, &tally));
        }
        let empty = "nothing was delivered in that time; --since looks further back";
        match self.by {
            None => context.out.page(&view),
            Some(Group::Webhook) => context.out.list(view.by_webhook.into_iter().map(Ok), empty),
            Some(Group::EventType) => context.out.list(view.by_event_type.into_iter().map(Ok), empty),
            Some(Group::Hour) => context.out.list(view.by_hour.into_iter().map(Ok), empty),
            Some(Group::ErrorType) => {
                context.out.list(view.by_error_type.into_iter().map(Ok), "no attempt failed in that time")
            }
        }
    }
}

fn write_page(context: &mut Context, file: &str, page: &str) -> Result<()> {
    if file == "-" {
        return context.out.bytes(page.as_bytes());
    }
    replace(context, "--html", file, Readers::Usual, page.as_bytes())?;
    context.out.summary(&format!("wrote {file}"));
    Ok(())
}

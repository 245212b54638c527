//! `hookctl check`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::arguments::{self, Moment};
use super::wording::listed;
use crate::context::{Context, Exit};
use crate::domain::duration;
use crate::domain::webhook::DISABLED_BY_HAND;
use crate::error::Failure;
use crate::output::{Cell, Page, Text};
use crate::store::{Store, WebhookFilter};

/// One line for a monitor: OK, WARNING, CRITICAL or UNKNOWN
///
/// The line and the exit code are those of a Nagios plugin; after the `|` come performance data. Above a limit is
/// WARNING, above twice the limit CRITICAL, so `--max-failed 0` makes any failure CRITICAL. A webhook that hookctl disabled,
/// and a receiver that cannot be reached, are WARNING. No database, or one that cannot be read, is UNKNOWN.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl check
  hookctl check --max-lag 5m --max-failed 10 --since 1h

Exit status:
  0  OK
  1  WARNING
  2  CRITICAL, or wrong usage
  3  UNKNOWN")]
pub struct Check {
    /// How long a delivery may be due without having been attempted: nobody drains, or not fast enough
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = arguments::duration)]
    max_lag: Duration,
    /// How many deliveries may have ended as failed in the time of --since; without it they are shown and not judged
    #[arg(long, value_name = "N", value_parser = count)]
    max_failed: Option<u64>,
    /// How far back failed deliveries count: a duration, or a time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = arguments::moment)]
    since: Moment,
}

/// How bad it is, in the order and with the exit codes of the monitoring plugins' guidelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Level {
    fn of(value: u64, limit: u64) -> Level {
        match value {
            value if value > limit.saturating_mul(2) => Level::Critical,
            value if value > limit => Level::Warning,
            _ => Level::Ok,
        }
    }

    fn exit(self) -> Exit {
        Exit::MONITOR[self as usize]
    }

    fn as_str(self) -> &'static str {
        match self {
            Level::Ok => "OK",
            Level::Warning => "WARNING",
            Level::Critical => "CRITICAL",
            Level::Unknown => "UNKNOWN",
        }
    }
}

#[derive(Debug, Serialize)]
struct CheckView {
    status: Level,
    exit_code: u8,
    message: String,
    #[serde(flatten)]
    found: Option<Found>,
    #[serde(skip)]
    performance: String,
}

#[derive(Debug, Serialize)]
struct Found {
    backlog: u64,
    oldest_due_seconds: u64,
    failed: u64,
    waiting: u64,
    disabled_webhooks: Vec<String>,
    unreachable_webhooks: Vec<String>,
}

impl Page for CheckView {
    fn describe(&self, text: &mut Text) {
        let line = format!("{} - {}{}", self.status.as_str(), self.message, self.performance);
        text.line(match self.status {
            Level::Ok => Cell::good(line),
            Level::Warning => Cell::warn(line),
            Level::Critical | Level::Unknown => Cell::bad(line),
        });
    }
}

impl Check {
    /// Failures are reported on stdout, where monitors read.
    pub fn run(self, context: &mut Context) -> Result<Exit> {
        let view = self.look(context).unwrap_or_else(|error| {
            let message = Failure::of(&error).map_or_else(|| error.to_string(), |failure| failure.message);
            unknown(message)
        });
        let exit = view.status.exit();
        context.out.page(&view)?;
        Ok(exit)
    }

    fn look(&self, context: &mut Context) -> Result<CheckView> {
        let Some(store) = context.store_if_any()? else {
            return Ok(unknown(format!("there is no database at {}", context.database()?.display())));
        };
        let found = store.snapshot(|| self.find(context, &store))?;
        Ok(self.judge(context, found))
    }

    fn find(&self, context: &Context, store: &Store) -> Result<Found> {
        let now = context.now();
        let states = store.webhook_states(now)?;
        let oldest = states.iter().filter_map(|state| state.oldest_due_at).min();
        let webhooks = store.webhooks(&WebhookFilter::default())?;
        let names = |is_meant: fn(&crate::domain::webhook::Health) -> bool| -> Vec<String> {
            let meant = webhooks.iter().filter(|webhook| is_meant(&webhook.health));
            meant.map(|webhook| webhook.settings.name.clone()).collect()
        };
        Ok(Found {
            backlog: states.iter().map(|state| state.due as u64).sum(),
            oldest_due_seconds: oldest.map_or(0, |due| (now.millis_since(due) / 1_000) as u64),
            failed: store.count_failed_since(self.since.resolve(now))?,
            waiting: states.iter().map(|state| (state.pending + state.retrying) as u64).sum(),
            disabled_webhooks: names(|health| {
                !health.is_active && health.disabled_reason.as_deref().is_some_and(|reason| reason != DISABLED_BY_HAND)
            }),
            unreachable_webhooks: names(|health| health.is_active && health.breaker.open_until.is_some()),
        })
    }

    fn judge(&self, context: &Context, found: Found) -> CheckView {
        let (lag, most_lag) = (found.oldest_due_seconds, self.max_lag.as_secs());
        let mut told: Vec<(Level, String)> = Vec::new();
        told.push(match found.backlog {
            0 => (Level::Ok, "nothing due".to_owned()),
            count => (
                Level::of(lag, most_lag),
                format!("{count} due, the oldest for {}", duration::rough(Duration::from_secs(lag), 1)),
            ),
        });
        let failed_level = self.max_failed.map_or(Level::Ok, |limit| Level::of(found.failed, limit));
        told.push((failed_level, format!("{} failed {}", found.failed, self.since_text(context))));
        if !found.disabled_webhooks.is_empty() {
            told.push((Level::Warning, format!("disabled: {}", named(&found.disabled_webhooks))));
        }
        if !found.unreachable_webhooks.is_empty() {
            told.push((Level::Warning, format!("not reached: {}", named(&found.unreachable_webhooks))));
        }
        let status = told.iter().map(|(level, _)| *level).max().unwrap_or(Level::Ok);
        // What is wrong comes first.
        told.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        let failed_limits =
            self.max_failed.map_or_else(|| ";".to_owned(), |limit| format!("{limit};{}", limit.saturating_mul(2)));
        CheckView {
            status,
            exit_code: status.exit().code(),
            message: told.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", "),
            performance: format!(
                " | backlog={};;;0 oldest_due={lag}s;{most_lag};{};0 failed={};{failed_limits};0 waiting={};;;0",
                found.backlog,
                most_lag.saturating_mul(2),
                found.failed,
                found.waiting
            ),
            found: Some(found),
        }
    }

    fn since_text(&self, context: &Context) -> String {
        match self.since {
            Moment::Ago(length) => format!("in {}", duration::format(length)),
            moment @ Moment::At(_) => format!("since {}", moment.resolve(context.now()).rfc3339()),
        }
    }
}

fn unknown(message: String) -> CheckView {
    CheckView {
        status: Level::Unknown,
        exit_code: Level::Unknown.exit().code(),
        // A bar would begin performance data.
        message: message.replace('|', "/"),
        found: None,
        performance: String::new(),
    }
}

/// At most three names; a bar would begin performance data.
fn named(names: &[String]) -> String {
    listed(names, 3).replace('|', "/")
}

fn count(text: &str) -> Result<u64, String> {
    match text.parse::<u64>() {
        Ok(number) if text.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => Err("not a whole number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_a_limit_is_a_warning_and_past_twice_the_limit_critical() {
        let levels = [0, 10, 11, 20, 21].map(|value| Level::of(value, 10));
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Warning, Level::Warning, Level::Critical]);
        assert_eq!([0, 1].map(|value| Level::of(value, 0)), [Level::Ok, Level::Critical]);
    }

    #[test]
    fn names_are_few_and_begin_no_performance_data() {
        let names = ["a|b", "c", "d", "e", "f"].map(str::to_owned);
        assert_eq!(named(&names), "a/b, c, d and 2 more");
        assert_eq!(named(&names[1..2]), "c");
    }
}

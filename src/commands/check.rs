//! `hookctl check`

use std::time::Duration;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::arguments::{self, Moment};
use super::outbox::standing::{self, OutboxView, Outboxes};
use super::scope;
use super::wording::{counted, listed};
use crate::context::{Context, Exit};
use crate::domain::duration;
use crate::domain::owner::Owner;
use crate::domain::text::whole_number;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{DISABLED_BY_HAND, Health, State, Webhook};
use crate::error::Failure;
use crate::http::client_cert_expiry;
use crate::output::{Cell, Output, Page, Text};
use crate::store::{Store, WebhookFilter};

/// One line for a monitor: OK, WARNING, CRITICAL or UNKNOWN
///
/// The line and the exit code are those of a Nagios plugin; performance data follow the `|`. WARNING: deliveries that failed
/// for good since --since, or that are due for more than 10 minutes; rows of an outbox that were rejected or wait for more
/// than 10 minutes, and an outbox that cannot be read; a webhook whose attempts fail, whose receiver cannot be reached, or
/// that hookctl disabled; a client certificate that expires within 14 days. --max-lag and --max-failed set limits: above the
/// limit is WARNING, above twice the limit CRITICAL, so `--max-failed 0` makes any failure CRITICAL. UNKNOWN: no database,
/// one that cannot be read, and wrong usage.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl check
  hookctl check --max-lag 5m --max-failed 10 --since 1h

Exit status:
  0  OK
  1  WARNING
  2  CRITICAL
  3  UNKNOWN, or wrong usage")]
pub struct Check {
    /// How long a delivery may be due without an attempt; longer means that drain does not run or is too slow [default: 10m,
    /// which is never CRITICAL]
    #[arg(long, value_name = "DURATION", value_parser = arguments::duration)]
    max_lag: Option<Duration>,
    /// How many deliveries may have failed for good since --since [default: 0, which is never CRITICAL]
    #[arg(long, value_name = "N", value_parser = count)]
    max_failed: Option<u64>,
    /// How far back failed deliveries count: a duration, or a time
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = arguments::moment)]
    since: Moment,
    /// Only this owner's webhooks; none for webhooks without an owner
    #[arg(long, value_name = "OWNER", value_parser = arguments::owner)]
    owner: Option<Owner>,
}

/// The default of --max-lag.
const USUAL_LAG: Duration = Duration::from_secs(600);

/// Severities, in the order and with the exit codes of the Monitoring Plugins guidelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Critical,
    Unknown,
}

impl Level {
    /// Without a limit the default `usual` applies, and nothing is critical.
    fn of(value: u64, given: Option<u64>, usual: u64) -> Level {
        match (value, given) {
            (value, Some(limit)) if value > limit.saturating_mul(2) => Level::Critical,
            (value, limit) if value > limit.unwrap_or(usual) => Level::Warning,
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

/// How long before its expiry a client certificate is a warning.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(14 * 86_400);

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
    /// Paused by hand: reported, but not a problem.
    paused_webhooks: Vec<String>,
    unreachable_webhooks: Vec<String>,
    /// Webhooks that can be reached and whose attempts failed since the last success.
    failing_webhooks: Vec<String>,
    #[serde(flatten)]
    outboxes: Outboxes,
    /// Webhooks whose client certificate has expired, or expires within [`CERTIFICATE_WARNING`].
    expiring_certificates: Vec<String>,
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

/// Reports a wrong command line on stdout, where monitors read; returns the exit code.
pub fn refused(out: &mut Output, failure: &Failure) -> u8 {
    let view = unknown(failure.message.clone());
    // If the reader has gone, it does not matter.
    let _ = out.page(&view).and_then(|()| out.flush());
    view.exit_code
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
            return Ok(unknown(format!("there is no database at {}", context.place()?)));
        };
        let mut found = store.snapshot(|| self.find(context, &store))?;
        found.outboxes = standing::all(context, Some(&store), &[])?;
        Ok(self.judge(context, found))
    }

    fn find(&self, context: &Context, store: &Store) -> Result<Found> {
        let now = context.now();
        let since = self.since.resolve(now);
        let webhooks_meant = scope::resolve(context, store, &[], self.owner.as_ref())?;
        let is_meant = |id: i64| webhooks_meant.is_empty() || webhooks_meant.contains(&id);
        let mut states = store.webhook_states(now)?;
        states.retain(|state| is_meant(state.webhook_id));
        let oldest = states.iter().filter_map(|state| state.oldest_due_at).min();
        let webhooks = store.webhooks(&WebhookFilter { owner: self.owner.clone(), ..WebhookFilter::default() })?;
        let names = |is_meant: &dyn Fn(&Health) -> bool| -> Vec<String> {
            let meant = webhooks.iter().filter(|webhook| is_meant(&webhook.health));
            meant.map(|webhook| webhook.settings.name.clone()).collect()
        };
        let is_unreachable = |health: &Health| health.is_active && health.breaker.is_open_on_connecting();
        let has_failed_lately = |health: &Health| {
            health.failing_since.is_some() && health.last_failure_at.is_some_and(|failure| failure >= since)
        };
        Ok(Found {
            backlog: states.iter().map(|state| state.due as u64).sum(),
            oldest_due_seconds: oldest.map_or(0, |due| (now.millis_since(due) / 1_000) as u64),
            failed: store.count_failed_since(since, &webhooks_meant)?,
            waiting: states.iter().map(|state| (state.pending + state.retrying) as u64).sum(),
            disabled_webhooks: names(&|health| {
                !health.is_active && health.disabled_reason.as_deref().is_some_and(|reason| reason != DISABLED_BY_HAND)
            }),
            paused_webhooks: names(&|health| health.state() == State::Paused),
            unreachable_webhooks: names(&is_unreachable),
            failing_webhooks: names(&|health| health.is_active && !is_unreachable(health) && has_failed_lately(health)),
            expiring_certificates: expiring(&webhooks, now),
            outboxes: Outboxes::default(),
        })
    }

    fn judge(&self, context: &Context, found: Found) -> CheckView {
        let (lag, max_lag) = (found.oldest_due_seconds, self.max_lag.map(|lag| lag.as_secs()));
        let usual_lag = USUAL_LAG.as_secs();
        let mut told: Vec<(Level, String)> = Vec::new();
        let webhooks = [
            ("disabled", &found.disabled_webhooks),
            ("unreachable", &found.unreachable_webhooks),
            ("failing", &found.failing_webhooks),
            ("client certificate expiring", &found.expiring_certificates),
        ];
        for (what, names) in webhooks.into_iter().filter(|(_, names)| !names.is_empty()) {
            told.push((Level::Warning, format!("{what}: {}", named(names))));
        }
        if !found.paused_webhooks.is_empty() {
            told.push((Level::Ok, format!("paused: {}", named(&found.paused_webhooks))));
        }
        told.extend(self.judge_outboxes(&found, context.now()));
        told.push(match found.backlog {
            0 => (Level::Ok, "nothing due".to_owned()),
            count => (
                Level::of(lag, max_lag, usual_lag),
                format!("{count} due, the oldest for {}", duration::rough(Duration::from_secs(lag), 1)),
            ),
        });
        let failed = format!("{} failed {}", found.failed, self.since_text(context));
        told.push((Level::of(found.failed, self.max_failed, 0), failed));
        let status = told.iter().map(|(level, _)| *level).max().unwrap_or(Level::Ok);
        // Problems come first.
        told.sort_by_key(|(level, _)| std::cmp::Reverse(*level));
        let limits = |given: Option<u64>, usual: u64| match given {
            Some(limit) => format!("{limit};{}", limit.saturating_mul(2)),
            None => format!("{usual};"),
        };
        CheckView {
            status,
            exit_code: status.exit().code(),
            message: told.into_iter().map(|(_, text)| text).collect::<Vec<_>>().join(", "),
            performance: format!(
                " | backlog={};;;0 oldest_due={lag}s;{};0 failed={};{};0 waiting={};;;0",
                found.backlog,
                limits(max_lag, usual_lag),
                found.failed,
                limits(self.max_failed, 0),
                found.waiting
            ),
            found: Some(found),
        }
    }

    /// Problems of outboxes; outboxes without one are not mentioned.
    fn judge_outboxes(&self, found: &Found, now: Timestamp) -> Vec<(Level, String)> {
        let failed = found.outboxes.failures.iter().map(|message| (Level::Warning, message.replace('|', "/")));
        let mut told: Vec<(Level, String)> = failed.collect();
        for OutboxView { source, waiting, oldest, rejected } in &found.outboxes.views {
            let name = source.replace('|', "/");
            if *rejected > 0 {
                told.push((
                    Level::Warning,
                    format!("outbox {name}: {}", counted(*rejected, "row is rejected", "rows are rejected")),
                ));
            }
            let lag = oldest.map_or(0, |oldest| u64::try_from(now.millis_since(oldest) / 1_000).unwrap_or(0));
            let level = Level::of(lag, self.max_lag.map(|lag| lag.as_secs()), USUAL_LAG.as_secs());
            if level > Level::Ok {
                let since = duration::rough(Duration::from_secs(lag), 1);
                told.push((level, format!("outbox {name}: {waiting} waiting, the oldest for {since}")));
            }
        }
        told
    }

    fn since_text(&self, context: &Context) -> String {
        match self.since {
            Moment::Ago(length) => format!("in {}", duration::format(length)),
            moment @ Moment::At(_) => format!("since {}", moment.resolve(context.now()).rfc3339()),
        }
    }
}

/// The webhooks whose client certificate has expired or expires soon.
fn expiring(webhooks: &[Webhook], now: Timestamp) -> Vec<String> {
    let ends_soon = |webhook: &&Webhook| {
        let expiry = webhook.settings.egress.client_cert.as_deref().and_then(client_cert_expiry);
        expiry.is_some_and(|expiry| expiry.minus(CERTIFICATE_WARNING) <= now)
    };
    webhooks.iter().filter(ends_soon).map(|webhook| webhook.settings.name.clone()).collect()
}

fn unknown(message: String) -> CheckView {
    CheckView {
        status: Level::Unknown,
        exit_code: Level::Unknown.exit().code(),
        // A '|' would begin performance data.
        message: message.replace('|', "/"),
        found: None,
        performance: String::new(),
    }
}

/// At most three names, without '|', which would begin performance data.
fn named(names: &[String]) -> String {
    listed(names, 3).replace('|', "/")
}

fn count(text: &str) -> Result<u64, String> {
    whole_number(text).ok_or_else(|| "not a whole number".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_a_limit_is_a_warning_and_past_twice_the_limit_critical() {
        let levels = [0, 10, 11, 20, 21].map(|value| Level::of(value, Some(10), 0));
        assert_eq!(levels, [Level::Ok, Level::Ok, Level::Warning, Level::Warning, Level::Critical]);
        assert_eq!([0, 1].map(|value| Level::of(value, Some(0), 0)), [Level::Ok, Level::Critical]);
        assert_eq!([0, 1, 99].map(|value| Level::of(value, None, 0)), [Level::Ok, Level::Warning, Level::Warning]);
    }

    #[test]
    fn names_are_few_and_begin_no_performance_data() {
        let names = ["a|b", "c", "d", "e", "f"].map(str::to_owned);
        assert_eq!(named(&names), "a/b, c, d and 2 more");
        assert_eq!(named(&names[1..2]), "c");
    }
}

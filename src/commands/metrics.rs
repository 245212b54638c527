//! `hookctl metrics`

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use clap::Args;

use super::outbox::standing::{self, OutboxView, Outboxes};
use super::replace_file::replace;
use crate::context::Context;
use crate::domain::statistics::DURATION_BOUNDS_MS;
use crate::domain::time::Timestamp;
use crate::domain::webhook::Webhook;
use crate::new_file::Readers;
use crate::output::escape;
use crate::store::{AttemptCount, Store, WebhookFilter, WebhookState};

/// Counters and states in the Prometheus text format
///
/// Metrics whose names end in _total, and the histogram, are counters: they only grow, and pruning the log takes
/// nothing from them. hookctl_deliveries is a gauge, because a retry by hand makes a failed delivery wait again.
/// Tests are not counted. The format does not depend on --output.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  hookctl metrics
  hookctl metrics --file hookctl.prom  # for node_exporter's textfile collector")]
pub struct Metrics {
    /// Replace this file, atomically, instead of writing to stdout; everybody may read it
    #[arg(long, value_name = "FILE")]
    file: Option<String>,
}

impl Metrics {
    pub fn run(self, context: &mut Context) -> Result<()> {
        let store = context.store_to_read()?;
        let now = context.now();
        let mut text = store.snapshot(|| render(&store, now))?;
        describe_outboxes(&mut text, context, &store, now)?;
        let text = text.0;
        match self.file.as_deref() {
            None | Some("-") => context.out.plain(text.as_bytes())?,
            Some(file) => replace(context, "--file", file, Readers::Everybody, text.as_bytes())?,
        }
        Ok(())
    }
}

/// All metrics in the text format, version 0.0.4.
fn render(store: &Store, now: Timestamp) -> Result<Exposition> {
    let mut webhooks = store.webhooks(&WebhookFilter::default())?;
    webhooks.reverse();
    let states = store.webhook_states(now)?;
    let counts = store.attempt_counts()?;
    let mut text = Exposition::default();
    text.family("hookctl_build_info", "gauge", "The version of hookctl that wrote this.");
    text.sample("hookctl_build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1);
    describe_backlog(&mut text, &webhooks, &states, now);
    describe_deliveries(&mut text, &webhooks, &states);
    describe_webhooks(&mut text, &webhooks);
    describe_attempts(&mut text, &webhooks, &counts);
    Ok(text)
}

type Measure<'a> = &'a dyn Fn(&OutboxView) -> f64;

/// The outboxes of the environment or the profile, and the database's own. Unreadable ones are left out.
fn describe_outboxes(text: &mut Exposition, context: &mut Context, store: &Store, now: Timestamp) -> Result<()> {
    let Outboxes { views, failures } = standing::all(context, Some(store), &[])?;
    failures.iter().for_each(|message| context.out.warning(message));
    let age = |view: &OutboxView| view.oldest.map_or(0.0, |oldest| now.millis_since(oldest).max(0) as f64 / 1_000.0);
    let measures: [(&str, &str, Measure<'_>); 3] = [
        ("hookctl_outbox_waiting", "Events that wait in an outbox to be taken in.", &|view| view.waiting as f64),
        ("hookctl_outbox_oldest_age_seconds", "For how long the oldest of them has waited.", &age),
        ("hookctl_outbox_rejected", "Rows of an outbox that were refused and are still there.", &|view| {
            view.rejected as f64
        }),
    ];
    for (name, help, value) in measures {
        text.family(name, "gauge", help);
        for view in &views {
            text.sample(name, &[("source", &view.source)], value(view));
        }
    }
    Ok(())
}

fn describe_backlog(text: &mut Exposition, webhooks: &[Webhook], states: &[WebhookState], now: Timestamp) {
    let all = || webhooks.iter().zip(states);
    let age = |due: Option<Timestamp>| due.map_or(0.0, |due| now.millis_since(due) as f64 / 1_000.0);
    text.family("hookctl_backlog_deliveries", "gauge", "Deliveries that are due now; none of a disabled webhook.");
    for (webhook, state) in all() {
        text.sample("hookctl_backlog_deliveries", &[("webhook", &webhook.settings.name)], state.due);
    }
    text.family("hookctl_oldest_due_age_seconds", "gauge", "For how long the oldest due delivery has been due.");
    for (webhook, state) in all() {
        text.sample("hookctl_oldest_due_age_seconds", &[("webhook", &webhook.settings.name)], age(state.oldest_due_at));
    }
}

fn describe_deliveries(text: &mut Exposition, webhooks: &[Webhook], states: &[WebhookState]) {
    text.family("hookctl_deliveries_created_total", "counter", "Deliveries ever created.");
    for webhook in webhooks {
        let labels = [("webhook", webhook.settings.name.as_str())];
        text.sample("hookctl_deliveries_created_total", &labels, webhook.counters.total);
    }
    text.family("hookctl_deliveries", "gauge", "Deliveries by status; those pruned from the log are counted too.");
    for (webhook, state) in webhooks.iter().zip(states) {
        let statuses = [
            ("pending", state.pending),
            ("retrying", state.retrying),
            ("success", webhook.counters.successful),
            ("failed", webhook.counters.failed),
            ("cancelled", state.cancelled),
        ];
        for (status, count) in statuses {
            text.sample("hookctl_deliveries", &[("webhook", &webhook.settings.name), ("status", status)], count);
        }
    }
}

fn describe_webhooks(text: &mut Exposition, webhooks: &[Webhook]) {
    type State = fn(&Webhook) -> Option<f64>;
    fn seconds(time: Option<Timestamp>) -> Option<f64> {
        time.map(|time| time.millis() as f64 / 1_000.0)
    }
    let states: [(&str, &str, State); 5] = [
        ("hookctl_webhook_active", "Whether the webhook gets deliveries (1) or is disabled (0).", |webhook| {
            Some(f64::from(webhook.health.is_active))
        }),
        (
            "hookctl_webhook_breaker_open",
            "Whether the circuit breaker is open: the receiver could not be reached, or refused many requests.",
            |webhook| Some(f64::from(webhook.health.breaker.open_until.is_some())),
        ),
        (
            "hookctl_webhook_last_success_timestamp_seconds",
            "When an attempt last succeeded, in seconds since 1970.",
            |webhook| seconds(webhook.health.last_success_at),
        ),
        (
            "hookctl_webhook_last_failure_timestamp_seconds",
            "When an attempt last failed, in seconds since 1970.",
            |webhook| seconds(webhook.health.last_failure_at),
        ),
        (
            "hookctl_webhook_failing_since_timestamp_seconds",
            "The first failure since the last success, in seconds since 1970; none while all is well.",
            |webhook| seconds(webhook.health.failing_since),
        ),
    ];
    for (name, help, state) in states {
        text.family(name, "gauge", help);
        for webhook in webhooks {
            if let Some(value) = state(webhook) {
                text.sample(name, &[("webhook", &webhook.settings.name)], value);
            }
        }
    }
}

fn describe_attempts(text: &mut Exposition, webhooks: &[Webhook], counts: &[AttemptCount]) {
    let of = |webhook: &Webhook| {
        let id = webhook.id;
        counts.iter().filter(move |count| count.webhook_id == id)
    };
    text.family("hookctl_attempts_total", "counter", "Attempts ever made, by outcome: success, or the error type.");
    for webhook in webhooks {
        let mut outcomes = BTreeMap::from([("success", 0)]);
        for count in of(webhook) {
            *outcomes.entry(&count.outcome).or_default() += count.attempts;
        }
        for (outcome, attempts) in outcomes {
            text.sample(
                "hookctl_attempts_total",
                &[("webhook", &webhook.settings.name), ("outcome", outcome)],
                attempts,
            );
        }
    }
    text.family("hookctl_attempt_duration_seconds", "histogram", "How long attempts took, from look-up to last byte.");
    for webhook in webhooks {
        let name = webhook.settings.name.as_str();
        let mut so_far = 0;
        for bound in DURATION_BOUNDS_MS {
            so_far += of(webhook).filter(|count| count.bound_ms == bound).map(|count| count.attempts).sum::<i64>();
            let le = if bound == i64::MAX { "+Inf".to_owned() } else { (bound as f64 / 1_000.0).to_string() };
            text.sample("hookctl_attempt_duration_seconds_bucket", &[("webhook", name), ("le", &le)], so_far);
        }
        let sum = of(webhook).map(|count| count.duration_ms).sum::<i64>() as f64 / 1_000.0;
        text.sample("hookctl_attempt_duration_seconds_sum", &[("webhook", name)], sum);
        text.sample("hookctl_attempt_duration_seconds_count", &[("webhook", name)], so_far);
    }
}

/// Lines of the text format.
#[derive(Default)]
struct Exposition(String);

impl Exposition {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}").expect("writing to a String cannot fail");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        let labels: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{}\"", label_value(value))).collect();
        writeln!(self.0, "{name}{{{}}} {value}", labels.join(",")).expect("writing to a String cannot fail");
    }
}

/// The value of a label: backslash and quote are escaped as the format requires, control characters by [`escape`].
fn label_value(text: &str) -> Cow<'_, str> {
    if text.contains(['\\', '"']) || text.contains(crate::output::is_unsafe) {
        let quoted = escape(text).replace('\\', "\\\\").replace('"', "\\\"");
        return Cow::Owned(quoted);
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        assert_eq!(label_value("crm"), "crm");
        assert_eq!(label_value(r#"a"b\c"#), r#"a\"b\\c"#);
        assert_eq!(label_value("a\nb\u{1b}"), r"a\\nb\\u{1b}");
    }
}

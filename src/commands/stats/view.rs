//! Statistics as they are shown.

use std::time::Duration;

use serde::{Serialize, Serializer};

use super::known::Known;
use super::tally::Tally;
use crate::commands::webhook::view::state_cell;
use crate::commands::wording::more;
use crate::domain::attempt::ErrorType;
use crate::domain::duration;
use crate::domain::statistics::Measures;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Condition, State};
use crate::output::{Cell, Look, Page, Row, Text, bar, sparkline};
use crate::store::FailedAttempt;

/// The width of bars, in columns.
const BAR: usize = 8;
/// The most rows of each table in the overview.
const MOST_ROWS: usize = 10;

/// The numbers, with the keys of the JSON output.
#[derive(Clone, Debug, Serialize)]
pub struct Numbers {
    /// Deliveries created in the time.
    pub deliveries: u64,
    successful_deliveries: u64,
    /// Those that ended as failed.
    pub failed_deliveries: u64,
    pub waiting_deliveries: u64,
    cancelled_deliveries: u64,
    /// Successful among finished ones, 0 to 1.
    pub success_rate: Option<Rounded>,
    pub attempts: u64,
    failed_attempts: u64,
    /// Successful among attempts, 0 to 1.
    pub attempt_success_rate: Option<Rounded>,
    attempts_per_delivery: Option<Rounded>,
    /// The median duration, in milliseconds.
    pub p50_ms: Option<u64>,
    pub p90_ms: Option<u64>,
    pub p99_ms: Option<u64>,
    pub max_ms: Option<u64>,
}

/// A ratio, serialised with four decimals.
#[derive(Clone, Copy, Debug)]
pub struct Rounded(pub f64);

impl Serialize for Rounded {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((self.0 * 10_000.0).round() / 10_000.0)
    }
}

impl From<&Measures> for Numbers {
    fn from(measures: &Measures) -> Numbers {
        Numbers {
            deliveries: measures.deliveries(),
            successful_deliveries: measures.successful,
            failed_deliveries: measures.failed,
            waiting_deliveries: measures.waiting,
            cancelled_deliveries: measures.cancelled,
            success_rate: measures.success_rate().map(Rounded),
            attempts: measures.attempts,
            failed_attempts: measures.failed_attempts,
            attempt_success_rate: measures.attempt_success_rate().map(Rounded),
            attempts_per_delivery: measures.attempts_per_delivery().map(Rounded),
            p50_ms: measures.durations.quantile(0.5),
            p90_ms: measures.durations.quantile(0.9),
            p99_ms: measures.durations.quantile(0.99),
            max_ms: measures.durations.longest(),
        }
    }
}

impl Numbers {
    /// Deliveries, as a sentence.
    pub fn deliveries_text(&self) -> String {
        let mut text = format!(
            "{} created: {} delivered, {} failed, {} waiting",
            self.deliveries, self.successful_deliveries, self.failed_deliveries, self.waiting_deliveries
        );
        if self.cancelled_deliveries > 0 {
            text += &format!(", {} cancelled", self.cancelled_deliveries);
        }
        text
    }

    /// Attempts, as a sentence.
    pub fn attempts_text(&self) -> String {
        let mut text = format!("{} made, {} failed", self.attempts, self.failed_attempts);
        if let Some(Rounded(tries)) = self.attempts_per_delivery {
            text += &format!("; {tries:.2} for each delivery");
        }
        text
    }

    /// Whether there were attempts and all failed.
    pub fn only_failed(&self) -> bool {
        self.attempts > 0 && self.failed_attempts == self.attempts
    }

    /// The success rate of attempts, and that of finished deliveries, which does not include those still being retried.
    fn rates_text(&self) -> Cell {
        let Some(attempts) = self.attempt_success_rate else { return Cell::missing() };
        let finished = match self.success_rate {
            Some(rate) => format!("{} of finished deliveries", percent(rate)),
            None => "no delivery finished".to_owned(),
        };
        let text = format!("{} of attempts, {finished}", percent(attempts));
        worst_rate([Some(attempts), self.success_rate])
            .map_or_else(|| Cell::plain(&text), |rate| rate_meaning(rate, &text))
    }

    fn columns(&self, most: u64) -> Vec<Cell> {
        let took = |millis: Option<u64>| millis.map(|millis| Cell::number(duration::measured(millis))).into();
        vec![
            Cell::number(self.deliveries),
            if self.failed_deliveries > 0 { Cell::bad(self.failed_deliveries.to_string()) } else { Cell::number(0) },
            if self.waiting_deliveries > 0 { Cell::warn(self.waiting_deliveries.to_string()) } else { Cell::number(0) },
            self.success_rate.map(rate_cell).into(),
            self.attempt_success_rate.map(rate_cell).into(),
            self.attempts_per_delivery.map(|Rounded(tries)| Cell::number(format!("{tries:.2}"))).into(),
            took(self.p50_ms),
            took(self.p90_ms),
            took(self.p99_ms),
            took(self.max_ms),
            Cell::new(bar(self.deliveries, most, BAR), crate::output::Meaning::Id),
        ]
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct WebhookStats {
    pub webhook: String,
    pub webhook_id: i64,
    #[serde(flatten)]
    pub numbers: Numbers,
    pub state: Option<State>,
    pub condition: Option<Condition>,
    /// The error of its last attempt, if that failed.
    pub last_error: Option<String>,
    /// The delivery of that attempt.
    pub last_failed_delivery: Option<i64>,
    #[serde(skip)]
    most: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct EventTypeStats {
    pub event_type: String,
    #[serde(flatten)]
    pub numbers: Numbers,
    #[serde(skip)]
    most: u64,
}

#[derive(Clone, Debug, Serialize)]
pub struct HourStats {
    hour: Timestamp,
    #[serde(flatten)]
    numbers: Numbers,
    #[serde(skip)]
    most: u64,
}

/// How often attempts ended with an error type.
#[derive(Clone, Debug, Serialize)]
pub struct ErrorTypeStats {
    pub error_type: ErrorType,
    pub attempts: u64,
    /// The share of all failed attempts, 0 to 1.
    pub share: Rounded,
    #[serde(skip)]
    most: u64,
}

macro_rules! row_of_numbers {
    ($view:ty, $name:literal, $cell:expr) => {
        impl Row for $view {
            const COLUMNS: &'static [&'static str] =
                &[$name, "total", "failed", "waiting", "rate", "attempts", "tries", "p50", "p90", "p99", "max", ""];
            const SPARE: &'static [&'static str] = &["tries", "", "p90", "max", "p50"];

            fn cells(&self, _: &Look) -> Vec<Cell> {
                let cell: fn(&$view) -> Cell = $cell;
                std::iter::once(cell(self)).chain(self.numbers.columns(self.most)).collect()
            }
        }
    };
}

row_of_numbers!(EventTypeStats, "event type", |row| Cell::name(&row.event_type));
row_of_numbers!(HourStats, "hour (utc)", |row| {
    Cell::plain(row.hour.date_time().format("%Y-%m-%d %H:%M").to_string())
});

impl WebhookStats {
    /// Its state, in red if every attempt failed.
    pub fn state_cell(&self) -> Cell {
        match self.state {
            None => Cell::missing(),
            Some(State::Active) if self.numbers.only_failed() && self.condition.is_none() => Cell::bad("active"),
            Some(State::Active) if self.last_error.is_some() && self.condition.is_none() => Cell::warn("active"),
            Some(state) => state_cell(state, self.condition),
        }
    }
}

impl Row for WebhookStats {
    const COLUMNS: &'static [&'static str] = &[
        "webhook", "state", "total", "failed", "waiting", "rate", "attempts", "tries", "p50", "p90", "p99", "max", "",
    ];
    const SPARE: &'static [&'static str] = &["tries", "", "p90", "max", "p50", "p99"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        let name = if self.numbers.only_failed() { Cell::bad(&self.webhook) } else { Cell::name(&self.webhook) };
        [name, self.state_cell()].into_iter().chain(self.numbers.columns(self.most)).collect()
    }
}

/// A webhook whose last attempt failed, with the command that shows it.
#[derive(Serialize)]
struct Trouble<'a>(&'a WebhookStats);

impl Row for Trouble<'_> {
    const COLUMNS: &'static [&'static str] = &["webhook", "state", "last error", "look"];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::name(&self.0.webhook),
            self.0.state_cell(),
            self.0.last_error.clone().into(),
            self.0.last_failed_delivery.map(|id| Cell::id(format!("hookctl delivery show {id}"))).into(),
        ]
    }
}

impl Row for ErrorTypeStats {
    const COLUMNS: &'static [&'static str] = &["error type", "attempts", "share", ""];

    fn cells(&self, _: &Look) -> Vec<Cell> {
        vec![
            Cell::id(self.error_type.as_str()),
            Cell::number(self.attempts),
            Cell::number(percent(self.share)),
            Cell::new(bar(self.attempts, self.most, 3 * BAR), crate::output::Meaning::Bad),
        ]
    }
}

/// The statistics of a window of time.
#[derive(Debug, Serialize)]
pub struct StatsView {
    /// The beginning of the window.
    pub since: Timestamp,
    /// Its end: now.
    pub until: Timestamp,
    #[serde(flatten)]
    pub total: Numbers,
    /// The busiest first.
    pub by_webhook: Vec<WebhookStats>,
    /// The most frequent first.
    pub by_event_type: Vec<EventTypeStats>,
    pub by_hour: Vec<HourStats>,
    /// The most frequent first.
    pub by_error_type: Vec<ErrorTypeStats>,
    /// The newest first.
    pub last_failures: Vec<FailedAttempt>,
    #[serde(skip)]
    step: String,
    #[serde(skip)]
    course: Vec<u64>,
}

impl StatsView {
    pub fn new(tally: &Tally, since: Timestamp, until: Timestamp, known: &Known) -> StatsView {
        let failed: u64 = tally.by_error_type.values().sum();
        let most_failed = tally.by_error_type.values().copied().max().unwrap_or(0);
        let mut by_error_type: Vec<ErrorTypeStats> = tally
            .by_error_type
            .iter()
            .map(|(error_type, attempts)| ErrorTypeStats {
                error_type: *error_type,
                attempts: *attempts,
                share: Rounded(*attempts as f64 / failed as f64),
                most: most_failed,
            })
            .collect();
        by_error_type.sort_by_key(|row| (std::cmp::Reverse(row.attempts), row.error_type.as_str()));
        let most = most_of(tally.by_webhook.values());
        let webhook = |(id, measures): (&i64, &Measures)| {
            let about = known.webhook(*id, until);
            WebhookStats {
                webhook: about.name,
                webhook_id: *id,
                numbers: measures.into(),
                state: about.state,
                condition: about.condition,
                last_error: about.last_error,
                last_failed_delivery: about.last_failed_delivery,
                most,
            }
        };
        let mut by_webhook: Vec<WebhookStats> = tally.by_webhook.iter().map(webhook).collect();
        by_webhook.sort_by_key(|row| (std::cmp::Reverse(row.numbers.deliveries), row.webhook_id));
        let most = most_of(tally.by_event_type.values());
        let event_type = |(event_type, measures): (&String, &Measures)| EventTypeStats {
            event_type: event_type.clone(),
            numbers: measures.into(),
            most,
        };
        let mut by_event_type: Vec<EventTypeStats> = tally.by_event_type.iter().map(event_type).collect();
        by_event_type.sort_by(|a, b| {
            b.numbers.deliveries.cmp(&a.numbers.deliveries).then_with(|| a.event_type.cmp(&b.event_type))
        });
        StatsView {
            since,
            until,
            total: (&tally.total).into(),
            by_webhook,
            by_event_type,
            by_hour: hours(tally),
            by_error_type,
            last_failures: known.last_failures.clone(),
            step: duration::format(Duration::from_millis(tally.steps.length as u64)),
            course: tally.course.iter().map(Measures::deliveries).collect(),
        }
    }
}

/// Every hour from the first to the last with activity, with the empty ones between.
fn hours(tally: &Tally) -> Vec<HourStats> {
    let most = most_of(tally.by_hour.values());
    let ends = tally.by_hour.first_key_value().zip(tally.by_hour.last_key_value());
    let Some(((first, _), (last, _))) = ends else { return Vec::new() };
    let quiet = Measures::default();
    let hour = |hour: i64| HourStats {
        hour: Timestamp::from_millis(hour * 3_600_000),
        numbers: tally.by_hour.get(&hour).unwrap_or(&quiet).into(),
        most,
    };
    (*first..=*last).map(hour).collect()
}

fn most_of<'a>(groups: impl Iterator<Item = &'a Measures>) -> u64 {
    groups.map(Measures::deliveries).max().unwrap_or(0)
}

impl Page for StatsView {
    fn describe(&self, text: &mut Text) {
        text.time("Since", self.since);
        text.field("Deliveries", self.total.deliveries_text());
        text.field("Success", self.total.rates_text());
        text.field("Attempts", self.total.attempts_text());
        let took = [
            ("p50", self.total.p50_ms),
            ("p90", self.total.p90_ms),
            ("p99", self.total.p99_ms),
            ("max", self.total.max_ms),
        ];
        let took: Vec<String> = took
            .iter()
            .filter_map(|(name, millis)| millis.map(|millis| format!("{name} {}", duration::measured(millis))))
            .collect();
        text.field("Durations", if took.is_empty() { Cell::missing() } else { Cell::plain(took.join("  ")) });
        text.field(&format!("Every {}", self.step), Cell::id(sparkline(&self.course)));
        if self.total.deliveries == 0 && self.total.attempts == 0 {
            text.line(Cell::dim("nothing was delivered in that time; --since 30d looks further back"));
        }
        let troubled: Vec<_> = self.by_webhook.iter().filter(|row| row.last_error.is_some()).map(Trouble).collect();
        rows(text, "Webhooks whose last attempt failed", &troubled);
        rows(text, "By webhook", &self.by_webhook);
        rows(text, "By event type", &self.by_event_type);
        if !self.by_error_type.is_empty() {
            text.blank();
            text.heading("Errors of attempts");
            text.rows(&self.by_error_type);
        }
        rows(text, "Last failures", &self.last_failures);
    }
}

fn rows<R: Row>(text: &mut Text, title: &str, rows: &[R]) {
    if rows.is_empty() {
        return;
    }
    text.blank();
    text.heading(title);
    text.rows(rows.iter().take(MOST_ROWS));
    if rows.len() > MOST_ROWS {
        text.line(Cell::dim(format!("{}; see them all with --by", more(rows.len() - MOST_ROWS))));
    }
}

/// A success rate, coloured by how good it is.
fn rate_cell(rate: Rounded) -> Cell {
    rate_meaning(rate, &percent(rate))
}

fn rate_meaning(rate: Rounded, text: &str) -> Cell {
    match rate.0 {
        share if share >= 0.99 => Cell::good(text),
        share if share >= 0.9 => Cell::warn(text),
        _ => Cell::bad(text),
    }
}

fn worst_rate(rates: [Option<Rounded>; 2]) -> Option<Rounded> {
    rates.into_iter().flatten().min_by(|a, b| a.0.total_cmp(&b.0))
}

/// `98.4%`, `100%`; never rounded up to 100.
pub fn percent(Rounded(share): Rounded) -> String {
    let tenths = (share * 1_000.0).floor() / 10.0;
    if share >= 1.0 || share <= 0.0 { format!("{tenths:.0}%") } else { format!("{tenths:.1}%") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_hundred_only_when_nothing_failed() {
        assert_eq!(percent(Rounded(1.0)), "100%");
        assert_eq!(percent(Rounded(0.999_999)), "99.9%");
        assert_eq!(percent(Rounded(0.5)), "50.0%");
        assert_eq!(percent(Rounded(0.0)), "0%");
    }
}

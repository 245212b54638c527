//! The HTML page with charts. It loads nothing and runs no script; the template library escapes values.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::chart::{Chart, Kind};
use super::tally::Tally;
use super::view::{Numbers, Rounded, StatsView, WebhookStats, percent};
use crate::domain::duration;
use crate::domain::time::Timestamp;
use crate::domain::webhook::{Condition, State};
use crate::output::escape;

/// The most webhooks with charts; the table has all.
const MOST_CHARTED: usize = 20;
/// The most event types in the table.
const MOST_TYPES: usize = 30;

pub fn render(view: &StatsView, tally: &Tally) -> String {
    let window = format!("{} to {} UTC", minute(view.since), minute(view.until));
    let is_empty = view.total.deliveries == 0 && tally.total.attempts == 0;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                // The browser enforces that nothing is loaded or run.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                title { "Webhook deliveries, " (window) }
                style { (PreEscaped(include_str!("page.css"))) }
            }
            body {
                main {
                    h1 { "Webhook deliveries" }
                    p { (window) }
                    (tiles(&view.total))
                    (troubles(view))
                    @if is_empty {
                        h2 { "Nothing was delivered in this time" }
                        p { "A longer time, as in --since 30d, may hold more." }
                    } @else {
                        (charts(view, tally))
                        (tables(view))
                    }
                    footer {
                        "Deliveries count by when they were created, attempts by when they ended; tests are not counted. "
                        "Written by hookctl " (env!("CARGO_PKG_VERSION")) "."
                    }
                }
            }
        }
    };
    page.into_string()
}

fn tiles(total: &Numbers) -> Markup {
    let tiles = [
        (grouped(total.deliveries), "deliveries".to_owned(), false),
        (share(total.attempt_success_rate), "success of attempts".to_owned(), is_low(total.attempt_success_rate)),
        (share(total.success_rate), "success of finished deliveries".to_owned(), is_low(total.success_rate)),
        (grouped(total.waiting_deliveries), "waiting".to_owned(), false),
        (grouped(total.failed_deliveries), "failed for good".to_owned(), false),
        (took(total.p50_ms), format!("median; p90 {}", took(total.p90_ms)), false),
        (took(total.p99_ms), format!("p99; longest {}", took(total.max_ms)), false),
    ];
    html! {
        section.tiles {
            @for (value, label, is_low) in tiles {
                div.card.tile { b.low[is_low] { (value) } span { (label) } }
            }
        }
    }
}

/// The webhooks whose last attempt failed, with their state and error, and the last failures.
fn troubles(view: &StatsView) -> Markup {
    let troubled: Vec<_> = view.by_webhook.iter().filter(|row| row.last_error.is_some()).collect();
    html! {
        @if !troubled.is_empty() {
            h2 { "Webhooks whose last attempt failed" }
            div.card.wide {
                table.text {
                    tr { th { "webhook" } th { "state" } th { "last error" } th { "look" } }
                    @for row in troubled {
                        tr {
                            td.low[row.numbers.only_failed()] { (escape(&row.webhook)) }
                            td.low { (state(row)) }
                            td { (row.last_error.as_deref().map(escape).unwrap_or_default()) }
                            td { @if let Some(id) = row.last_failed_delivery { code { "hookctl delivery show " (id) } } }
                        }
                    }
                }
            }
        }
        @if !view.last_failures.is_empty() {
            h2 { "Last failures" }
            div.card.wide {
                table.text {
                    tr { th { "when (UTC)" } th { "webhook" } th { "event type" } th { "error" } th { "look" } }
                    @for failure in &view.last_failures {
                        tr {
                            td.whole { (minute(failure.completed_at)) }
                            td { (escape(&failure.webhook)) }
                            td.type { (escape(&failure.event_type)) }
                            td { (failure.error_message.as_deref().map(escape).unwrap_or_default()) }
                            td { code { (failure.command()) } }
                        }
                    }
                }
            }
        }
    }
}

/// The condition of an active webhook, else its state.
fn state(row: &WebhookStats) -> &'static str {
    match (row.state, row.condition) {
        (Some(State::Disabled), _) => "disabled",
        (Some(State::Paused), _) => "paused",
        (_, Some(Condition::Unreachable)) => "unreachable",
        (_, Some(Condition::Failing)) => "failing",
        (_, Some(Condition::Held)) => "held",
        (Some(State::Active), None) => "active",
        (None, None) => "–",
    }
}

fn is_low(rate: Option<Rounded>) -> bool {
    rate.is_some_and(|rate| rate.0 < 0.9)
}

fn charts(view: &StatsView, tally: &Tally) -> Markup {
    let rows = view.by_webhook.iter().take(MOST_CHARTED);
    let charted = rows.filter_map(|row| tally.courses.get(&row.webhook_id).map(|course| (row, course)));
    html! {
        h2 { "Over time" }
        @if view.by_webhook.len() > 1 {
            (card("All webhooks", &view.total, &Chart { steps: tally.steps, course: &tally.course }))
        }
        @for (row, course) in charted {
            (card(&row.webhook, &row.numbers, &Chart { steps: tally.steps, course }))
        }
        @if let Some(left @ 1..) = view.by_webhook.len().checked_sub(MOST_CHARTED) {
            p { "The " (MOST_CHARTED) " busiest webhooks are drawn; " (left) " more are in the table." }
        }
    }
}

fn card(title: &str, numbers: &Numbers, chart: &Chart<'_>) -> Markup {
    let key = |class: &str, text: &str| html! { span.key.(class) { i { (text) } } };
    html! {
        section.card.webhook {
            header {
                h3 { (escape(title)) }
                p { (numbers.deliveries_text()) "; attempts: " (numbers.attempts_text()) }
            }
            div.charts {
                figure {
                    figcaption { b { "Volume" } (key("good", "delivered")) (key("bad", "failed")) (key("wait", "waiting or cancelled")) }
                    (chart.draw(Kind::Volume))
                }
                figure {
                    figcaption { b { "Success rate" } (key("good", "of finished deliveries")) }
                    (chart.draw(Kind::SuccessRate))
                }
                figure {
                    figcaption { b { "Latency" } (key("good", "p50")) (key("most", "p90")) span { "logarithmic" } }
                    (chart.draw(Kind::Latency))
                }
            }
        }
    }
}

fn tables(view: &StatsView) -> Markup {
    let webhooks: Vec<_> = view.by_webhook.iter().map(|row| (row.webhook.as_str(), &row.numbers)).collect();
    let types = view.by_event_type.iter().take(MOST_TYPES);
    let types: Vec<_> = types.map(|row| (row.event_type.as_str(), &row.numbers)).collect();
    let most_errors = view.by_error_type.iter().map(|row| row.attempts).max().unwrap_or(0);
    html! {
        (table("Webhooks", "webhook", &webhooks))
        (table("Event types", "event type", &types))
        @if !view.by_error_type.is_empty() {
            h2 { "Errors of attempts" }
            div.card.wide {
                table {
                    tr { th { "error type" } th { "attempts" } th { "share" } th {} }
                    @for row in &view.by_error_type {
                        tr {
                            td { (row.error_type.as_str()) }
                            td { (grouped(row.attempts)) }
                            td { (percent(row.share)) }
                            td.meter.errors { (meter(row.attempts, most_errors)) }
                        }
                    }
                }
            }
        }
    }
}

fn table(title: &str, name: &str, rows: &[(&str, &Numbers)]) -> Markup {
    let most = rows.iter().map(|(_, numbers)| numbers.deliveries).max().unwrap_or(0);
    html! {
        h2 { (title) }
        div.card.wide {
            table {
                tr {
                    @for heading in [name, "deliveries", "failed", "waiting", "success", "of attempts", "p50", "p90", "p99", "max", ""] {
                        th { (heading) }
                    }
                }
                @for (name, numbers) in rows {
                    tr {
                        td.low[numbers.only_failed()] { (escape(name)) }
                        td { (grouped(numbers.deliveries)) }
                        td { (grouped(numbers.failed_deliveries)) }
                        td { (grouped(numbers.waiting_deliveries)) }
                        @for rate in [numbers.success_rate, numbers.attempt_success_rate] {
                            td.low[rate.is_some_and(|rate| rate.0 < 0.9)] { (share(rate)) }
                        }
                        @for quantile in [numbers.p50_ms, numbers.p90_ms, numbers.p99_ms, numbers.max_ms] {
                            td { (took(quantile)) }
                        }
                        td.meter { (meter(numbers.deliveries, most)) }
                    }
                }
            }
        }
    }
}

fn meter(value: u64, most: u64) -> Markup {
    let share = if most == 0 { 0.0 } else { value as f64 / most as f64 * 100.0 };
    html! { div { div style=(format!("width:{share:.1}%")) {} } }
}

fn took(millis: Option<u64>) -> String {
    millis.map_or_else(|| "–".to_owned(), duration::measured)
}

fn share(rate: Option<Rounded>) -> String {
    rate.map_or_else(|| "–".to_owned(), percent)
}

fn minute(time: Timestamp) -> String {
    time.date_time().format("%Y-%m-%d %H:%M").to_string()
}

/// A number with thousands separated by a narrow no-break space: `12 345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}

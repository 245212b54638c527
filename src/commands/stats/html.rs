//! One page with charts for people who would rather look than read. Nothing in it comes from elsewhere, no script runs, and
//! whatever came from outside is escaped.

use std::borrow::Cow;

use super::chart::{Chart, Kind};
use super::tally::Tally;
use super::view::{Numbers, StatsView, percent};
use crate::domain::duration;
use crate::domain::time::Timestamp;
use crate::output::escape;

/// How many webhooks have charts; the table below tells of all.
const MOST_CHARTED: usize = 20;
/// How many event types the table shows.
const MOST_TYPES: usize = 30;

/// The whole page.
pub fn render(view: &StatsView, tally: &Tally) -> String {
    let mut page = String::with_capacity(64 * 1024);
    let window = format!("{} to {} UTC", minute(view.since), minute(view.until));
    page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    // The browser, too, is told that nothing is to be loaded or run.
    page += "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n";
    page.push_str(&format!("<title>Webhook deliveries, {window}</title>\n"));
    page.push_str(&format!("<style>\n{}</style>\n</head>\n<body>\n<main>\n", include_str!("page.css")));
    page.push_str(&format!("<h1>Webhook deliveries</h1>\n<p>{window}</p>\n"));
    tiles(&mut page, &view.total);
    if view.total.deliveries == 0 && tally.total.attempts == 0 {
        page +=
            "<h2>Nothing was delivered in this time</h2>\n<p>A longer time, as in --since 30d, may hold more.</p>\n";
    } else {
        charts(&mut page, view, tally);
        tables(&mut page, view);
    }
    page.push_str(&format!(
        "<footer>Deliveries count by when they were created, attempts by when they ended; tests are not counted. \
             Written by hookctl {}.</footer>\n</main>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION")
    ));
    page
}

/// Text from outside as HTML: no character of it is markup, none steers the text around it.
pub fn html(text: &str) -> String {
    let shown: Cow<'_, str> = escape(text);
    let mut safe = String::with_capacity(shown.len());
    for c in shown.chars() {
        match c {
            '&' => safe += "&amp;",
            '<' => safe += "&lt;",
            '>' => safe += "&gt;",
            '"' => safe += "&quot;",
            '\'' => safe += "&#39;",
            c => safe.push(c),
        }
    }
    safe
}

fn tiles(page: &mut String, total: &Numbers) {
    let took = |millis: Option<u64>| millis.map_or_else(|| "–".to_owned(), duration::measured);
    let tiles = [
        (grouped(total.deliveries), "deliveries".to_owned()),
        (total.success_rate.map_or_else(|| "–".to_owned(), percent), "success of what finished".to_owned()),
        (grouped(total.failed_deliveries), "failed for good".to_owned()),
        (took(total.p50_ms), format!("median; p90 {}", took(total.p90_ms))),
        (took(total.p99_ms), format!("p99; longest {}", took(total.max_ms))),
    ];
    *page += "<section class=\"tiles\">\n";
    for (value, label) in tiles {
        page.push_str(&format!("<div class=\"card tile\"><b>{value}</b><span>{label}</span></div>\n"));
    }
    *page += "</section>\n";
}

fn charts(page: &mut String, view: &StatsView, tally: &Tally) {
    *page += "<h2>Over time</h2>\n";
    if view.by_webhook.len() > 1 {
        card(page, "All webhooks", &view.total, &Chart { steps: tally.steps, course: &tally.course });
    }
    for row in view.by_webhook.iter().take(MOST_CHARTED) {
        if let Some(course) = tally.courses.get(&row.webhook_id) {
            card(page, &row.webhook, &row.numbers, &Chart { steps: tally.steps, course });
        }
    }
    if view.by_webhook.len() > MOST_CHARTED {
        let left = view.by_webhook.len() - MOST_CHARTED;
        page.push_str(&format!(
            "<p>The {MOST_CHARTED} busiest webhooks are drawn; {left} more are in the table.</p>\n"
        ));
    }
}

fn card(page: &mut String, title: &str, numbers: &Numbers, chart: &Chart<'_>) {
    let told = format!("{}; attempts: {}", numbers.told(), numbers.attempts_told());
    page.push_str(&format!("<section class=\"card webhook\"><header><h3>{}</h3><p>{told}</p></header>\n", html(title)));
    *page += "<div class=\"charts\">\n";
    let captions = [
        (
            Kind::Volume,
            "Volume",
            "<span class=\"key good\"><i>delivered</i></span><span class=\"key bad\"><i>failed</i></span>\
             <span class=\"key wait\"><i>other</i></span>",
        ),
        (Kind::SuccessRate, "Success rate", "<span class=\"key good\"><i>of finished deliveries</i></span>"),
        (
            Kind::Latency,
            "Latency",
            "<span class=\"key good\"><i>p50</i></span><span class=\"key most\"><i>p90</i></span><span>logarithmic</span>",
        ),
    ];
    for (kind, name, key) in captions {
        page.push_str(&format!("<figure><figcaption><b>{name}</b>{key}</figcaption>\n{}</figure>\n", chart.draw(kind)));
    }
    *page += "</div></section>\n";
}

fn tables(page: &mut String, view: &StatsView) {
    let webhooks = view.by_webhook.iter().map(|row| (row.webhook.as_str(), &row.numbers)).collect::<Vec<_>>();
    table(page, "Webhooks", "webhook", &webhooks);
    let types = view.by_event_type.iter().take(MOST_TYPES);
    let types = types.map(|row| (row.event_type.as_str(), &row.numbers)).collect::<Vec<_>>();
    table(page, "Event types", "event type", &types);
    if view.by_error_type.is_empty() {
        return;
    }
    *page += "<h2>Errors of attempts</h2>\n<div class=\"card wide\"><table>\n<tr><th>error type</th><th>attempts</th><th>share</th><th></th></tr>\n";
    let most = view.by_error_type.iter().map(|row| row.attempts).max().unwrap_or(1);
    for row in &view.by_error_type {
        page.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td class=\"meter errors\">{}</td></tr>\n",
            row.error_type.as_str(),
            grouped(row.attempts),
            percent(row.share),
            meter(row.attempts, most)
        ));
    }
    *page += "</table></div>\n";
}

fn table(page: &mut String, title: &str, name: &str, rows: &[(&str, &Numbers)]) {
    page.push_str(&format!(
        "<h2>{title}</h2>\n<div class=\"card wide\"><table>\n<tr><th>{name}</th><th>deliveries</th><th>failed</th>\
             <th>success</th><th>p50</th><th>p90</th><th>p99</th><th>max</th><th></th></tr>\n"
    ));
    let most = rows.iter().map(|(_, numbers)| numbers.deliveries).max().unwrap_or(0);
    let took = |millis: Option<u64>| millis.map_or_else(|| "–".to_owned(), duration::measured);
    for (name, numbers) in rows {
        let is_low = numbers.success_rate.is_some_and(|rate| rate.0 < 0.9);
        page.push_str(&format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td{}>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>\
                 <td class=\"meter\">{}</td></tr>\n",
            html(name),
            grouped(numbers.deliveries),
            grouped(numbers.failed_deliveries),
            if is_low { " class=\"low\"" } else { "" },
            numbers.success_rate.map_or_else(|| "–".to_owned(), percent),
            took(numbers.p50_ms),
            took(numbers.p90_ms),
            took(numbers.p99_ms),
            took(numbers.max_ms),
            meter(numbers.deliveries, most)
        ));
    }
    *page += "</table></div>\n";
}

fn meter(value: u64, most: u64) -> String {
    let share = if most == 0 { 0.0 } else { value as f64 / most as f64 * 100.0 };
    format!("<div><div style=\"width:{share:.1}%\"></div></div>")
}

fn minute(time: Timestamp) -> String {
    time.date_time().format("%Y-%m-%d %H:%M").to_string()
}

/// A number with its thousands apart: `12 345`, by a narrow blank that does not break.
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
    fn nothing_from_outside_is_markup() {
        assert_eq!(html("<b a=\"x\" b='y'>&"), "&lt;b a=&quot;x&quot; b=&#39;y&#39;&gt;&amp;");
        assert_eq!(html("a\u{202e}b\u{0}"), "a\\u{202e}b\\u{0}");
    }

    #[test]
    fn thousands_stand_apart() {
        assert_eq!(grouped(7), "7");
        assert_eq!(grouped(123), "123");
        assert_eq!(grouped(1_234_567), "1\u{202f}234\u{202f}567");
    }
}

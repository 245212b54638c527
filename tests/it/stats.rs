//! `stats`: what the log amounts to, and the page with charts.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::support::{TestEnv, TestReceiver, installed};

const EVENT: &str = "invoice.paid";

/// Ten deliveries of one webhook, two of which failed after two attempts, and one of another with a hostile name, an hour
/// later; durations are set by hand.
fn filled() -> TestEnv {
    let receiver = TestReceiver::start([200, 200, 200, 200, 200, 200, 200, 200, 500]);
    let (env, other) = (TestEnv::new(), TestReceiver::start(200));
    let run = |time: &str, arguments: &[&str]| env.hookctl(arguments).now(time).run();
    let early = "2026-01-01T10:10:00Z";
    for (name, url) in [("crm", receiver.url()), ("<script>alert(1)</script>", other.url())] {
        run(
            early,
            &[
                "webhook",
                "create",
                name,
                "--url",
                &url,
                "-e",
                "*.paid,task.*",
                "--max-retries",
                "1",
                "--retry-delay",
                "1s",
            ],
        )
        .ok();
    }
    for _ in 0..10 {
        run(early, &["emit", EVENT, "--data", "{}", "-w", "crm"]).ok();
    }
    run("2026-01-01T10:10:10Z", &["drain"]).ok();
    run("2026-01-01T12:10:00Z", &["emit", "task.created", "--data", "{}", "-w", "<script>alert(1)</script>"]).ok();
    run(early, &["webhook", "test", "crm"]).fails(5);
    env.sql_write("UPDATE attempts SET duration_ms = id * 10");
    env
}

fn stats(env: &TestEnv, more: &[&str]) -> Value {
    env.hookctl([&["stats", "-o", "json"], more].concat()).now("2026-01-01T12:30:00Z").run().ok().json()
}

fn names(rows: &Value, key: &str) -> Vec<String> {
    rows.as_array().unwrap().iter().map(|row| row[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn deliveries_attempts_and_durations_are_counted() {
    let all = stats(&filled(), &[]);
    let expected = [
        ("deliveries", 11),
        ("successful_deliveries", 9),
        ("failed_deliveries", 2),
        ("waiting_deliveries", 0),
        ("attempts", 13),
        ("failed_attempts", 4),
        ("p50_ms", 70),
        ("p90_ms", 120),
        ("p99_ms", 130),
        ("max_ms", 130),
    ];
    for (key, value) in expected {
        assert_eq!(all[key].as_i64(), Some(value), "{key}: {all}");
    }
    assert_eq!(all["success_rate"].to_string(), "0.8182");
    assert_eq!(all["attempts_per_delivery"].to_string(), "1.1818");
    assert_eq!(
        (all["since"].as_str(), all["until"].as_str()),
        (Some("2025-12-31T12:30:00.000Z"), Some("2026-01-01T12:30:00.000Z"))
    );
}

#[test]
fn groups_have_a_row_each() {
    let env = filled();
    let webhooks = stats(&env, &["--by", "webhook"]);
    assert_eq!(names(&webhooks, "webhook"), ["crm", "<script>alert(1)</script>"]);
    assert_eq!(
        (webhooks[0]["deliveries"].as_i64(), webhooks[0]["success_rate"].to_string()),
        (Some(10), "0.8".to_owned())
    );
    let types = stats(&env, &["--by", "event-type"]);
    assert_eq!(names(&types, "event_type"), ["invoice.paid", "task.created"]);
    let hours = stats(&env, &["--by", "hour"]);
    assert_eq!(names(&hours, "hour"), ["10", "11", "12"].map(|hour| format!("2026-01-01T{hour}:00:00.000Z")));
    assert_eq!(hours[1]["deliveries"].as_i64(), Some(0));
    assert_eq!(hours[1]["p50_ms"], Value::Null);
    let errors = stats(&env, &["--by", "error-type"]);
    assert_eq!(errors, serde_json::json!([{"error_type": "http_error", "attempts": 4, "share": 1.0}]));
    let one = stats(&env, &["-w", "crm", "--by", "webhook"]);
    assert_eq!(names(&one, "webhook"), ["crm"]);
    env.hookctl(["stats", "-w", "nobody"]).run().fails(3);
}

#[test]
fn what_lies_before_the_window_does_not_count() {
    let env = filled();
    let late = stats(&env, &["--since", "1h"]);
    assert_eq!((late["deliveries"].as_i64(), late["attempts"].as_i64()), (Some(1), Some(1)));
    assert_eq!(stats(&env, &["--since", "2026-01-01T10:00:00Z"])["deliveries"].as_i64(), Some(11));
    let error = env.hookctl(["stats", "--since", "2999-01-01T00:00:00Z"]).run().fails(2).err();
    assert!(error.contains("--since: lies in the future"), "{error}");
}

#[test]
fn what_a_clock_ahead_wrote_counts_as_of_now_and_not_in_a_row_for_every_hour_until_then() {
    let env = filled();
    env.sql_write(
        "UPDATE deliveries SET created_at = 253402300799999 WHERE id = 1;
         UPDATE attempts SET completed_at = 9223372036854775807 WHERE delivery_id = 1;",
    );
    let hours = stats(&env, &["--by", "hour"]);
    assert_eq!(names(&hours, "hour"), ["10", "11", "12"].map(|hour| format!("2026-01-01T{hour}:00:00.000Z")));
    assert_eq!(stats(&env, &[])["deliveries"].as_i64(), Some(11));
}

#[test]
fn people_see_bars_and_a_sparkline_within_80_columns() {
    let env = filled();
    let run = env.hookctl(["stats"]).now("2026-01-01T12:30:00Z").run().ok();
    let text = run.text();
    for part in ["11 created: 9 delivered, 2 failed, 0 waiting", "81.8%", "█", "Every 30m:", "By webhook", "http_error"]
    {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let one = env.hookctl(["stats", "-w", "crm"]).now("2026-01-01T12:30:00Z").at_terminal().ends().text();
    assert_eq!(one.lines().find(|line| line.chars().count() > 80), None, "{one}");
    let csv = env.hookctl(["stats", "--by", "webhook", "-o", "csv"]).now("2026-01-01T12:30:00Z").run().ok().text();
    assert!(csv.starts_with("webhook,webhook_id,deliveries,successful_deliveries,failed_deliveries,"), "{csv}");
    let empty = TestEnv::new().hookctl(["stats", "--by", "hour"]).run().ok();
    assert!(empty.err().contains("nothing was delivered") && empty.text().is_empty(), "{empty:?}");
    TestEnv::new().hookctl(["stats"]).run().ok();
}

#[test]
fn the_page_stands_alone_and_holds_no_markup_from_outside() {
    let env = filled();
    env.hookctl(["stats", "--html", "report.html"]).now("2026-01-01T12:30:00Z").run().ok();
    let page = std::fs::read_to_string(env.path().join("report.html")).unwrap();
    for part in ["<script", "http:", "https:", "src=", "href=", "url(", "@import", "javascript"] {
        assert!(!page.contains(part), "{part} is in the page");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    for tag in ["main", "section", "header", "div", "figure", "svg", "table", "tr", "th", "td", "text", "title", "span"]
    {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag}");
    }
    assert_eq!(page.matches("<svg").count(), 9, "three charts for all, and for each of two webhooks");
    assert!(page.contains("prefers-color-scheme: dark"));
    let to_stdout = env.hookctl(["stats", "--html", "-"]).now("2026-01-01T12:30:00Z").run().ok();
    assert_eq!(to_stdout.text(), page);
}

#[test]
fn a_real_browser_shows_the_page() {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let Some(browser) = installed(&names, "chromium") else { return };
    let env = filled();
    env.hookctl(["stats", "--html", "report.html"]).now("2026-01-01T12:30:00Z").run().ok();
    let profile = env.path().join("profile");
    let shot = env.path().join("shot.png");
    let open = |more: &[String]| {
        let output = Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"])
            .args([
                "--disable-component-update",
                "--disable-sync",
                "--no-first-run",
                "--enable-logging=stderr",
                "--hide-scrollbars",
            ])
            .arg("--virtual-time-budget=2000")
            .arg(format!("--user-data-dir={}", profile.display()))
            .args(more)
            .arg(format!("file://{}", env.path().join("report.html").display()))
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{log}");
        // What it refuses to load or run, by the page's own policy, it says on its console.
        assert!(!log.contains("CONSOLE"), "{log}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let document = open(&["--dump-dom".to_owned()]);
    // What the browser read: an unknown or unclosed element would stand elsewhere in its tree.
    assert!(document.trim_end().ends_with("</footer></main></body></html>"), "{document}");
    assert_eq!(document.matches(" UTC: ").count(), document.matches("class=\"hit\"").count());
    assert!(document.contains("<h3>&lt;script&gt;alert(1)&lt;/script&gt;</h3>"), "{document}");
    let picture = |scheme: &str| {
        open(&[
            format!("--screenshot={}", shot.display()),
            "--window-size=1200,1400".to_owned(),
            format!("--blink-settings=preferredColorScheme={scheme}"),
        ]);
        std::fs::read(&shot).unwrap()
    };
    let (dark, light) = (picture("0"), picture("1"));
    assert!(light.starts_with(b"\x89PNG") && light.len() > 20_000, "a picture of {} bytes", light.len());
    assert_ne!(dark, light, "the page looks the same in the dark");
}

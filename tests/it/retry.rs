//! When a failed delivery is tried again, and what the receiver has to say about that.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Reply, TestEnv, TestReceiver, second, seconds_of};

/// One delivery to a receiver that answers so, emitted at second 0.
fn failed_once(reply: Reply, flags: &[&str]) -> (TestEnv, TestReceiver, Value) {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(reply));
    env.create("crm", &receiver.url(), flags);
    let delivery = env.emit_at(0, "first")[0].take();
    (env, receiver, delivery)
}

fn next_retry(reply: Reply) -> f64 {
    let (_env, _receiver, delivery) = failed_once(reply, &[]);
    seconds_of(&delivery["next_retry_at"])
}

fn retry_after(status: u16, value: &str) -> Reply {
    Reply::with_header(status, "Retry-After", value)
}

#[test]
fn a_delivery_is_not_given_up_after_seven_minutes_but_tried_for_three_days() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(500));
    let create = ["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*"];
    let created = env.hookctl(create).run().ok();
    let told = "after 5s, then 5m, then 30m, then 2h, then 5h, then 10h, then 14h, then 20h, then 1d (9 in 3d3h)";
    assert!(created.text().contains(told), "{created:?}");
    let webhook = env.webhook_at(0, "crm");
    assert_eq!((&webhook["max_retries"], webhook["retry_schedule"].as_array().unwrap().len()), (&9.into(), 9));
    env.emit_at(0, "one");
    env.at(3_600, &["drain"]).ok();
    assert_eq!(env.statuses(), "retrying 1", "after an hour");
    let mut now = 3_600;
    for hours in [1, 3, 6, 11, 16, 22] {
        now += hours * 3_600;
        env.at(now, &["drain"]).ok();
    }
    assert_eq!(env.statuses(), "retrying 1", "after 60 hours");
    receiver.now_answers(200);
    env.at(now + 27 * 3_600, &["drain"]).ok();
    assert_eq!(env.statuses(), "success 1");
}

#[test]
fn presets_and_numbers_say_how_long_retries_take() {
    let env = TestEnv::new();
    let shown = |name: &str, flags: &[&str]| {
        let create = ["webhook", "create", name, "--url", "https://crm.example/", "-e", "*"];
        let text = env.hookctl(create).args(flags.iter().copied()).run().ok().text();
        text.lines()
            .filter(|line| line.starts_with("Retries") || line.starts_with("Order"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for (name, flags, ends) in [
        ("a", &["--retry-schedule", "timetracker"][..], vec!["after 1m, then 2m, then 4m (3 in 7m)"]),
        ("b", &["--retry-schedule", "svix"], vec!["(7 in 1d3h)"]),
        ("c", &["--max-retries", "1"], vec!["after 1m (1 in 1m)"]),
        ("d", &["--retry-delay", "1s"], vec!["after 1s, then 2s, then 4s (3 in 7s)"]),
        ("e", &["--max-retries", "0"], vec!["none"]),
        ("f", &["--ordered"], vec!["(3 in 7m)", "one that fails holds the rest for up to 7m"]),
        ("g", &["--ordered", "--retry-schedule", "standard"], vec!["(9 in 3d3h)", "for up to 3d3h"]),
        ("h", &["--ordered", "--max-retries", "2"], vec!["(2 in 3m)", "for up to 3m"]),
    ] {
        let lines = shown(name, flags);
        assert_eq!(lines.len(), ends.len(), "{lines:?}");
        for (line, end) in lines.iter().zip(ends) {
            assert!(line.ends_with(end), "{name}: {line}");
        }
    }
    let file = env.file(
        "hookctl.toml",
        "[[webhooks]]\nname = \"f\"\nurl = \"https://crm.example/\"\nevents = [\"*\"]\nretry_schedule = \"svix\"\n",
    );
    env.hookctl(["apply", file.to_str().unwrap()]).run().ok();
    assert_eq!(env.webhook_at(0, "f")["max_retries"], 7);
}

#[test]
fn show_prints_the_delay_before_each_retry() {
    let env = TestEnv::new();
    let presets = [
        ("timetracker", "after 1m, then 2m, then 4m"),
        ("standard", "after 5s, then 5m, then 30m, then 2h, then 5h, then 10h, then 14h, then 20h, then 1d"),
        ("svix", "after 5s, then 5m, then 30m, then 2h, then 5h, then 10h, then 10h"),
        ("10s,20s", "after 10s, then 20s"),
    ];
    for (schedule, times) in presets {
        let name = format!("hook-{schedule}");
        env.create(&name, "http://127.0.0.1:9/", &["--retry-schedule", schedule]);
        let shown = env.at(0, &["webhook", "show", &name]).ok().text();
        assert!(shown.contains(times), "{schedule}: {shown}");
    }
}

#[test]
fn a_schedule_that_is_none_is_refused_and_the_presets_are_told() {
    let env = TestEnv::new();
    for schedule in ["", "x", "5s,,1m", "Standard", "1s;2s"] {
        let args =
            ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*", "--retry-schedule", schedule];
        let run = env.at(0, &args).fails(2);
        assert!(run.err().contains("--retry-schedule") && run.err().contains("timetracker, standard, svix"), "{run:?}");
    }
}

#[test]
fn naming_retries_or_their_delay_takes_the_place_of_a_schedule() {
    let env = TestEnv::new();
    env.create("crm", "http://127.0.0.1:9/", &["--retry-schedule", "svix"]);
    let updated = env.json_at(0, &["webhook", "update", "crm", "--max-retries", "2"]);
    assert_eq!((&updated["max_retries"], &updated["retry_schedule"]), (&2.into(), &Value::Null));
}

#[test]
fn a_schedule_is_followed_to_its_end() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(500));
    env.create("crm", &receiver.url(), &["--retry-schedule", "10s,100s"]);
    let delivery = env.emit_at(0, "first");
    assert!((9.0..=11.0).contains(&seconds_of(&delivery[0]["next_retry_at"])), "{delivery}");
    assert_eq!(env.json_at(8, &["drain"])["claimed"], 0);
    assert_eq!(env.json_at(12, &["drain"])["retrying"], 1);
    assert_eq!(env.json_at(100, &["drain"])["claimed"], 0);
    assert_eq!(env.json_at(123, &["drain"])["failed"], 1);
    assert_eq!(env.json_at(100_000, &["drain"])["claimed"], 0);
    assert_eq!(receiver.count(), 3);
}

#[test]
fn delays_are_jittered_within_ten_per_cent() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(500));
    env.create("crm", &receiver.url(), &["--retry-delay", "1000s"]);
    env.enqueue(0, 20);
    env.at(0, &["drain"]).ok();
    let due = env.sql(&format!("SELECT due_at / 1000 - {} FROM deliveries", epoch()));
    let due: BTreeSet<i64> = due.iter().map(|row| row[0].parse().unwrap()).collect();
    assert!(due.iter().all(|seconds| (900..=1_100).contains(seconds)), "{due:?}");
    assert!(due.len() > 10, "spread out: {due:?}");
}

fn epoch() -> i64 {
    chrono::DateTime::parse_from_rfc3339(&second(0)).unwrap().timestamp()
}

#[test]
fn retry_after_puts_off_the_retry_after_any_failure() {
    for status in [301, 400, 418, 500] {
        let at = next_retry(retry_after(status, "7200"));
        assert!((7_200.0..7_201.0).contains(&at), "{status}: {at}");
    }
    let at = next_retry(retry_after(500, "Thu, 01 Jan 2026 03:00:00 GMT"));
    assert!((10_799.0..=10_801.0).contains(&at), "{at}");
}

#[test]
fn retry_after_never_shortens_a_delay_and_never_exceeds_a_day() {
    let at = next_retry(retry_after(500, "1"));
    assert!((54.0..=66.0).contains(&at), "{at}");
    for value in ["99999999", "99999999999999999999999", "Fri, 01 Jan 2038 00:00:00 GMT"] {
        let at = next_retry(retry_after(500, value));
        assert!((86_400.0..86_401.0).contains(&at), "{value}: {at}");
    }
}

#[test]
fn a_retry_after_that_is_junk_is_ignored() {
    for value in ["soon", "-5", "1.5", "", "7200 seconds", "2026-01-01T03:00:00Z", "Thu, 99 Jan 2026 03:00:00 GMT"] {
        let at = next_retry(retry_after(500, value));
        assert!((54.0..=66.0).contains(&at), "{value}: {at}");
    }
}

#[test]
fn an_overloaded_receiver_holds_back_the_whole_webhook() {
    for status in [429, 502, 503, 504] {
        let (env, receiver, _) = failed_once(retry_after(status, "300"), &[]);
        receiver.now_answers(200);
        let second = env.emit_at(10, "second");
        assert_eq!(second[0]["status"], "pending", "{status}");
        let drained = env.json_at(299, &["drain"]);
        assert_eq!((&drained["claimed"], &drained["deferred"]), (&0.into(), &1.into()), "{status}");
        assert_eq!(env.json_at(301, &["drain"])["succeeded"], 2, "{status}");
        assert_eq!(env.sql("SELECT attempt_count FROM deliveries ORDER BY id"), [["2"], ["1"]], "held back at no cost");
    }
}

#[test]
fn any_other_failure_holds_back_its_own_delivery_only() {
    let (env, receiver, _) = failed_once(retry_after(500, "300"), &[]);
    receiver.now_answers(200);
    assert_eq!(env.emit_at(10, "second")[0]["status"], "success");
}

#[test]
fn an_overloaded_receiver_that_names_no_time_is_left_alone_for_a_minute() {
    let (env, receiver, delivery) = failed_once(Reply::Status(503), &["--retry-delay", "1s"]);
    assert!(seconds_of(&delivery["next_retry_at"]) >= 60.0, "{delivery}");
    receiver.now_answers(200);
    assert_eq!(env.emit_at(58, "second")[0]["status"], "pending");
    assert_eq!(env.json_at(61, &["drain"])["succeeded"], 2);
}

#[test]
fn a_hold_stops_a_drain_that_has_more_claimed() {
    let (env, receiver) = (TestEnv::new(), TestReceiver::start(503));
    env.create("crm", &receiver.url(), &[]);
    env.enqueue(0, 200);
    env.at(0, &["drain", "--concurrency", "1"]).ok();
    assert!(receiver.count() < 10, "{} requests to a receiver that is overloaded", receiver.count());
    assert_eq!(env.sql_value("SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"), "0", "all given back");
}

#[test]
fn gone_fails_the_delivery_and_disables_the_webhook() {
    for reply in [Reply::Status(410), Reply::with_header(500, "webhook-delivery", "disable")] {
        let (env, _receiver, delivery) = failed_once(reply, &[]);
        assert_eq!(delivery["status"], "failed");
        let webhook = env.webhook_at(0, "crm");
        assert_eq!(webhook["is_active"], false);
        let reason = webhook["disabled_reason"].as_str().unwrap();
        assert!(reason.contains("410") || reason.contains("webhook-delivery: disable"), "{reason}");
        assert_eq!(seconds_of(&webhook["disabled_at"]).round().to_string(), "0");
        assert_eq!(env.sql_value("SELECT count(*) FROM events WHERE event_type = 'webhook.disabled'"), "1");
    }
}

#[test]
fn abort_message_fails_the_delivery_alone() {
    let (env, _receiver, delivery) =
        failed_once(Reply::with_header(500, "Webhook-Delivery", "Abort-Message"), &["--max-retries", "9"]);
    assert_eq!(delivery["status"], "failed");
    assert_eq!(env.webhook_at(0, "crm")["is_active"], true);
}

#[test]
fn what_a_success_says_about_delivery_is_not_heard() {
    let (env, _receiver, delivery) = failed_once(Reply::with_header(200, "webhook-delivery", "disable"), &[]);
    assert_eq!(delivery["status"], "success");
    assert_eq!(env.webhook_at(0, "crm")["is_active"], true);
}

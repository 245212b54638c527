//! Patterns that take event types out of a subscription.

use serde_json::Value;

use crate::support::{TestEnv, TestReceiver};

/// A webhook of everything but drafts.
fn without_drafts(url: &str) -> TestEnv {
    let env = TestEnv::new();
    create(&env, url, &["-e", "*,!invoice.draft*"]).ok();
    env
}

fn create(env: &TestEnv, url: &str, words: &[&str]) -> crate::support::Run {
    env.hookctl(["webhook", "create", "crm", "--url", url]).args(words.iter().copied()).run()
}

fn json(env: &TestEnv, words: &[&str]) -> Value {
    env.hookctl(words.iter().copied()).args(["-o", "json"]).run().ok().json()
}

#[test]
fn an_event_is_wanted_where_a_pattern_matches_and_none_takes_it_out() {
    let receiver = TestReceiver::start(200);
    let env = without_drafts(&receiver.url());
    let deliveries = |event_type: &str| json(&env, &["emit", event_type])["deliveries"].as_array().unwrap().len();
    assert_eq!((deliveries("invoice.paid"), deliveries("invoice.draft_saved")), (1, 0));
    let dry = json(&env, &["emit", "invoice.draft", "--dry-run"]);
    assert_eq!((&dry[0]["would_deliver"], &dry[0]["reason"]), (&false.into(), &"pattern".into()));
    let listed = |event_type: &str| json(&env, &["webhook", "list", "--type", event_type]).as_array().unwrap().len();
    assert_eq!((listed("invoice.paid"), listed("invoice.draft_saved")), (1, 0));
    json(&env, &["event-type", "add", "invoice.draft_saved"]);
    let subscribers = |event_type: &str| json(&env, &["event-type", "show", event_type])["webhooks"].clone();
    assert_eq!(subscribers("invoice.paid"), serde_json::json!(["crm"]));
    assert_eq!(subscribers("invoice.draft_saved"), serde_json::json!([]));
    assert_eq!(receiver.count(), 1);
}

#[test]
fn what_was_missed_leaves_out_what_is_taken_out() {
    let env = without_drafts("http://127.0.0.1:9/");
    json(&env, &["webhook", "disable", "crm"]);
    for event_type in ["invoice.paid", "invoice.draft_saved", "task.created"] {
        json(&env, &["emit", event_type, "--enqueue"]);
    }
    let preview = json(&env, &["event", "resend", "--missing", "-w", "crm", "--since", "1h", "--dry-run"]);
    assert_eq!(preview["deliveries"], 2, "{preview}");
    assert_eq!(json(&env, &["webhook", "enable", "crm", "--backfill"])[0]["missed_events"], 2);
    let types = "SELECT event_type FROM deliveries ORDER BY event_type";
    assert_eq!(env.sql(types), [["invoice.paid"], ["task.created"]]);
}

#[test]
fn patterns_that_take_out_come_and_go_but_never_stand_alone() {
    let (env, url) = (TestEnv::new(), "http://127.0.0.1:9/");
    let refused = create(&env, url, &["-e", "!invoice.draft*"]).fails(2).err();
    assert!(refused.contains("--event: every pattern takes types out"), "{refused}");
    for wrong in ["!", "!!a", "a!b", "!a b"] {
        create(&env, url, &["-e", "*", "-e", wrong]).fails(2);
    }
    create(&env, url, &["-e", "invoice.*"]).ok();
    let update = |words: &[&str]| env.hookctl(["webhook", "update", "crm"]).args(words.iter().copied()).run();
    update(&["--add-event", "!invoice.draft*"]).ok();
    assert_eq!(json(&env, &["webhook", "show", "crm"])["events"], serde_json::json!(["invoice.*", "!invoice.draft*"]));
    let refused = update(&["--remove-event", "invoice.*"]).fails(2).err();
    assert!(refused.contains("--remove-event: every pattern takes types out"), "{refused}");
    update(&["--remove-event", "!invoice.draft*"]).ok();
    let slip = update(&["--add-event", "!invoice.payed"]).ok().err();
    assert!(slip.contains("'invoice.payed' is not in the catalogue; did you mean 'invoice.paid'?"), "{slip}");
}

#[test]
fn a_file_holds_patterns_that_take_out_as_they_were_given() {
    let env = without_drafts("http://127.0.0.1:9/");
    let exported = env.hookctl(["export"]).run().ok().text();
    assert!(exported.contains("\"!invoice.draft*\""), "{exported}");
    let file = env.file("webhooks.toml", exported);
    env.hookctl(["apply"]).arg(&file).arg("--dry-run").run().ok();
    let alone = "[[webhooks]]\nname = \"erp\"\nurl = \"http://127.0.0.1:9/\"\nevents = [\"!a.b\"]\n";
    let refused = env.hookctl(["apply"]).arg(env.file("alone.toml", alone)).run().fails(2).err();
    assert!(refused.contains("events: every pattern takes types out"), "{refused}");
}

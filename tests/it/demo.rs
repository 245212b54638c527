//! `demo`: the guided tour.

use std::fs;
use std::time::Duration;

use crate::support::{Hookctl, TestEnv};

/// A demo whose temporary folder lies inside the environment's.
fn demo(env: &TestEnv, arguments: &[&str]) -> Hookctl {
    let temporary = env.path().join("tmp");
    fs::create_dir_all(&temporary).unwrap();
    env.hookctl([&["demo"], arguments].concat()).env("TMPDIR", temporary)
}

fn is_clean(env: &TestEnv) -> bool {
    fs::read_dir(env.path().join("tmp")).unwrap().next().is_none()
}

#[test]
fn the_tour_shows_the_main_job_and_leaves_nothing_behind() {
    let env = TestEnv::new();
    let run = demo(&env, &[]).run().ok();
    let text = run.text();
    for shown in [
        "$ hookctl listen --respond 500,200 --count 2 > crm.log &\n",
        "$ hookctl webhook create crm --url http://127.0.0.1:",
        "$ hookctl emit invoice.paid --event-id invoice-42-paid",
        "the receiver answered 500 Internal Server Error",
        "0 attempted in ",
        "$ export HOOKCTL_NOW=",
        "1 attempted in ",
        "s: 1 delivered",
        "\n  webhook-signature: v1,",
        "body.json\n  valid\n",
        "Attempt 2 (scheduled)",
    ] {
        assert!(text.contains(shown), "{shown:?} is missing in\n{text}");
    }
    assert!(is_clean(&env));
    assert!(!env.is_made(), "the user's own database is not touched");
    assert_eq!(run.err(), "");
}

#[test]
fn the_users_settings_have_no_say_in_it() {
    let env = TestEnv::new();
    let run = demo(&env, &["-o", "json"])
        .env("HOOKCTL_OUTPUT", "csv")
        .env("HOOKCTL_READ_ONLY", "1")
        .env("HOOKCTL_ALLOW_NETWORKS", "")
        .now("2026-01-31T12:00:00Z")
        .run()
        .ok();
    let tour = run.json();
    let steps = tour["steps"].as_array().unwrap();
    assert!(steps.iter().all(|step| step["command"].is_string() && step["output"].is_string()));
    assert!(steps.iter().all(|step| step["exit_code"].is_null() || step["exit_code"] == 0));
    assert!(steps.iter().any(|step| step["command"] == "export HOOKCTL_NOW=2026-01-31T12:02:00.000Z"));
    assert!(is_clean(&env) && !env.is_made());
}

#[test]
fn a_tour_that_breaks_off_says_so_and_leaves_nothing_behind() {
    let env = TestEnv::new();
    let run = demo(&env, &[]).env("TMPDIR", env.path().join("nowhere")).run().fails(1);
    assert!(run.err().contains("cannot make the folder"), "{run:?}");
    // At the end of time nothing can be due later, so the retry never comes.
    let run = demo(&env, &[]).now("9999-12-31T23:59:59Z").run().fails(1);
    assert!(run.err().contains("the tour broke off: the listener of crm.log waits"), "{run:?}");
    assert!(run.text().contains("$ hookctl emit"), "what was shown until then tells why\n{run:?}");
    assert!(is_clean(&env), "the listeners are ended too");
}

#[test]
fn a_signal_in_the_middle_leaves_nothing_behind() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let env = TestEnv::new();
        let mut child = demo(&env, &[]).spawn();
        while child.is_running() && is_clean(&env) {
            std::thread::yield_now();
        }
        child.signal(signal);
        let run = child.wait_timeout(Duration::from_secs(20));
        assert!([Some(0), Some(code)].contains(&run.code), "it may have ended before the signal came\n{run:?}");
        assert!(is_clean(&env));
    }
}

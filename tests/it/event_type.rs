//! The catalogue of event types.

use crate::support::TestEnv;

#[test]
fn every_type_has_a_description_and_an_example_of_what_is_sent() {
    let env = TestEnv::new();
    let list = env.hookctl(["event-type", "list", "-o", "json"]).run().ok().json();
    let types = list.as_array().unwrap();
    assert!(types.len() > 50);
    for known in types.iter().step_by(10) {
        assert!(!known["description"].as_str().unwrap().is_empty(), "{known}");
        let name = known["name"].as_str().unwrap();
        let shown = env.hookctl(["event-type", "show", name, "-o", "json"]).run().ok().json();
        let (noun, verb) = name.rsplit_once('.').unwrap();
        let example = &shown["example"];
        assert_eq!((&example["event_type"], &example["action"]), (&name.into(), &verb.into()));
        assert_eq!(example["entity"]["type"], noun);
    }
    assert!(!env.is_made(), "the built-in types need no database");
}

#[test]
fn a_list_of_types_ends_at_its_limit_and_says_so() {
    let env = TestEnv::new();
    let list = |limit: &str| env.hookctl(["event-type", "list", "--limit", limit]).run();
    let two = list("2").ok();
    assert_eq!(two.text().lines().count(), 3, "{two:?}");
    assert!(two.err().contains("note: 2 of ") && two.err().contains("`--limit all`"), "{two:?}");
    assert!(!list("all").ok().err().contains("shown"));
    assert!(list("0").fails(2).err().contains("--limit"));
}

#[test]
fn a_type_of_ones_own_comes_and_goes_and_a_built_in_one_stays() {
    let env = TestEnv::new();
    let run = |words: &[&str]| env.hookctl(words.iter().copied()).run();
    run(&["event-type", "add", "order.shipped", "--description", "It left"]).ok();
    run(&["event-type", "add", "order.shipped", "--description", "It left the house"]).ok();
    let shown = run(&["event-type", "show", "order.shipped"]).ok().text();
    assert!(shown.contains("It left the house") && shown.contains("\"event_type\":\"order.shipped\""), "{shown}");
    assert!(run(&["event-type", "remove", "order.shiped"]).fails(3).err().contains("did you mean 'order.shipped'?"));
    let removed = run(&["event-type", "remove", "order.shipped", "-o", "json"]).ok().json();
    assert_eq!(removed, serde_json::json!({"name": "order.shipped", "removed": true}));
    run(&["event-type", "show", "order.shipped"]).fails(3);
    run(&["event-type", "remove", "invoice.paid"]).fails(2);
    run(&["event-type", "add", "invoice.paid"]).fails(6);
}

#[test]
fn a_slip_of_the_finger_is_told_where_a_type_is_given() {
    let env = TestEnv::new();
    let create = ["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "invoice.payed,task.*"];
    let emit = ["emit", "invoice.payed", "--enqueue"];
    for words in [&create[..], &emit] {
        let told = env.hookctl(words.iter().copied()).run().ok().err();
        assert!(told.contains("'invoice.payed' is not in the catalogue; did you mean 'invoice.paid'?"), "{told}");
    }
}

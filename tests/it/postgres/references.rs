//! Attempts on a server refer to their deliveries, though it is not the server that looks each one up.

use serde_json::json;

use super::subscribed;
use crate::fault::{assert_whole, batch, count};

#[test]
fn attempts_go_with_the_deliveries_that_are_pruned_and_those_of_a_deleted_webhook() {
    needs_postgres!();
    let (env, _receiver) = subscribed(&[]);
    env.hookctl(["emit", "--batch", "-"]).stdin(batch("e-", 12)).run().ok();
    env.sql_write("UPDATE deliveries SET created_at = 5, completed_at = 6 WHERE id <= 4");
    env.hookctl(["delivery", "prune", "--older-than", "1d", "--yes"]).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 8);
    assert_eq!(count(&env, "SELECT count(*) FROM attempts WHERE delivery_id <= 4"), 0);
    assert_whole(&env);
    env.hookctl(["webhook", "delete", "crm", "--yes"]).run().ok();
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 0);
}

#[test]
fn the_check_finds_attempts_whose_delivery_is_gone() {
    needs_postgres!();
    let (env, _receiver) = subscribed(&[]);
    env.hookctl(["emit", "invoice.paid"]).run().ok();
    env.sql_write("UPDATE attempts SET delivery_id = 7");
    let found = env.hookctl(["db", "check", "-o", "json"]).run().fails(1).json();
    assert_eq!(
        (&found["findings"][0]["check"], &found["findings"][0]["message"]),
        (&json!("foreign_keys"), &json!("1 rows of attempts belong to rows of deliveries that are gone"))
    );
}

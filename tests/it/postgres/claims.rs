//! How claims are kept on a server: they write into no index, unless others count them.

use std::time::{Duration, Instant};

use super::subscribed;
use crate::fault::{PATIENCE, assert_whole, batch, count};
use crate::support::Reply;

#[test]
fn a_claim_writes_into_no_index_and_its_delivery_stays_where_the_index_of_what_is_due_has_it() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch("e", 3)).run().ok();
    receiver.now_answers(Reply::WhenReleased(200));
    let drain = env.hookctl(["drain"]).spawn();
    receiver.wait_for(3, PATIENCE);
    let claimed = "SELECT count(*) FROM deliveries
        WHERE claim_token IS NOT NULL AND queued_at = created_at AND due_at > queued_at + 30000";
    assert_eq!(count(&env, claimed), 3);
    // The server counts row versions that needed no entry in any index, and tells of them a moment later.
    let deadline = Instant::now() + PATIENCE;
    while count(&env, "SELECT pg_stat_get_tuples_hot_updated('hookctl.deliveries'::regclass)") < 3 {
        assert!(Instant::now() < deadline, "the claims wrote into indexes");
        std::thread::sleep(Duration::from_millis(50));
    }
    receiver.release();
    drain.wait_timeout(PATIENCE).ok();
    assert_eq!(count(&env, "SELECT count(*) FROM deliveries WHERE queued_at IS NULL AND status = 'success'"), 3);
    assert_whole(&env);
}

#[test]
fn claims_that_were_made_before_a_concurrency_was_given_count_against_it() {
    needs_postgres!();
    let (env, receiver) = subscribed(&[]);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch("e", 4)).run().ok();
    receiver.now_answers(Reply::WhenReleased(200));
    let first = env.hookctl(["drain", "--concurrency", "2", "--limit", "2"]).spawn();
    receiver.wait_for(2, PATIENCE);
    env.hookctl(["webhook", "update", "crm", "--concurrency", "2"]).run().ok();
    receiver.now_answers(200);
    env.hookctl(["drain"]).run();
    assert_eq!(receiver.count(), 2, "two are under way, and no more may be");
    receiver.release();
    first.wait_timeout(PATIENCE).ok();
    env.hookctl(["drain"]).run().ok();
    assert_eq!((receiver.count(), env.statuses()), (4, "success 4".to_owned()));
    assert_whole(&env);
}

#[test]
fn what_is_cancelled_while_a_drain_sends_it_stays_so_and_the_rest_is_recorded_once() {
    needs_postgres!();
    let (env, receiver) = subscribed(&["--max-retries", "3"]);
    env.hookctl(["emit", "--enqueue", "--batch", "-"]).stdin(batch("e", 40)).run().ok();
    receiver.now_answers(Reply::WhenReleased(500));
    let drain = env.hookctl(["drain", "--concurrency", "4"]).spawn();
    receiver.wait_for(4, PATIENCE);
    env.hookctl(["delivery", "cancel", "1", "--yes"]).run().ok();
    receiver.now_answers(200);
    receiver.release();
    drain.wait_timeout(PATIENCE);
    assert_eq!(env.sql("SELECT status FROM deliveries WHERE id = 1"), [["cancelled"]]);
    assert_eq!(count(&env, "SELECT count(*) FROM attempts"), 40);
    assert_eq!(receiver.count(), 40);
    assert_whole(&env);
}

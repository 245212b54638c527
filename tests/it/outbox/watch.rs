//! A drain that watches.

use std::time::Duration;

use super::{App, apps, insert, subscribed};
use crate::fault::PATIENCE;

#[test]
fn an_outbox_is_looked_into_again_and_again() {
    let (env, receiver) = subscribed();
    for (done, app) in apps(&env).into_iter().enumerate() {
        let drain = env.hookctl(["drain", "--watch", "100ms", "--outbox"]).arg(app.source()).spawn();
        app.run(&insert(&[("a.b", "1")]));
        receiver.wait_for(2 * done + 1, PATIENCE);
        app.run(&insert(&[("a.b", "2")]));
        receiver.wait_for(2 * done + 2, PATIENCE);
        drain.signal("TERM");
        drain.wait_timeout(PATIENCE).fails(143);
    }
}

#[test]
fn a_trigger_wakes_a_drain_long_before_its_pause_is_over() {
    needs_postgres!();
    let (env, receiver) = subscribed();
    let app = App::server(&env, &["--notify"]);
    let drain = env.hookctl(["drain", "--watch", "10m", "--outbox"]).arg(app.source()).spawn();
    for number in 1..=5 {
        app.run(&insert(&[("a.b", "1")]));
        receiver.wait_for(number, PATIENCE);
    }
    drain.signal("TERM");
    drain.wait_timeout(PATIENCE).fails(143);
    assert_eq!(app.count(), 0);
}

#[test]
fn an_outbox_that_comes_later_is_told_once_and_taken_up() {
    let (env, receiver) = subscribed();
    let drain = env.hookctl(["drain", "--watch", "50ms", "--outbox", "app.db"]).spawn();
    drain.wait_for_stderr("outbox app.db: there is no such file", PATIENCE);
    let app = App::file(&env);
    app.run(&insert(&[("a.b", "1")]));
    receiver.wait_for(1, PATIENCE);
    std::thread::sleep(Duration::from_millis(200));
    drain.signal("TERM");
    let err = drain.wait_timeout(PATIENCE).fails(143).err();
    assert_eq!(err.matches("there is no such file").count(), 1, "{err}");
}

#[test]
fn a_slow_receiver_holds_up_no_row_of_another() {
    let (env, receiver) = subscribed();
    let slow = crate::support::TestReceiver::start(crate::support::Reply::Stall);
    env.hookctl(["webhook", "create", "slow", "--url", &slow.url(), "-e", "slow.*", "--timeout", "60s"]).run().ok();
    let app = App::file(&env);
    app.run(&insert(&[("slow.a", "1")]));
    let drain = env.hookctl(["drain", "--outbox"]).arg(app.source()).spawn();
    slow.wait_for(1, PATIENCE);
    app.run(&insert(&[("a.b", "2")]));
    receiver.wait_for(2, PATIENCE);
    drain.kill();
}

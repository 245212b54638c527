//! A webhook, or a delivery, that another process deletes between the look-up and the change.

use std::thread::sleep;
use std::time::Duration;

use crate::support::TestEnv;

#[test]
fn what_is_deleted_between_the_look_up_and_the_change_is_not_found() {
    let waiting = [
        "webhook secret rotate crm",
        "webhook secret expire crm",
        "webhook update crm --timeout 5s",
        "webhook update crm --no-secret",
        "webhook enable crm",
        "webhook disable crm",
        "webhook pause crm",
        "webhook resume crm",
        "webhook delete crm --yes",
        "webhook test crm",
        "delivery retry 1",
        "delivery cancel 1",
    ]
    .map(|command| {
        let env = TestEnv::new();
        env.hookctl(["webhook", "create", "crm", "--url", "http://127.0.0.1:9/", "-e", "*"]).run().ok();
        env.hookctl(["emit", "invoice.paid", "--enqueue"]).run().ok();
        (command, env)
    })
    .map(|(command, env)| {
        let other = env.begin("DELETE FROM webhooks");
        // It still sees the webhook, and waits to write.
        let child = env.hookctl(command.split(' ')).env("HOOKCTL_BUSY_TIMEOUT", "60s").spawn();
        (command, env, other, child)
    });
    sleep(Duration::from_secs(1));
    for (command, _env, other, child) in waiting {
        other.commit();
        let run = child.wait_timeout(Duration::from_secs(30)).fails(3);
        assert!(run.err().starts_with("error: no "), "{command}: {run:?}");
        assert!(run.stdout.is_empty(), "{command}: {run:?}");
    }
}

//! Copies of a database whose secrets and credentials are encrypted.

use crate::fault::assert_whole;
use crate::support::{Engine, Hookctl, TestEnv, TestReceiver};

const TOKEN: &str = "Bearer in-the-header-0123456789";
const SECRET: &str = "in-the-secret-0123456789";
const OF_EVENT: &str = "Bearer of-the-event-0123456789";

/// An encrypted database with a webhook that signs and sends a credential, and with an event that brings another and waits.
fn encrypted(engine: Engine) -> (TestEnv, TestReceiver) {
    let (env, receiver) = (TestEnv::on(engine), TestReceiver::start(200));
    let create = ["webhook", "create", "crm", "--url", &receiver.url(), "-e", "*", "--secret-env", "S"];
    let create = env.hookctl(create).args(["--header-env", "X-Api-Key=T"]);
    create.env("S", SECRET).env("T", TOKEN).run().ok();
    env.hookctl(["db", "encrypt", "--key-file", "key"]).run().ok();
    let emit = ["emit", "invoice.paid", "--header", &format!("Authorization: {OF_EVENT}"), "--enqueue"];
    with_key(&env, &emit).run().ok();
    (env, receiver)
}

fn with_key(env: &TestEnv, arguments: &[&str]) -> Hookctl {
    env.hookctl(arguments.iter().copied()).env("HOOKCTL_KEY_FILE", env.path().join("key"))
}

/// The credentials that stand in clear somewhere in the database.
fn in_clear(env: &TestEnv) -> Vec<&'static str> {
    let contents = String::from_utf8_lossy(&env.contents()).into_owned();
    let stands_there = |credential: &&str| contents.contains(credential) || contents.contains(&hex::encode(credential));
    [TOKEN, SECRET, OF_EVENT].into_iter().filter(stands_there).collect()
}

#[test]
fn a_copy_of_an_encrypted_database_needs_no_key_stays_encrypted_and_goes_on_with_its_key() {
    needs_postgres!();
    for (from, to) in [(Engine::File, Engine::Server), (Engine::Server, Engine::Server), (Engine::Server, Engine::File)]
    {
        let ((original, receiver), target) = (encrypted(from), TestEnv::on(to));
        original.hookctl(["db", "copy"]).arg(target.address()).run().ok();
        assert_eq!((in_clear(&original), in_clear(&target)), (vec![], vec![]), "{from:?} to {to:?}");
        let credentials =
            |env: &TestEnv| env.hookctl(["db", "info", "-o", "json"]).run().ok().json()["credentials"].clone();
        assert_eq!(credentials(&target), credentials(&original), "{from:?} to {to:?}");
        let refused = target.hookctl(["drain"]).run().fails(1);
        assert!(refused.err().contains("HOOKCTL_KEY_FILE"), "{refused:?}");
        std::fs::copy(original.path().join("key"), target.path().join("key")).unwrap();
        with_key(&target, &["drain", "--strict"]).run().ok();
        let requests = receiver.requests();
        let sent = requests.iter().map(|request| (request.header("x-api-key"), request.header("authorization")));
        assert_eq!(sent.collect::<Vec<_>>(), [(Some(TOKEN), Some(OF_EVENT))], "{from:?} to {to:?}");
        // Its secret is the same, and can be given another key.
        with_key(&target, &["db", "rotate-key", "--new-key-file", "other"]).run().ok();
        with_key(&target, &["webhook", "secret", "reveal", "crm"]).run().fails(1);
        let reveal = ["webhook", "secret", "reveal", "crm"];
        let run = target.hookctl(reveal).env("HOOKCTL_KEY_FILE", target.path().join("other")).run().ok();
        assert_eq!(run.text().lines().next(), Some(SECRET), "{from:?} to {to:?}");
        assert_whole(&target);
    }
}

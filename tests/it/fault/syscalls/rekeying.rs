//! Encrypting, giving another key, decrypting: whatever happens in the middle, the same again finishes it, and no credential
//! is lost or left in clear.

use super::{After, Trial, can_trace, try_all};
use crate::support::{Hookctl, TestEnv, files_with};

const TOKEN: &str = "Bearer in-the-header-0123456789";
const SECRET: &str = "in-the-secret-0123456789";

fn keyed(env: &TestEnv, key: &str, arguments: &[&str]) -> Hookctl {
    let command = env.hookctl(arguments.iter().copied());
    if key.is_empty() { command } else { command.env("HOOKCTL_KEY_FILE", env.path().join(key)) }
}

fn filled() -> TestEnv {
    let env = TestEnv::new();
    for name in ["crm", "erp"] {
        let create = ["webhook", "create", name, "--url", "http://127.0.0.1:9/", "-e", "*", "--secret-env", "S"];
        let create = env.hookctl(create).args(["--header-env", "Authorization=T"]);
        create.env("S", SECRET).env("T", TOKEN).run().ok();
    }
    let header = format!("Authorization: {TOKEN}");
    env.hookctl(["emit", "task.created", "--enqueue", "--event-id", "e-1", "-H", &header]).run().ok();
    env
}

/// The command again, by the key before or, where it was done, by that after it; then all is as it should be.
fn check(after: &After<'_>, command: &[&str], before_key: &str, after_key: &str) -> Vec<String> {
    let (env, mut complaints) = (after.env, after.ended());
    let again = [before_key, after_key].map(|key| keyed(env, key, command).run());
    if again.iter().all(|run| run.code != Some(0)) {
        complaints.push(format!("not finished by the next run: {again:?}"));
    }
    let revealed = keyed(env, after_key, &["webhook", "secret", "reveal", "crm"]).run();
    let is_whole = revealed.code == Some(0) && [SECRET, TOKEN].iter().all(|text| revealed.text().contains(text));
    if !is_whole {
        complaints.push(format!("the credentials are lost: {revealed:?}"));
    }
    after.ok(&["db", "check"], 0, &mut complaints);
    let in_clear = files_with(env.path(), &[TOKEN, SECRET]);
    if in_clear.is_empty() == after_key.is_empty() {
        complaints.push(format!("in clear: {in_clear:?}"));
    }
    complaints
}

fn at_each_call(name: &str, before: &TestEnv, command: &[&str], keys: [&str; 2]) {
    let check = |after: &After<'_>| check(after, command, keys[0], keys[1]);
    try_all(name, &Trial { command, before, key: keys[0], check: &check });
}

#[test]
fn at_each_call_of_encrypt_rotate_key_and_decrypt_the_next_run_finishes_it() {
    only_on_files!();
    if !can_trace() {
        return;
    }
    let env = filled();
    at_each_call("db encrypt", &env, &["db", "encrypt", "--key-file", "one"], ["", "one"]);
    env.hookctl(["db", "encrypt", "--key-file", "one"]).run().ok();
    at_each_call("db rotate-key", &env, &["db", "rotate-key", "--new-key-file", "two"], ["one", "two"]);
    at_each_call("db decrypt", &env, &["db", "decrypt"], ["one", ""]);
}
